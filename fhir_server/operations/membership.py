"""Membership: what rosters attest of the people on them, as facts.

https://hl7.org/fhir/R4/group.html
"""

from collections.abc import Iterable, Iterator, Mapping
from datetime import date
from typing import Any

from fhir_server.domain.facts import Fact, Source, Value
from fhir_server.operations import sources, vocabulary
from fhir_server.operations.registration import CODED, COUNTIES, FLAGS

Resource = Mapping[str, Any]

_TRAITS = {**CODED, **dict.fromkeys(COUNTIES, vocabulary.COUNTY)}


def may_be_roster(group: Resource) -> bool:
    """Whether a Group could be a roster in use: actual people, not retired."""
    return group.get("actual") is True and group.get("type") == "person" and group.get("active") is not False


def is_on_roster(group: Resource, member: Resource) -> bool:
    """Whether being this member means being on a roster: the Group is coded as ours, or uncoded and run by an
    organization, or the member came with an uploaded roster. Other Groups of people (cohorts, panels) say nothing."""
    if any(extension.get("url") == vocabulary.MEMBER_ROW for extension in member.get("extension", ())):
        return True
    code = group.get("code")
    if code is None:
        return "managingEntity" in group
    kinds = (vocabulary.own_code(code, vocabulary.GROUP_KIND), vocabulary.own_code(code, vocabulary.ROSTER_KIND))
    return kinds[0] == "roster" or kinds[1] is not None


def is_member(member: Resource, on: date) -> bool:
    """Whether a Group.member counts on that day."""
    return member.get("inactive") is not True and sources.lasts(member.get("period", {}), on)


def read(rosters: Iterable[Resource], person: str | None, base: str, as_of: date) -> Iterator[Fact]:
    """What rosters say: membership itself, the traits all members share, and the row's occupation."""
    names = (person, f"{base}/{person}")
    on_any = False
    for group in rosters:
        if not may_be_roster(group):
            continue
        for member in group.get("member", ()):
            if member.get("entity", {}).get("reference") not in names or not is_member(member, as_of):
                continue
            if not is_on_roster(group, member):
                continue
            on_any = True
            since, by = (
                sources.day(member.get("period", {}).get("start")),
                group.get("managingEntity", {}).get("reference"),
            )
            source = Source("employer", sources.reference(group), since, by)
            kind = vocabulary.own_code(group.get("code", {}), vocabulary.ROSTER_KIND) or "first-phase"
            yield Fact("roster-membership", frozenset({kind}), source)
            for name, value in (*_traits(group), *_row_traits(member)):
                yield Fact(name, value, source)
    if not on_any:
        yield Fact("roster-membership", frozenset(), Source("record", person))


def _traits(group: Resource) -> Iterator[tuple[str, Value]]:
    for characteristic in group.get("characteristic", ()):
        name = vocabulary.own_code(characteristic.get("code", {}), vocabulary.CRITERION) or ""
        if characteristic.get("exclude") is True:
            continue
        if name in FLAGS and isinstance(characteristic.get("valueBoolean"), bool):
            yield name, characteristic["valueBoolean"]
        if name in _TRAITS:
            found = vocabulary.codes(_TRAITS[name], characteristic.get("valueCodeableConcept", {}).get("coding", ()))
            if found is not None:
                yield name, found


def _row_traits(member: Resource) -> Iterator[tuple[str, Value]]:
    for extension in member.get("extension", ()):
        if extension.get("url") == vocabulary.MEMBER_ROW:
            for part in extension.get("extension", ()):
                if part.get("url") == "occupation":
                    found = vocabulary.codes(
                        vocabulary.OCCUPATION, part.get("valueCodeableConcept", {}).get("coding", ())
                    )
                    if found is not None:
                        yield "occupation", found
