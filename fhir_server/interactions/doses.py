"""Doses: an Immunization as the domain sees it, with what is known of the person and of the doses before.

https://hl7.org/fhir/R4/immunization.html
"""

import re
from calendar import monthrange
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Any, TypeVar

from fhir_server.caller import Caller, Predicate
from fhir_server.context import Context
from fhir_server.domain.plausibility import Days, Dose, Package, Product
from fhir_server.fhir import compartments, dates, json, references
from fhir_server.store.records import Selection
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


async def dose(context: Context, caller: Caller, predicate: Predicate, resource: Resource, around: Around) -> Dose:
    """The dose in a completed Immunization that is valid R4. Reads what `around` does not hold yet."""
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
    except (ValueError, OverflowError):
        # the first and the last day there are
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
    named = patient(context, resource)
    if named is None or named in around.people:
        return around.people.get(named or "")
    rows = await context.store.read_many(caller, predicate, [("Patient", named.partition("/")[2])])
    return json.parse(rows[0].raw) if rows and rows[0].raw is not None else None


def patient(context: Context, resource: Resource) -> str | None:
    """The patient as `Patient/1`, where the record refers to one of this server."""
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
    named = patient(context, resource)
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
