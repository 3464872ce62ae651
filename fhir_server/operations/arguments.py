"""Arguments: an operation's input, checked against its OperationDefinition.

https://hl7.org/fhir/R4/operations.html#executing
"""

import re
from collections.abc import Iterable, Mapping
from datetime import date
from decimal import Decimal, InvalidOperation
from typing import Any

from fhir_server.fhir.outcome import FhirError, Issue, refuse

_BOOLEANS = {"true": True, "false": False}
_DATE = re.compile(r"\d{4}(-\d{2}(-\d{2})?)?")
_DATE_TIME = re.compile(r"\d{4}(-\d{2}(-\d{2}(T\d{2}:\d{2}:\d{2}(\.\d+)?(Z|[+-]\d{2}:\d{2}))?)?)?")
_TEXT = frozenset({"string", "uri", "url", "canonical", "code", "id", "markdown", "oid", "uuid"})


class Arguments:
    """Input values by parameter name. Primitives are str, bool, int or Decimal; others JSON objects."""

    def __init__(self, values: Mapping[str, list[Any]]) -> None:
        self._values = values

    def all(self, name: str) -> list[Any]:
        """Every value of the parameter, in order."""
        return self._values.get(name, [])

    def one(self, name: str) -> Any | None:
        """The value of a parameter that occurs at most once, or None."""
        return next(iter(self.all(name)), None)

    def having(self, name: str, value: Any) -> "Arguments":
        """These, with this one value of the parameter in place of what it had."""
        return Arguments({**self._values, name: [value]})

    def text(self, name: str) -> str | None:
        """A string-like value, or None."""
        value = self.one(name)
        return value if isinstance(value, str) else None

    def date(self, name: str) -> date | None:
        """A whole date, or None. FhirError 400 where only a year or month was given."""
        value = self.text(name)
        if value is None:
            return None
        try:
            return date.fromisoformat(value[:10])
        except ValueError:
            raise refuse(
                400, "value", "incomplete-date", f"'{name}' must be a whole date (2021-01-14), not '{value}'.", name
            ) from None


def from_query(pairs: Iterable[tuple[str, str]], definition: Mapping[str, Any]) -> Arguments:
    """Arguments of a GET. FhirError 400 for unknown names, wrong values, too many or missing parameters."""
    declared = _declared(definition)
    values: dict[str, list[Any]] = {}
    issues: list[Issue] = []
    for name, text in pairs:
        parameter = declared.get(name)
        if parameter is None:
            issues.append(_unknown(name, declared, definition))
            continue
        try:
            values.setdefault(name, []).append(_primitive(parameter.get("type", "value of parts"), text))
        except ValueError as error:
            issues.append(Issue("value", "invalid-value", f"'{name}': {error}", (name,)))
    return _complete(values, declared, issues, definition)


def from_resource(resource: Mapping[str, Any], definition: Mapping[str, Any]) -> Arguments:
    """Arguments of a POST: a Parameters resource, or the one resource-typed input itself.

    FhirError 400 for unknown names, wrong types, too many or missing parameters.
    """
    declared = _declared(definition)
    if resource.get("resourceType") != "Parameters":
        takers = [name for name, parameter in declared.items() if _takes(parameter, resource.get("resourceType"))]
        if len(takers) != 1:
            raise refuse(
                400,
                "invalid",
                "not-parameters",
                f"${definition['code']} takes a Parameters resource, not a {resource.get('resourceType')}.",
            )
        return _complete({takers[0]: [resource]}, declared, [], definition)
    values: dict[str, list[Any]] = {}
    issues: list[Issue] = []
    for number, given in enumerate(resource.get("parameter", [])):
        name, place = given["name"], f"Parameters.parameter[{number}]"
        parameter = declared.get(name)
        if parameter is None:
            issues.append(_unknown(name, declared, definition, place))
            continue
        try:
            values.setdefault(name, []).append(_given(parameter, given))
        except ValueError as error:
            issues.append(Issue("value", "invalid-value", f"'{name}': {error}", (place,)))
    return _complete(values, declared, issues, definition)


def spelled(resource: Mapping[str, Any], definition: Mapping[str, Any]) -> dict[str, Any]:
    """The Parameters with names as they are declared, whatever their case was. A date without a name gets that of the
    one date that is declared: clients that forecast vaccinations send such. Other resources as they are."""
    given = resource.get("parameter")
    if resource.get("resourceType") != "Parameters" or not isinstance(given, list):
        return dict(resource)
    declared = _declared(definition)
    dates = [name for name, parameter in declared.items() if parameter.get("type") == "date"]
    named = [_named(one, declared, dates) if isinstance(one, dict) else one for one in given]
    return {**resource, "parameter": named}


