"""Plausible: what is odd about Immunizations that are written, told beside the answer or refused.

https://hl7.org/fhir/R4/immunization.html

The patient's birth date and, where a dose has a number, the doses before it are read as far as they exist for the
caller; of people sent in the same Bundle, their birth date is known from there.
"""

import re
from calendar import monthrange
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from typing import Any, TypeVar

from fhir_server.caller import Caller, Predicate, to
from fhir_server.context import Context
from fhir_server.domain.plausibility import Days, Dose, Finding, Package, Product, findings
from fhir_server.fhir import compartments, dates, json, references
from fhir_server.fhir.outcome import FhirError, Issue
from fhir_server.store.records import Selection
from profiles.issue import Severity
from terminology import codes
from terminology.systems import CVX, MVX, NDC, preferred

Resource = dict[str, Any]
T = TypeVar("T")

_HISTORY = 200
"""Doses of a person that are looked at."""
_DAY = re.compile(r"(\d{4})(?:-(\d{2})(?:-(\d{2}))?)?")


@dataclass(frozen=True)
class Around:
    """What is known around the doses that are written: Patients by reference (`Patient/1`; None: not there), and doses
    by patient, those written together and, once they were looked for, those on record."""

    people: dict[str, Resource | None] = field(default_factory=dict)
    together: dict[str, list[Resource]] = field(default_factory=dict)
    recorded: dict[str, list[Resource]] = field(default_factory=dict)


async def judge(context: Context, caller: Caller, predicate: Predicate, resource: Resource) -> tuple[Issue, ...]:
    """What is to be said of a resource that is about to be written, valid R4; nothing of other types.

    FhirError 422 where a setting refuses it.
    """
    if resource["resourceType"] != "Immunization" or not _is_on(context):
        return ()
    return settle(context, await issues(context, caller, predicate, resource))


async def judge_all(
    context: Context, caller: Caller, predicate: Predicate, written: Mapping[str, Resource]
) -> dict[str, Sequence[Issue] | FhirError]:
    """Likewise for resources that are written together, by their references: what to say of each, or its refusal.
    Nothing stands for those of which there is nothing to say."""
    doses = {at: each for at, each in written.items() if each["resourceType"] == "Immunization"}
    if not doses or not _is_on(context):
        return {}
    around = Around({at: each for at, each in written.items() if each["resourceType"] == "Patient"})
    for at, each in doses.items():
        named = _patient(context, each)
        if named is not None:
            around.together.setdefault(named, []).append({**each, "id": at.partition("/")[2]})
    missing = [("Patient", named.partition("/")[2]) for named in around.together if named not in around.people]
    around.people.update((f"Patient/{id}", None) for _, id in missing)
    for row in await context.store.read_many(caller, to(predicate, "r"), missing) if missing else ():
        around.people[f"Patient/{row.id}"] = json.parse(row.raw or b"{}")
    found: dict[str, Sequence[Issue] | FhirError] = {}
    for at, each in doses.items():
        dose = {**each, "id": at.partition("/")[2]}
        try:
            told = settle(context, await issues(context, caller, predicate, dose, around))
        except FhirError as error:
            found[at] = error
        else:
            if told:
                found[at] = told
    return found


async def issues(
    context: Context, caller: Caller, predicate: Predicate, resource: Resource, around: Around | None = None
) -> list[Issue]:
    """Every rule an Immunization breaks, with the severity of the rule."""
    if resource.get("status") != "completed":
        return []
    dose = await _dose(context, caller, to(predicate, "r"), resource, around or Around())
    return [_issue(found) for found in findings(dose)]


def _is_on(context: Context) -> bool:
    return context.settings.plausibility != "off" or context.settings.plausibility_doubts != "off"


def settle(context: Context, found: Iterable[Issue]) -> tuple[Issue, ...]:
    """Those issues that the settings let be told, all warnings. FhirError 422 with those they refuse."""
    told = weighed(context, found)
    refused = [issue for issue in told if issue.severity == "error"]
    if refused:
        raise FhirError(422, refused)
    return tuple(told)


def weighed(context: Context, found: Iterable[Issue]) -> list[Issue]:
    """Those issues that the settings let be told: errors where a write would be refused, else warnings."""
    modes = {"error": context.settings.plausibility, "warning": context.settings.plausibility_doubts}
    severities: dict[str, Severity] = {"refuse": "error", "warn": "warning"}
    return [
        replace(issue, severity=severities[modes[issue.severity]])
        for issue in found
        if modes[issue.severity] in severities
    ]


def _issue(found: Finding) -> Issue:
    rule = found.rule
    place = (f"Immunization.{rule.element}",)
    return Issue("business-rule", rule.code, found.english, place, rule.severity, found.spanish)


