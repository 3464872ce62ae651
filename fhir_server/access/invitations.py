"""Invitations: a code with which somebody opens the record of a Patient: their own, or as the proxy of a child.

https://pages.nist.gov/800-63-4/sp800-63a.html#enrollcode

Good once, for a month; kept under its digest. A person has one at a time: a newer one ends the older (of a child's
proxies each has their own). It is taken in one step, so of two who redeem it at once one does; and after a few wrong
birth dates it is worth nothing.
"""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass

from fhir_server.access import one_time_codes
from fhir_server.access.authority import Authority

_KIND, _HOLDER, _WRONG = "invitation", "invited", "wrong"
_MOST_WRONG = 5


@dataclass(frozen=True, slots=True)
class Given:
    """An invitation as its person is told it: the code, and the Unix second at which it ends."""

    code: str
    expires: int


@dataclass(frozen=True, slots=True)
class Invitation:
    """An invitation that is open: for which Patient (id), and whether to act for them as their `proxy`."""

    digest: str
    patient: str
    proxy: bool


async def give(authority: Authority, patient: str, *, proxy: bool = False) -> Given:
    """Invite a person, whose earlier invitation no longer works; or somebody who acts for them. FhirError 503."""
    code = one_time_codes.new()
    digest = _digest(authority, code)
    holder = _holder(authority, Invitation(digest, patient, proxy))
    expires = authority.now() + authority.lifetimes.invitation
    await authority.passing.remove(_HOLDER, holder)
    await authority.passing.add(_HOLDER, holder, expires, {"code": digest})
    await authority.passing.add(_KIND, digest, expires, {"patient": patient, "proxy": proxy})
    return Given(one_time_codes.shown(code), expires)


async def find(authority: Authority, code: str) -> Invitation | None:
    """The open invitation with this code. FhirError 503."""
    digest, now = _digest(authority, one_time_codes.typed(code)), authority.now()
    kept = await authority.passing.find(_KIND, digest, now)
    if kept is None:
        return None
    invitation = Invitation(digest, kept["patient"], bool(kept.get("proxy")))
    held = _holds(await authority.passing.find(_HOLDER, _holder(authority, invitation), now), digest)
    return invitation if held else None


async def take(authority: Authority, invitation: Invitation) -> bool:
    """Use it up; False where somebody else just did. FhirError 503."""
    taken = await authority.passing.remove(_KIND, invitation.digest)
    return taken and await authority.passing.remove(_HOLDER, _holder(authority, invitation))


async def doubt(authority: Authority, invitation: Invitation) -> None:
    """Somebody has the code and does not know the person. FhirError 503."""
    now = authority.now()
    ends = now + authority.lifetimes.invitation
    if await authority.passing.count(_WRONG, f"{_KIND}-{invitation.digest}", ends, now) >= _MOST_WRONG:
        await take(authority, invitation)


def _holds(kept: Mapping[str, str] | None, digest: str) -> bool:
    return kept is not None and secrets.compare_digest(kept["code"], digest)


def _digest(authority: Authority, code: str) -> str:
    return authority.keyed("invitation-code", code)


def _holder(authority: Authority, invitation: Invitation) -> str:
    return authority.keyed("invited", invitation.digest if invitation.proxy else invitation.patient)
