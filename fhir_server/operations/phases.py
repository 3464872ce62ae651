"""Phase Groups read as the domain's Groups.

https://hl7.org/fhir/R4/group.html

A phase Group is definitional (`actual` false), its `code` is `eligibility-phase`, its identifiers name the phase, the
version and the policy (whose `period` says when the policy is in force and whose `assigner` is the authority that
published it), and every characteristic is a criterion. It is open on the days that all its characteristics' periods
have in common; without any start it is announced only.
"""

from collections.abc import Iterable, Mapping
from datetime import date
from typing import Any

from fhir_server.domain.criteria import AgeRange, AnyCode, Criterion, Flag
from fhir_server.domain.phases import Group, Policy
from fhir_server.operations import vocabulary

_CODED = {
    "occupation": vocabulary.OCCUPATION,
    "residence": vocabulary.RESIDENCE,
    "high-risk-conditions": vocabulary.CONDITION,
    "roster-membership": vocabulary.ROSTER_KIND,
    "county": vocabulary.COUNTY,
    "work-county": vocabulary.COUNTY,
}
_FLAGS = frozenset({"in-person", "patient-contact"})
JURISDICTIONS = "urn:iso:std:iso:3166:-2"


def read(resource: Mapping[str, Any], reference: str) -> Group:
    """The Group; `reference` names the stored version. ValueError, with a sentence, where it is no usable phase."""
    phase, policy = _identifier(resource, vocabulary.PHASE), _identifier(resource, vocabulary.POLICY)
    if phase is None or policy is None:
        raise ValueError("it has no phase or no policy among its identifiers")
    version = _identifier(resource, vocabulary.PHASE_VERSION) or {}
    start, end = _period(policy.get("period", {}))
    characteristics = resource.get("characteristic", ())
    if not characteristics:
        raise ValueError("it has no criterion, which would take in everybody")
    periods = [_period(characteristic.get("period", {})) for characteristic in characteristics]
    return Group(
        reference,
        phase["value"],
        Policy(policy["value"], start, end, _jurisdiction(resource), _authority(policy)),
        version.get("value", ""),
        tuple(criterion(characteristic) for characteristic in characteristics),
        max((opens for opens, _ in periods if opens is not None), default=None),
        min((closes for _, closes in periods if closes is not None), default=None),
        _titles(resource, phase["value"]),
    )


def criterion(characteristic: Mapping[str, Any]) -> Criterion:
    """One characteristic as a criterion. ValueError for a code or value that is none of ours."""
    code = vocabulary.own_code(characteristic.get("code", {}), vocabulary.CRITERION)
    exclude = characteristic.get("exclude", False)
    match code, characteristic:
        case "age", {"valueRange": values}:
            low, high = _years(values.get("low")), _years(values.get("high"))
            if low is None and high is None:
                raise ValueError("the age has neither a lower nor an upper end")
            return AgeRange(low, high, exclude)
        case str(), {"valueBoolean": bool(wanted)} if code in _FLAGS:
            return Flag(code, wanted, exclude)
        case str(), {"valueCodeableConcept": concept} if code in _CODED:
            wanted_code = vocabulary.own_code(concept, _CODED[code])
            term = vocabulary.term(_CODED[code], wanted_code or "")
            if wanted_code is None or term is None:
                raise ValueError(f"the criterion {code!r} names no code of {_CODED[code]}")
            return AnyCode(code, wanted_code, term.narrower | {wanted_code}, term.broader, exclude)
        case _:
            raise ValueError(f"a characteristic is no criterion this server knows: {code or 'without a code'}")


def is_phase(resource: Mapping[str, Any]) -> bool:
    """Whether a Group is a phase in use: neither a roster nor retired."""
    return resource.get("actual") is False and resource.get("active") is not False


def _identifier(resource: Mapping[str, Any], system: str) -> Mapping[str, Any] | None:
    identifiers: Iterable[Mapping[str, Any]] = resource.get("identifier", ())
    return next((found for found in identifiers if found.get("system") == system and found.get("value")), None)


def _authority(policy: Mapping[str, Any]) -> str | None:
    assigner: Mapping[str, Any] = policy.get("assigner", {})
    return assigner.get("display") or assigner.get("reference")


def _jurisdiction(resource: Mapping[str, Any]) -> str | None:
    for extension in resource.get("extension", ()):
        if extension.get("url") == vocabulary.JURISDICTION:
            return vocabulary.own_code(extension.get("valueCodeableConcept", {}), JURISDICTIONS)
    return None


def _titles(resource: Mapping[str, Any], phase: str) -> Mapping[str, str]:
    name = resource.get("name", phase)
    return {"en": name, "es": vocabulary.translated(resource, "name", "es") or name}


def _years(quantity: Mapping[str, Any] | None) -> int | None:
    if quantity is None:
        return None
    value = quantity.get("value")
    if quantity.get("code", "a") != "a" or value is None or value != int(value):
        raise ValueError("an age is a whole number of years (UCUM code a)")
    return int(value)


def _period(period: Mapping[str, Any]) -> tuple[date | None, date | None]:
    start, end = period.get("start"), period.get("end")
    return (None if start is None else _day(start)), (None if end is None else _day(end))


def _day(text: str) -> date:
    """The local calendar day of a dateTime. ValueError for a bare year or month: no day would be the right one."""
    try:
        return date.fromisoformat(text[:10])
    except ValueError:
        raise ValueError(f"a period needs whole days, not {text!r}") from None