def spelling(name: str, definition: Mapping[str, Any]) -> str:
    """The name as it is declared, whatever its case; as it stands where none is declared so."""
    return next((one for one in _declared(definition) if one.lower() == name.lower()), name)


def _named(given: dict[str, Any], declared: Mapping[str, Any], dates: list[str]) -> dict[str, Any]:
    name = given.get("name")
    if isinstance(name, str):
        return {**given, "name": next((one for one in declared if one.lower() == name.lower()), name)}
    if name is None and len(dates) == 1 and not given.keys().isdisjoint({"valueDate", "valueDateTime"}):
        return {"name": dates[0], **given}
    return given


def _declared(definition: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    return {parameter["name"]: parameter for parameter in definition.get("parameter", []) if parameter["use"] == "in"}


def _unknown(name: str, declared: Mapping[str, Any], definition: Mapping[str, Any], place: str | None = None) -> Issue:
    known = ", ".join(declared) or "none"
    text = f"${definition['code']} has no parameter '{name}'. Its parameters: {known}."
    return Issue("not-supported", "unknown-parameter", text, (place or name,))


def _complete(
    values: dict[str, list[Any]],
    declared: Mapping[str, Mapping[str, Any]],
    issues: list[Issue],
    definition: Mapping[str, Any],
) -> Arguments:
    for name, parameter in declared.items():
        count, most = len(values.get(name, ())), parameter["max"]
        if count < parameter["min"]:
            text = f"${definition['code']} needs the parameter '{name}'."
            issues.append(Issue("required", "missing-parameter", text, (name,)))
        if most != "*" and count > int(most):
            text = f"'{name}' may be given {most} time(s), not {count}."
            issues.append(Issue("invalid", "repeated-parameter", text, (name,)))
    if issues:
        raise FhirError(400, issues)
    return Arguments(values)


def _takes(parameter: Mapping[str, Any], resource_type: Any) -> bool:
    return parameter.get("type") in ("Resource", "Any", resource_type)


def _given(parameter: Mapping[str, Any], given: Mapping[str, Any]) -> Any:
    kind = parameter.get("type", "")
    if "resource" in given:
        found = given["resource"].get("resourceType")
        if not _takes(parameter, found):
            raise ValueError(f"a {kind} is expected, not a {found}")
        return given["resource"]
    member = next((member for member in given if member.startswith("value")), None)
    if member is None:
        raise ValueError("it has no value")
    value, found = given[member], member.removeprefix("value")
    if isinstance(value, dict):
        if found != kind:
            raise ValueError(f"a {kind} is expected, not a {found}")
        return value
    # Clients mix the string-like types up; what counts is that the text is one of the declared type.
    return _primitive(kind, value) if isinstance(value, str) else _same_kind(kind, value)


def _same_kind(kind: str, value: Any) -> Any:
    fits = {
        "boolean": isinstance(value, bool),
        "integer": isinstance(value, int) and not isinstance(value, bool),
        "positiveInt": isinstance(value, int) and not isinstance(value, bool) and value > 0,
        "unsignedInt": isinstance(value, int) and not isinstance(value, bool) and value >= 0,
        "decimal": isinstance(value, int | Decimal) and not isinstance(value, bool),
    }
    if not fits.get(kind, False):
        raise ValueError(f"a {kind} is expected, not {value}")
    return value


def _primitive(kind: str, text: str) -> Any:
    match kind:
        case "boolean":
            if text not in _BOOLEANS:
                raise ValueError(f"true or false is expected, not '{text}'")
            return _BOOLEANS[text]
        case "integer" | "positiveInt" | "unsignedInt":
            if not re.fullmatch(r"-?\d{1,9}", text):
                raise ValueError(f"a whole number is expected, not '{text}'")
            return _same_kind(kind, int(text))
        case "decimal":
            try:
                return Decimal(text)
            except InvalidOperation:
                raise ValueError(f"a number is expected, not '{text}'") from None
        case "date" | "dateTime" | "instant":
            return _calendar(kind, text)
        case _ if kind in _TEXT:
            if not text.strip():
                raise ValueError("it is empty")
            return text
        case _:
            raise ValueError(f"a {kind} cannot be given as text; send it in a Parameters resource")


def _calendar(kind: str, text: str) -> str:
    pattern = _DATE if kind == "date" else _DATE_TIME
    example = "2021-01-14" if kind == "date" else "2021-01-14T09:30:00-05:00"
    if not pattern.fullmatch(text) or not _exists(text[:10]):
        raise ValueError(f"a {kind} such as {example} is expected, not '{text}'")
    return text


def _exists(day: str) -> bool:
    try:
        date.fromisoformat(day + "-01-01"[len(day) - 10 :] if len(day) < 10 else day)
    except ValueError:
        return False
    return True
