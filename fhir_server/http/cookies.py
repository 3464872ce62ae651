"""Cookies: the two that the pages use: who has logged in, and which browser a form was made for.

https://datatracker.ietf.org/doc/html/draft-ietf-httpbis-rfc6265bis#name-the-__host-prefix

Where the server is reached by https they are `__Host-` cookies, which no other host, path or plain connection can set.
"""

from collections.abc import Mapping

from starlette.responses import Response

SESSION = "session"
FORM = "form"


def read(cookies: Mapping[str, str], name: str, origin: str) -> str | None:
    """What the browser holds under this name."""
    return cookies.get(_named(name, origin))


def give(response: Response, name: str, value: str, origin: str, seconds: int | None = None) -> None:
    """Let the browser hold this, for so long or until it is closed. Scripts never see it."""
    response.set_cookie(
        _named(name, origin), value, max_age=seconds, path="/", secure=_secure(origin), httponly=True, samesite="lax"
    )


def take(response: Response, name: str, origin: str) -> None:
    """Let the browser forget it."""
    response.delete_cookie(_named(name, origin), path="/", secure=_secure(origin), httponly=True, samesite="lax")


def _named(name: str, origin: str) -> str:
    return f"__Host-{name}" if _secure(origin) else name


def _secure(origin: str) -> bool:
    return origin.startswith("https://")
