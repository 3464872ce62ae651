"""What $data-quality looks at: one row a measure, and how many doses or people have it.

https://repository.immregistries.org/resource/data-quality-assurance/

A measure is a share: of those it is about (denominator), how many have it (numerator). Names are codes of
operations/data/codesystems/data-quality.json.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from terminology.systems import CVX, NDC, preferred

Resource = dict[str, Any]
Has = Callable[[Resource], bool]

RACE = "http://hl7.org/fhir/us/core/StructureDefinition/us-core-race"
ETHNICITY = "http://hl7.org/fhir/us/core/StructureDefinition/us-core-ethnicity"

PROMPT_DAYS = (1, 3, 7, 30)
"""Days from a dose to its record, each a measure: `recorded-within-3-days`."""


def _member(*names: str) -> Has:
    return lambda resource: any(resource.get(name) for name in names)


def _coded(system: str) -> Has:
    return lambda dose: any(
        preferred(coding.get("system", "")) == system and coding.get("code")
        for coding in dose.get("vaccineCode", {}).get("coding", ())
    )


def _extension(url: str) -> Has:
    return lambda person: any(extension.get("url") == url for extension in person.get("extension", ()))


def _address(person: Resource) -> bool:
    return any(each.get("postalCode") or (each.get("line") and each.get("city")) for each in person.get("address", ()))


def _name(person: Resource) -> bool:
    return any(each.get("family") and each.get("given") for each in person.get("name", ()))


def _reachable(person: Resource) -> bool:
    return any(each.get("value") for each in person.get("telecom", ()))


def _whole_birth_date(person: Resource) -> bool:
    return len(person.get("birthDate", "")) == len("YYYY-MM-DD")


DOSES: Mapping[str, Has] = {
    "cvx": _coded(CVX),
    "ndc": _coded(NDC),
    "lot": _member("lotNumber"),
    "expiry": _member("expirationDate"),
    "manufacturer": _member("manufacturer"),
    "site": _member("site"),
    "route": _member("route"),
    "quantity": _member("doseQuantity"),
    "performer": _member("performer"),
    "location": _member("location"),
    "eligibility": _member("programEligibility"),
    "funding": _member("fundingSource"),
}
"""Of the doses the submitter gave itself (status completed, primarySource true)."""

PEOPLE: Mapping[str, Has] = {
    "name": _name,
    "birth-date": _whole_birth_date,
    "gender": _member("gender"),
    "race": _extension(RACE),
    "ethnicity": _extension(ETHNICITY),
    "address": _address,
    "contact": _reachable,
}
"""Of the people who got those doses, each counted once."""


@dataclass(slots=True)
class Counts:
    """What was counted so far: by measure, how many it is about and how many have it; first and last day of a dose."""

    about: dict[str, int] = field(default_factory=dict)
    having: dict[str, int] = field(default_factory=dict)
    first: date | None = None
    last: date | None = None

    def add(self, name: str, has: bool) -> None:
        """One more that the measure is about."""
        self.about[name] = self.about.get(name, 0) + 1
        self.having[name] = self.having.get(name, 0) + has

    def dose(self, dose: Resource, given: date | None, recorded: date | None) -> None:
        """One dose, the day it was given and the day it was recorded, where they are known."""
        for name, has in DOSES.items():
            self.add(name, has(dose))
        if given is None:
            return
        self.first = given if self.first is None else min(self.first, given)
        self.last = given if self.last is None else max(self.last, given)
        if recorded is not None:
            for days in PROMPT_DAYS:
                self.add(f"recorded-within-{days}-days", (recorded - given).days <= days)

    def people(self, people: Iterable[Resource]) -> None:
        """People not counted before."""
        for person in people:
            for name, has in PEOPLE.items():
                self.add(name, has(person))


def is_own(dose: Resource) -> bool:
    """Whether the dose was given by whoever recorded it; history is not theirs to complete."""
    return dose.get("status") == "completed" and dose.get("primarySource") is not False


def names() -> tuple[str, ...]:
    """Every measure, in the order they are told."""
    return (*DOSES, *(f"recorded-within-{days}-days" for days in PROMPT_DAYS), *PEOPLE)
