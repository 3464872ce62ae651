"""Page tokens: a signed position in a result, bound to its query, its caller and a time.

https://hl7.org/fhir/R4/search.html#paging

A token proves where to go on, never what may be seen: every page is authorized anew.
"""

import hashlib
import hmac
from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error as Base64Error
from collections.abc import Iterable, Sequence
from urllib.parse import urlencode

import msgspec

from fhir_server.caller import Caller
from fhir_server.context import Context
from fhir_server.fhir.outcome import FhirError, refuse

PARAMETER = "_page"
Position = tuple[str | int, ...]

_SIGNATURE = 16


class _Token(msgspec.Struct, array_like=True, frozen=True):
    position: tuple[str | int, ...]
    query: str
    subject: str
    expires: int


def issue(context: Context, caller: Caller, pairs: Iterable[tuple[str, str]], position: Position) -> str:
    """The token for the page after `position` of the query with these (understood) pairs."""
    expires = context.clock() // 1_000_000 + context.settings.page_token_seconds
    content = msgspec.json.encode(_Token(position, _digest(pairs), caller.subject, expires))
    return urlsafe_b64encode(_sign(context, content) + content).decode().rstrip("=")


def redeem(context: Context, caller: Caller, pairs: Iterable[tuple[str, str]], token: str) -> Position:
    """The position in the token. FhirError 400 for a token that is damaged, foreign, of another query, or too old."""
    try:
        signed = urlsafe_b64decode(token + "=" * (-len(token) % 4))
        signature, content = signed[:_SIGNATURE], signed[_SIGNATURE:]
        if not hmac.compare_digest(signature, _sign(context, content)):
            raise _worthless()
        found = msgspec.json.decode(content, type=_Token)
    except (Base64Error, ValueError, msgspec.DecodeError):
        raise _worthless() from None
    if found.query != _digest(pairs) or found.subject != caller.subject:
        raise _worthless()
    if found.expires < context.clock() // 1_000_000:
        raise refuse(400, "expired", "page-expired", "This page link has expired; search again.", PARAMETER)
    return found.position


def token(pairs: Iterable[tuple[str, str]]) -> str | None:
    """The page token among a query's parameters. FhirError 400 for several."""
    found = [value for name, value in pairs if name == PARAMETER]
    if len(found) > 1:
        raise refuse(400, "invalid", "repeated-parameter", f"{PARAMETER} may be given once.", PARAMETER)
    return found[0] if found else None


def address(path: str, pairs: Sequence[tuple[str, str]]) -> str:
    """The address with these parameters."""
    return f"{path}?{urlencode(pairs)}" if pairs else path


def _digest(pairs: Iterable[tuple[str, str]]) -> str:
    return hashlib.sha256(msgspec.json.encode([list(pair) for pair in pairs])).hexdigest()[:32]


def _sign(context: Context, content: bytes) -> bytes:
    return hmac.digest(context.secret, b"page\0" + content, "sha256")[:_SIGNATURE]


def _worthless() -> FhirError:
    return refuse(
        400,
        "value",
        "bad-page-token",
        "This page link is not one this server gave for this search and caller; search again.",
        PARAMETER,
    )
