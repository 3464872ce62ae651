"""Bindings: are the codes of an element in the value set it is bound to as required.

https://hl7.org/fhir/R4/terminologies.html#required
"""

from typing import Any

from profiles.definitions import ValueSet
from profiles.primitives import Checker, Fault, shown
from profiles.problem import Problem, Problems


def coded(shape: Checker, url: str, value_set: ValueSet) -> Checker:
    """A checker of `code` values: well-formed by `shape`, and one of the value set's."""
    codes = value_set.all_codes()

    def check(value: Any) -> Fault | None:
        if type(value) is str and value in codes:
            return None
        fault = shape(value)
        if fault is None and not value_set.holds(value):
            text = f"{shown(value)} is not in the value set {_named(url, codes)}."
            return Fault("code-invalid", "code-not-in-value-set", text)
        return fault

    return check


def concept(value: dict[str, Any], url: str, value_set: ValueSet) -> Problems:
    """Problems of a well-formed CodeableConcept: one coding is from the value set or an extension stands for it."""
    codings = value.get("coding", [])
    for coding in codings:
        code, system = coding.get("code"), coding.get("system")
        if code is not None and system is not None and value_set.holds(code, system):
            return None
    if not codings and "extension" in value:
        return None
    found = ", ".join(f"{c.get('system', 'no system')}|{c.get('code', 'no code')}" for c in codings[:5])
    none = f"None of {found}" if found else "Without a coding, nothing"
    text = f"{none} is in the value set {_named(url, value_set.all_codes())}."
    return [Problem("", "code-invalid", "code-not-in-value-set", text)]


def _named(url: str, codes: frozenset[str]) -> str:
    listed = sorted(codes)
    if not listed:
        return url
    return f"{url}: {' | '.join(listed[:25])}{' | ...' if len(listed) > 25 else ''}"
