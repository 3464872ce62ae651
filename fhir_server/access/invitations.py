"""Invitations: a code with which somebody opens an account for a Patient who is on record; once, for a month.

https://pages.nist.gov/800-63-4/sp800-63a.html#enrollcode

Kept under its digest. A person has one at a time: a newer one ends the older. It is taken in one step, so of two who
redeem it at once one does; and after a few wrong birth dates it is worth nothing.
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
    """An invitation that is open: for which Patient (id); `by_employer` who knows the birth date as well."""

    digest: str
    patient: str
    by_employer: bool


async def give(authority: Authority, patient: str, *, by_employer: bool) -> Given:
    """Invite a person; an earlier invitation no longer works. FhirError 503."""
    code = one_time_codes.new()
    digest, holder = _digest(authority, code), _holder(authority, patient)
    expires = authority.now() + authority.lifetimes.invitation
    await authority.passing.remove(_HOLDER, holder)
    await authority.passing.add(_HOLDER, holder, expires, {"code": digest})
    await authority.passing.add(_KIND, digest, expires, {"patient": patient, "employer": by_employer})
    return Given(one_time_codes.shown(code), expires)


async def find(authority: Authority, code: str) -> Invitation | None:
    """The open invitation with this code. FhirError 503."""
    digest, now = _digest(authority, one_time_codes.typed(code)), authority.now()
    kept = await authority.passing.find(_KIND, digest, now)
    if kept is None or not _holds(
        await authority.passing.find(_HOLDER, _holder(authority, kept["patient"]), now), digest
    ):
        return None
    return Invitation(digest, kept["patient"], kept["employer"])


async def take(authority: Authority, invitation: Invitation) -> bool:
    """Use it up; False where somebody else just did. FhirError 503."""
    taken = await authority.passing.remove(_KIND, invitation.digest)
    return taken and await authority.passing.remove(_HOLDER, _holder(authority, invitation.patient))


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


def _holder(authority: Authority, patient: str) -> str:
    return authority.keyed("invited", patient)
