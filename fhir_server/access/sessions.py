"""Sessions: a user who has logged in, as their cookie says; and the proof that a form came from a page of ours.

https://cheatsheetseries.owasp.org/cheatsheets/Session_Management_Cheat_Sheet.html
"""

import hmac
import secrets
from dataclasses import dataclass

from fhir_server.access import tokens
from fhir_server.access.authority import Authority
from fhir_server.store.accounts.users import User

_BYTES = 32


@dataclass(frozen=True, slots=True)
class Session:
    """A login; times are Unix seconds. `id` is the digest of its cookie."""

    user: User
    authenticated: int
    expires: int
    id: str = ""


def new_cookie() -> str:
    """256 random bits for a cookie."""
    return secrets.token_urlsafe(_BYTES)


async def begin(authority: Authority, user: User) -> str:
    """A session for a user who has just logged in: what their cookie holds. FhirError 503."""
    cookie, now = new_cookie(), authority.now()
    value = {"owner": user.subject, "at": now}
    await authority.passing.add("session", tokens.digest(cookie), now + authority.lifetimes.session, value)
    return cookie


async def find(authority: Authority, cookie: str | None) -> Session | None:
    """The session of this cookie; None where it is over, or the user is disabled. FhirError 503."""
    if not cookie:
        return None
    id = tokens.digest(cookie)
    kept = await authority.passing.find("session", id, authority.now())
    user = await authority.users.by_subject(kept["owner"]) if kept is not None else None
    if kept is None or user is None or not user.enabled:
        return None
    return Session(user, int(kept["at"]), int(kept["at"]) + authority.lifetimes.session, id)


async def is_open(authority: Authority, id: str) -> bool:
    """Whether the login with this id lasts: nobody has logged out. FhirError 503."""
    return await authority.passing.find("session", id, authority.now()) is not None


async def end(authority: Authority, cookie: str | None) -> None:
    """Log out. FhirError 503."""
    if cookie:
        await authority.passing.remove("session", tokens.digest(cookie))


def form_token(authority: Authority, cookie: str) -> str:
    """What a form holds to prove that it was made for the browser with this cookie."""
    return authority.keyed("form", cookie)


def is_form_token(authority: Authority, cookie: str | None, given: str) -> bool:
    """Whether a form came from a page made for this browser."""
    return bool(cookie) and given.isascii() and hmac.compare_digest(authority.keyed("form", cookie or ""), given)
