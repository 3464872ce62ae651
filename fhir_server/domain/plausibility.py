"""Plausibility: what is wrong, or odd, with the record of a dose; a row for each rule.

https://www2.cdc.gov/vaccines/iis/iisstandards/vaccines.asp

Where a rule lacks what it needs to know it holds its peace. Days known only to the month or year are judged by what is
true of every day they may mean.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Literal, NamedTuple

from fhir_server.domain.sentences import day as written

Severity = Literal["error", "warning"]
Details = Mapping[str, object]

_GRACE_DAYS = 4
"""By so many days a dose may be early for an age and still count (CDC's clinical guidance)."""


class Days(NamedTuple):
    """A day, or all days that a month or a year has: the first and the last."""

    first: date
    last: date


class Product(NamedTuple):
    """What is known of a vaccine code: days of use and completed months of age for use, ends included; None: open."""

    code: str
    start: date | None = None
    end: date | None = None
    youngest: int | None = None
    oldest: int | None = None
    unspecified: bool = False


class Package(NamedTuple):
    """What a package number stands for: the codes of vaccine and manufacturer it is linked with."""

    code: str
    products: frozenset[str]
    manufacturers: frozenset[str]


@dataclass(frozen=True)
class Dose:
    """A dose as recorded, with what is known around it.

    `administered`: by those who report it, not from history. `earlier` is the number of doses of the same vaccine group
    known on other days before, None where nobody looked.
    """

    given: bool
    administered: bool
    today: date
    day: Days | None = None
    born: Days | None = None
    lot: str = ""
    expires: Days | None = None
    products: tuple[Product, ...] = ()
    unknown: tuple[str, ...] = ()
    packages: tuple[Package, ...] = ()
    manufacturers: tuple[str, ...] = ()
    number: int | None = None
    earlier: int | None = None


class Rule(NamedTuple):
    """A row. `test` gives the values of the sentence's gaps where the rule is broken, else None.

    `error`: it cannot be so; `warning`: it is hardly so. `code` is stable; `element` of the Immunization is concerned.
    """

    code: str
    severity: Severity
    element: str
    test: Callable[[Dose], Details | None]
    english: str
    spanish: str


class Finding(NamedTuple):
    """A broken rule with its sentences in both languages."""

    rule: Rule
    english: str
    spanish: str


def findings(dose: Dose) -> Iterator[Finding]:
    """Every rule a dose breaks; none for one that was not given."""
    if not dose.given:
        return
    for rule in RULES:
        details = rule.test(dose)
        if details is not None:
            english, spanish = (_told(details, language) for language in ("en", "es"))
            yield Finding(rule, rule.english.format_map(english), rule.spanish.format_map(spanish))


def _told(details: Details, language: str) -> dict[str, object]:
    return {name: written(value, language) if isinstance(value, date) else value for name, value in details.items()}


def months_between(born: date, day: date) -> int:
    """Completed months of age on that day, negative before birth."""
    return (day.year - born.year) * 12 + day.month - born.month - (day.day < born.day)


def _lot_missing(dose: Dose) -> Details | None:
    return {} if dose.administered and not dose.lot else None


def _expiry_missing(dose: Dose) -> Details | None:
    return {} if dose.administered and dose.expires is None else None


def _before_birth(dose: Dose) -> Details | None:
    if dose.day is None or dose.born is None or dose.day.last >= dose.born.first:
        return None
    return {"day": dose.day.last}


def _in_future(dose: Dose) -> Details | None:
    return {"day": dose.day.first} if dose.day is not None and dose.day.first > dose.today else None


def _after_expiry(dose: Dose) -> Details | None:
    if dose.day is None or dose.expires is None or dose.day.first <= dose.expires.last:
        return None
    return {"day": dose.day.first, "expiry": dose.expires.last}


def _before_product(dose: Dose) -> Details | None:
    starts = [product.start for product in dose.products]
    if dose.day is None or not starts or any(start is None or dose.day.last >= start for start in starts):
        return None
    start = min(start for start in starts if start is not None)
    return {"day": dose.day.last, "code": dose.products[0].code, "start": start}


def _after_product(dose: Dose) -> Details | None:
    # Unspecified codes end where products began to have codes; history may still need them.
    known = [product for product in dose.products if not product.unspecified]
    if dose.day is None or not known or any(each.end is None or dose.day.first <= each.end for each in known):
        return None
    end = max(each.end for each in known if each.end is not None)
    return {"day": dose.day.first, "code": known[0].code, "end": end}


def _wrong_age(dose: Dose) -> Details | None:
    if dose.day is None or dose.born is None or dose.day.last < dose.born.first:
        return None
    known = [product for product in dose.products if not product.unspecified]
    misfits = [_misfit(each, dose.born, dose.day) for each in known]
    found = [misfit for misfit in misfits if misfit is not None]
    return {"code": known[0].code} if found and len(found) == len(misfits) else None


def _misfit(product: Product, born: Days, day: Days) -> bool | None:
    latest = date.fromordinal(min(day.last.toordinal() + _GRACE_DAYS, date.max.toordinal()))
    if product.youngest is not None and months_between(born.first, latest) < product.youngest:
        return True
    return True if product.oldest is not None and months_between(born.last, day.first) > product.oldest else None


def _package_differs(dose: Dose) -> Details | None:
    codes = {product.code for product in dose.products if not product.unspecified}
    for package in dose.packages:
        if codes and package.products and codes.isdisjoint(package.products):
            return {
                "package": package.code,
                "expected": ", ".join(sorted(package.products)),
                "code": ", ".join(sorted(codes)),
            }
    return None


def _manufacturer_differs(dose: Dose) -> Details | None:
    for package in dose.packages:
        if dose.manufacturers and package.manufacturers and package.manufacturers.isdisjoint(dose.manufacturers):
            return {
                "package": package.code,
                "expected": ", ".join(sorted(package.manufacturers)),
                "code": ", ".join(dose.manufacturers),
            }
    return None


def _unspecified(dose: Dose) -> Details | None:
    if not dose.administered or not dose.products or dose.packages:
        return None
    return {"code": dose.products[0].code} if all(product.unspecified for product in dose.products) else None


def _unknown_code(dose: Dose) -> Details | None:
    return {"code": dose.unknown[0]} if dose.unknown else None


def _number_ahead(dose: Dose) -> Details | None:
    if dose.number is None or dose.earlier is None or dose.number <= dose.earlier + 1:
        return None
    return {"number": dose.number, "earlier": dose.earlier}


def _number_behind(dose: Dose) -> Details | None:
    if dose.number is None or dose.earlier is None or dose.number > dose.earlier:
        return None
    return {"number": dose.number, "earlier": dose.earlier}


RULES: tuple[Rule, ...] = (
    Rule(
        "lot-number-missing", "warning", "lotNumber", _lot_missing,
        "A dose that was administered has a lot number; this one has none.",
        "Una dosis administrada tiene número de lote; esta no lo tiene.",
    ),
    Rule(
        "expiration-date-missing", "warning", "expirationDate", _expiry_missing,
        "A dose that was administered has the expiration date of its lot; this one has none.",
        "Una dosis administrada tiene la fecha de caducidad de su lote; esta no la tiene.",
    ),
    Rule(
        "dose-before-birth", "error", "occurrenceDateTime", _before_birth,
        "The dose of {day} would have been given before the person was born.",
        "La dosis del {day} se habría administrado antes de que la persona naciera.",
    ),
    Rule(
        "dose-in-future", "error", "occurrenceDateTime", _in_future,
        "A dose that is completed cannot have been given on {day}, which is yet to come.",
        "Una dosis completada no puede haberse administrado el {day}, que aún no ha llegado.",
    ),
    Rule(
        "dose-after-expiry", "error", "expirationDate", _after_expiry,
        "The dose was given on {day}, after its lot expired on {expiry}.",
        "La dosis se administró el {day}, después de que su lote caducara el {expiry}.",
    ),
    Rule(
        "dose-before-product", "error", "vaccineCode", _before_product,
        "The dose was given on {day}, but the vaccine {code} (CVX) was first in use on {start}.",
        "La dosis se administró el {day}, pero la vacuna {code} (CVX) se empezó a usar el {start}.",
    ),
    Rule(
        "dose-after-product", "warning", "vaccineCode", _after_product,
        "The dose was given on {day}, but the vaccine {code} (CVX) was no longer in use after {end}.",
        "La dosis se administró el {day}, pero la vacuna {code} (CVX) dejó de usarse después del {end}.",
    ),
    Rule(
        "product-not-for-age", "warning", "vaccineCode", _wrong_age,
        "The vaccine {code} (CVX) is not meant for the age the person had on that day.",
        "La vacuna {code} (CVX) no está indicada para la edad que tenía la persona ese día.",
    ),
    Rule(
        "package-not-product", "error", "vaccineCode", _package_differs,
        "The package {package} (NDC) is of the vaccine {expected} (CVX), not {code}.",
        "El envase {package} (NDC) es de la vacuna {expected} (CVX), no {code}.",
    ),
    Rule(
        "package-not-manufacturer", "error", "manufacturer", _manufacturer_differs,
        "The package {package} (NDC) is of the manufacturer {expected} (MVX), not {code}.",
        "El envase {package} (NDC) es del fabricante {expected} (MVX), no {code}.",
    ),
    Rule(
        "product-unspecified", "error", "vaccineCode", _unspecified,
        "The vaccine {code} (CVX) does not say the product: it is for history, not for a dose that was administered.",
        "La vacuna {code} (CVX) no dice el producto: sirve para el historial, no para una dosis administrada.",
    ),
    Rule(
        "vaccine-code-unknown", "warning", "vaccineCode", _unknown_code,
        "{code} is not a code that is known here.",
        "{code} no es un código que se conozca aquí.",
    ),
    Rule(
        "dose-number-ahead", "warning", "protocolApplied.doseNumberPositiveInt", _number_ahead,
        "It is said to be dose {number}, but the doses known before it are {earlier}.",
        "Consta como dosis {number}, pero las dosis anteriores conocidas son {earlier}.",
    ),
    Rule(
        "dose-number-behind", "warning", "protocolApplied.doseNumberPositiveInt", _number_behind,
        "It is said to be dose {number}, but the doses known before it are already {earlier}.",
        "Consta como dosis {number}, pero las dosis anteriores conocidas ya son {earlier}.",
    ),
)  # fmt: skip
"""Every rule; the order is that of the answers."""
