"""Policies: the phase Groups that apply, each in the version that was in force on the day asked about.

https://hl7.org/fhir/R4/group.html

For a day in the past a Group counts as it was stored at that day's end, if it was there already; one stored since then
tells of days before it by its periods, so it counts as it is now. Policy is public: everybody is judged by all of it.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

from fhir_server.caller import SERVER, allow_all
from fhir_server.context import Context
from fhir_server.domain.phases import Group, in_force
from fhir_server.fhir import json
from fhir_server.fhir.condition import SEPARATOR, Keys
from fhir_server.fhir.outcome import refuse
from fhir_server.interactions.search import gather
from fhir_server.operations import phases, vocabulary
from fhir_server.store.records import Stored

PHASES = Keys("tk", (f"code{SEPARATOR}{vocabulary.GROUP_KIND}|eligibility-phase",))


@dataclass(frozen=True, slots=True)
class Policies:
    """The `groups` that apply, and `unreadable` phase Groups: the reference of each with what is wrong with it."""

    groups: Sequence[Group]
    unreadable: Sequence[tuple[str, str]]


async def applying(
    context: Context, as_of: date, policy: str | None = None, jurisdiction: str | None = None
) -> Policies:
    """The Groups of the policy asked for, else of the one in force that day in the jurisdiction (the server's own by
    default). FhirError 400 for a policy or jurisdiction nobody knows."""
    known, unreadable = await every(context, as_of)
    if policy is not None:
        policy = policy.removeprefix(f"{vocabulary.POLICY}|")
    if jurisdiction is not None:
        jurisdiction = jurisdiction.removeprefix(f"{phases.JURISDICTIONS}|")
    _require_known("policy", policy, {group.policy.identifier for group in known})
    _require_known("jurisdiction", jurisdiction, {group.policy.jurisdiction or "" for group in known} - {""})
    if policy is None and jurisdiction is None:
        jurisdiction = context.settings.jurisdiction
    return Policies(in_force(known, as_of, policy, jurisdiction), unreadable)


async def in_force_on(context: Context, *days: date) -> list[Policies]:
    """For each day the Groups of the policy in force then in the server's own jurisdiction, read once for all days."""
    current = await gather(context, SERVER, allow_all, "Group", PHASES)
    found = []
    for day in days:
        known, unreadable = await _as_of(context, current, day)
        found.append(Policies(in_force(known, day, None, context.settings.jurisdiction), unreadable))
    return found


async def every(context: Context, as_of: date) -> tuple[list[Group], list[tuple[str, str]]]:
    """All phase Groups in use on that day, of every policy, and those that cannot be read."""
    return await _as_of(context, await gather(context, SERVER, allow_all, "Group", PHASES), as_of)


async def _as_of(context: Context, current: Iterable[Stored], day: date) -> tuple[list[Group], list[tuple[str, str]]]:
    known: list[Group] = []
    unreadable: list[tuple[str, str]] = []
    for each in current:
        row = await _on(context, each, day)
        if row.raw is None:
            continue
        found = _phase(row.raw, f"Group/{row.id}/_history/{row.version}")
        if isinstance(found, Group):
            known.append(found)
        elif found is not None:
            unreadable.append((f"Group/{row.id}", found))
    return known, unreadable


async def _on(context: Context, current: Stored, day: date) -> Stored:
    """The version that was current at the end of the day, or the deletion; the newest where there was none yet."""
    if current.version == 1 or context.day(current.updated) <= day:
        return current
    midnight = datetime.combine(day + timedelta(days=1), time(), ZoneInfo(context.settings.time_zone))
    last = int(midnight.timestamp()) * 1_000_000 - 1
    found = await context.store.history(SERVER, allow_all, "Group", current.id, at=(last, last + 1), limit=1)
    return found.rows[0] if found.rows else current


@lru_cache(maxsize=512)
def _phase(raw: bytes, reference: str) -> Group | str | None:
    """The phase, why it cannot be read, or None where it is not in use. Versions never change: read each once."""
    resource = json.parse(raw)
    if not phases.is_phase(resource):
        return None
    try:
        return phases.read(resource, reference)
    except ValueError as problem:
        return str(problem)


def _require_known(name: str, asked: str | None, known: set[str]) -> None:
    if asked is not None and asked not in known:
        text = f"No phase of the {name} '{asked}' is known here. Known: {', '.join(sorted(known)) or 'none'}."
        raise refuse(400, "value", f"unknown-{name}", text, name)