async def _dose(context: Context, caller: Caller, predicate: Predicate, resource: Resource, around: Around) -> Dose:
    codings = resource.get("vaccineCode", {}).get("coding", ())
    cvx = [coding["code"] for coding in codings if _is_of(coding, CVX)]
    ndc = [coding["code"] for coding in codings if _is_of(coding, NDC)]
    products, packages = _known(cvx, _product), _known(ndc, _package)
    unknown = [code for code in cvx if codes.cvx_code(code) not in {each.code for each in products}]
    unknown += [code for code in ndc if not any(codes.normal_ndc(code) == each.code for each in packages)]
    if not products:
        # A package says its product where nobody else does.
        products = _known([code for package in packages for code in sorted(package.products)], _product)
    day = _occurred(context, resource)
    person = await _person(context, caller, predicate, resource, around)
    number, earlier = _number(resource), None
    if number is not None and day is not None:
        groups = {group for each in products for group in codes.vaccine_groups(each.code)}
        earlier = await _earlier(context, caller, predicate, resource, around, groups, day.first)
    return Dose(
        given=True,
        administered=resource.get("primarySource") is True,
        today=context.today,
        day=day,
        born=_days(person.get("birthDate")) if person is not None else None,
        lot=resource.get("lotNumber", ""),
        expires=_days(resource.get("expirationDate")),
        products=tuple(products),
        unknown=tuple(unknown),
        packages=tuple(packages),
        manufacturers=tuple(_manufacturers(resource)),
        number=number,
        earlier=earlier,
    )


def _is_of(coding: Mapping[str, Any], system: str) -> bool:
    return "code" in coding and preferred(coding.get("system", "")) == system


def _known(given: Iterable[str], read: Callable[[str], T]) -> list[T]:
    found: list[T] = []
    for code in given:
        try:
            found.append(read(code))
        except codes.UnknownCodeError:
            continue
    return found


def _product(code: str) -> Product:
    concept = codes.lookup(CVX, code)
    youngest, oldest = codes.table("cvx")[concept.code].get("months", (None, None))
    start, end = (date.fromisoformat(day) if day else None for day in (concept.start, concept.end))
    return Product(concept.code, start, end, youngest, oldest, codes.is_unspecified(concept.code))


def _package(code: str) -> Package:
    found = codes.product(code)
    return Package(found.ndc, frozenset(found.cvx), frozenset(found.mvx))


def _manufacturers(resource: Resource) -> Iterable[str]:
    identifier = resource.get("manufacturer", {}).get("identifier", {})
    if "value" in identifier and preferred(identifier.get("system", "")) == MVX:
        yield codes.mvx_code(identifier["value"])


def _number(resource: Resource) -> int | None:
    """The dose's number where the record says one, and no series of its own that begins to count anew."""
    applied = resource.get("protocolApplied", ())
    if len(applied) != 1 or "series" in applied[0]:
        return None
    number = applied[0].get("doseNumberPositiveInt")
    return number if isinstance(number, int) else None


def _occurred(context: Context, resource: Resource) -> Days | None:
    """The days a dose may have been given on: of an instant the day as written, and what it was here by then, for
    many senders write the evening in UTC, when it is tomorrow there."""
    text = resource.get("occurrenceDateTime", "")
    written = _days(text)
    if written is None or "T" not in text:
        return written
    try:
        here = context.day(dates.microseconds(dates.parse(text).lo))
    except ValueError:
        return written
    return Days(min(written.first, here), max(written.last, here))


def _days(text: Any) -> Days | None:
    """The days that a date or dateTime may mean, as written."""
    match = _DAY.match(text) if isinstance(text, str) else None
    if match is None:
        return None
    year, month, day = (int(part) if part else None for part in match.groups())
    if year is None or year == 0:
        return None
    last_month = month or 12
    try:
        return Days(date(year, month or 1, day or 1), date(year, last_month, day or monthrange(year, last_month)[1]))
    except ValueError:
        return None


async def _person(
    context: Context, caller: Caller, predicate: Predicate, resource: Resource, around: Around
) -> Resource | None:
    """The patient, where the record names one that exists for the caller."""
    named = _patient(context, resource)
    if named is None or named in around.people:
        return around.people.get(named or "")
    rows = await context.store.read_many(caller, predicate, [("Patient", named.partition("/")[2])])
    return json.parse(rows[0].raw) if rows and rows[0].raw is not None else None


def _patient(context: Context, resource: Resource) -> str | None:
    text = resource.get("patient", {}).get("reference")
    found = references.local(references.normalise(text, context.settings.base)) if isinstance(text, str) else None
    return f"Patient/{found.id}" if found is not None and found.type == "Patient" else None


async def _earlier(
    context: Context,
    caller: Caller,
    predicate: Predicate,
    resource: Resource,
    around: Around,
    groups: set[str],
    before: date,
) -> int | None:
    """On how many days before that one the patient had a completed dose of one of these vaccine groups."""
    named = _patient(context, resource)
    if named is None or not groups:
        return None
    if named not in around.recorded:
        where = compartments.compartment("Patient", named.partition("/")[2], "Immunization")
        page = await context.store.search(caller, predicate, Selection("Immunization", where, limit=_HISTORY))
        around.recorded[named] = [json.parse(row.raw) for row in page.rows if row.raw is not None]
    together = around.together.get(named, [])
    ids = {each["id"] for each in together} | {resource.get("id")}
    days: set[date] = set()
    for other in (*together, *(each for each in around.recorded[named] if each["id"] not in ids)):
        day = _occurred(context, other)
        is_other = other.get("id") != resource.get("id") and other.get("status") == "completed"
        if is_other and day is not None and day.last < before and groups & _groups(other):
            days.add(day.last)
    return len(days)


def _groups(resource: Resource) -> set[str]:
    found: set[str] = set()
    for coding in resource.get("vaccineCode", {}).get("coding", ()):
        if _is_of(coding, CVX):
            found.update(codes.vaccine_groups(coding["code"]))
        elif _is_of(coding, NDC):
            for package in _known([coding["code"]], _package):
                found.update(group for cvx in package.products for group in codes.vaccine_groups(cvx))
    return found
