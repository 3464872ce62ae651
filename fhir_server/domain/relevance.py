"""What bears on a person: the series that are relevant, contraindications that apply, evidence of immunity.

https://www.cdc.gov/iis/cdsi/index.html (Logic Specification, chapters 5.1, 7.2 and 7.3)
"""

from collections.abc import Mapping
from dataclasses import dataclass

from fhir_server.domain.case import Case
from fhir_server.domain.person import Person
from fhir_server.domain.schedule import KnowledgeBase, Series


@dataclass(frozen=True, slots=True)
class Bearing:
    """`contraindicated` are products the person must not be given, each with the observation that forbids it;
    `forbidden` the observations that forbid every product. `immune` is the observation that shows immunity, None where
    birth does (`is_immune`) or nothing."""

    series: tuple[Series, ...]
    indications: tuple[str, ...]
    forbidden: tuple[str, ...]
    contraindicated: Mapping[str, str]
    is_immune: bool
    immune: str | None


def bearing(case: Case) -> Bearing:
    """What bears on the person on the day of assessment."""
    knowledge_base, person, day = case.knowledge_base, case.person, case.day
    indications: dict[str, None] = {}
    series = []
    for one in knowledge_base.series:
        if one.gender and person.gender not in one.gender:
            continue
        if one.type == "risk":
            if not person.is_observed:
                continue
            found = [
                indication.observation
                for indication in one.indications
                if person.has(indication.observation, day) and person.is_within(indication.ages, day)
            ]
            if not found:
                continue
            indications.update(dict.fromkeys(found))
        series.append(one)
    forbidden: dict[str, None] = {}
    contraindicated: dict[str, str] = {}
    for contraindication in knowledge_base.contraindications:
        if person.has(contraindication.observation, day):
            for cvx, ages in contraindication.vaccines.items():
                if person.is_within(ages, day):
                    if cvx:
                        contraindicated.setdefault(cvx, contraindication.observation)
                    else:
                        forbidden[contraindication.observation] = None
    finding = next((code for code in sorted(knowledge_base.immune_findings) if person.has(code, day)), None)
    is_immune = finding is not None or _is_immune_by_birth(knowledge_base, person, day)
    return Bearing(tuple(series), tuple(indications), tuple(forbidden), contraindicated, is_immune, finding)


def is_contraindicated(series: Series, found: Bearing) -> bool:
    """Whether the disease is contraindicated, or each of the products preferred in the series."""
    if found.forbidden:
        return True
    return bool(found.contraindicated) and all(cvx in found.contraindicated for cvx in series.preferable)


def _is_immune_by_birth(knowledge_base: KnowledgeBase, person: Person, day: int) -> bool:
    for birth in knowledge_base.immune_births:
        excluded = any(person.has(code, day) for code in birth.exclusions)
        if person.born < birth.before and not excluded and (birth.country is None or birth.country == person.country):
            return True
    return False
