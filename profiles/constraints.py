"""Constraints: FHIRPath invariants of profiles and of R4, the common ones compiled by hand, others by a library.

https://hl7.org/fhir/R4/conformance-rules.html#constraints

Guides choose their keys freely, so what is compiled by hand is known by its expression, never by its key.
"""

import re
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any, NamedTuple, Protocol

from fhirpathpy import apply_parsed_path
from fhirpathpy.engine.nodes import ResourceNode
from fhirpathpy.models import models
from fhirpathpy.parser import parse

from profiles.definitions import RESOURCE_TYPES


class World(Protocol):
    """What an expression may ask beyond its own value."""

    @property
    def resource(self) -> dict[str, Any]:
        """`%resource`: the resource the value stands in."""

    def resolve(self, reference: str) -> dict[str, Any] | None:
        """The resource a reference reaches without leaving what is checked, or None."""

    def member_of(self, value_set: str, value: Any) -> bool | None:
        """Whether a code, Coding or CodeableConcept is in the value set; None if that cannot be told."""

    def affords(self) -> bool:
        """Whether one more expression may be evaluated by the library; asking counts it."""


Holds = Callable[[Any, World], bool]


class Constraint(NamedTuple):
    """One constraint of a definition. `severity` is error or warning, `expression` FHIRPath, `human` its sentence."""

    key: str
    severity: str
    expression: str
    human: str

    @property
    def detail(self) -> str:
        """Our code for a breach: the key in lower case, without what a code may not have."""
        return "constraint-" + re.sub(r"[^a-z0-9.-]+", "-", self.key.lower())

    def holds(self, value: Any, at: str, world: World) -> bool | None:
        """Whether the constraint holds for the value of the element `at`; None if it cannot be evaluated here."""
        by_hand = HAND.get(" ".join(self.expression.split()))
        if by_hand is not None:
            return by_hand(value, world)
        return _evaluated(self.expression, value, at, world) if world.affords() else None


@cache
def constraint(key: str, severity: str, expression: str, human: str) -> Constraint:
    """The one Constraint with these members."""
    return Constraint(key, "error" if severity == "error" else "warning", expression, human)


def _evaluated(expression: str, value: Any, at: str, world: World) -> bool | None:
    functions = {
        "resolve": {"fn": lambda found: _resolved(found, world), "arity": {0: []}},
        "memberOf": {"fn": lambda found, url: _members(found, url, world), "arity": {1: ["String"]}},
    }
    try:
        result = apply_parsed_path(
            ResourceNode.create_node(value, at),
            _parsed(expression),
            {"resource": world.resource, "rootResource": world.resource},
            models["r4"],
            {"userInvocationTable": functions, "traceFn": _silent},
        )
    # The library raises bare Exception for what it does not implement; arithmetic and type errors of an expression
    # that meets a value it was not written for come as they are. None of them says anything about the resource.
    except Exception:
        return None
    if result == [True] or result is True:
        return True
    # A collection of one item that is no boolean counts as true (FHIRPath, singleton evaluation).
    return len(result) == 1 and type(result[0]) is not bool if type(result) is list else bool(result)


def _silent(*_: Any) -> None:
    """Where `trace()` goes: the library would print it."""


@cache
def _parsed(expression: str) -> Any:
    # The library knows $this within a function's argument only.
    return parse(f"select({expression})")


def _resolved(found: list[Any], world: World) -> list[Any]:
    """What references reach; where that is elsewhere, a resource of the type the reference names."""
    reached = []
    for each in found:
        text = each.get("reference") if type(each) is dict else each
        resource = world.resolve(text) if type(text) is str else None
        if resource is None and (name := reference_type(each)):
            resource = {"resourceType": name}
        if resource is not None:
            reached.append(ResourceNode.create_node(resource, resource.get("resourceType")))
    return reached


def _members(found: list[Any], url: str, world: World) -> bool:
    return all(world.member_of(url, each) is not False for each in found)


_REFERENCE = re.compile(r"(?:^|.*/)([A-Z][A-Za-z]+)/[A-Za-z0-9\-.]{1,64}(?:/_history/[A-Za-z0-9\-.]{1,64})?")


def reference_type(value: Any) -> str | None:
    """The resource type a Reference (or its text) names, as far as it says."""
    text = value.get("reference") if type(value) is dict else value
    match = _REFERENCE.fullmatch(text) if type(text) is str else None
    if match and match[1] in RESOURCE_TYPES:
        return match[1]
    named = value.get("type") if type(value) is dict else None
    return named if named in RESOURCE_TYPES else None


_ABSENT = "http://hl7.org/fhir/StructureDefinition/data-absent-reason"
_UNSPECIFIED = frozenset(("http://hl7.org/fhir/sid/cvx", code) for code in ("213", "500", "998", "999"))
_NDC = "http://hl7.org/fhir/sid/ndc"
_CVX = "http://hl7.org/fhir/sid/cvx"


def _any_of(*names: str) -> Holds:
    present = frozenset(name for each in names for name in (each, f"_{each}"))
    return lambda value, _: not present.isdisjoint(value)


def _named_or_absent(value: Any, _: World) -> bool:
    named = not {"family", "given", "_family", "_given"}.isdisjoint(value)
    return named != any(e.get("url") == _ABSENT for e in value.get("extension", ()))


def _digits(form: str) -> Holds:
    matches = re.compile(form).search

    def holds(value: Any, _: World) -> bool:
        text = value.get("value")
        return type(text) is not str or matches(text) is not None

    return holds


def luhn(value: Any, _: World) -> bool:
    """Whether an NPI of ten digits has the right check digit; other values are another constraint's matter."""
    text = value.get("value")
    if type(text) is not str or re.fullmatch("[0-9]{10}", text) is None:
        return True
    doubled = sum(sum(divmod(2 * int(digit), 10)) for digit in text[0::2])
    return (doubled + sum(int(digit) for digit in text[1::2]) + 24) % 10 == 0


def _systems(value: Mapping[str, Any]) -> set[Any]:
    return {coding.get("system") for coding in value.get("vaccineCode", {}).get("coding", ())}


def _acts_for(value: Any, world: World) -> bool:
    who = value.get("who")
    if "onBehalfOf" in value or type(who) is not dict:
        return True
    text = who.get("reference")
    found = world.resolve(text) if type(text) is str else None
    acting = found.get("resourceType") if found is not None else reference_type(who)
    return acting not in ("Practitioner", "Device")


def _unknown_alone(value: Any, _: World) -> bool:
    categories = [e for e in value.get("extension", ()) if e.get("url") == "ombCategory"]
    unknown = any(e.get("valueCoding", {}).get("code") in ("ASKU", "UNK") for e in categories)
    return not unknown or len(categories) == 1


def _whole_day(value: Any, _: World) -> bool:
    return type(value) is not str or len(value) >= 10


_NPI_CHECK = (
    "(((select(value.substring(0,1).toInteger()).select(iif($this<5, $this*2, (($this*2)-9))))+"
    + "+".join(
        f"(value.substring({n},1).toInteger())"
        if n % 2
        else f"(select(value.substring({n},1).toInteger()).select(iif($this<5, $this*2, (($this*2)-9))))"
        for n in range(1, 10)
    )
    + " + 24)mod 10=0)"
)

HAND: dict[str, Holds] = {
    "telecom or endpoint": _any_of("telecom", "endpoint"),
    "telecom.exists() or endpoint.exists()": _any_of("telecom", "endpoint"),
    "practitioner or organization or healthcareService or location": _any_of(
        "practitioner", "organization", "healthcareService", "location"
    ),
    "practitioner.exists() or organization.exists() or healthcareService.exists() or location.exists()": _any_of(
        "practitioner", "organization", "healthcareService", "location"
    ),
    "name.exists() or relationship.exists()": _any_of("name", "relationship"),
    f"(family.exists() or given.exists()) xor extension.where(url='{_ABSENT}').exists()": _named_or_absent,
    "family.exists() or given.exists() or text.exists()": _any_of("family", "given", "text"),
    "value.matches('^[0-9]{10}$')": _digits("^[0-9]{10}$"),
    "value.matches('^[0-9]{2}D[0-9]{7}$')": _digits("^[0-9]{2}D[0-9]{7}$"),
    "value.matches('^[0-9]{5}$')": _digits("^[0-9]{5}$"),
    _NPI_CHECK: luhn,
    f"vaccineCode.coding.where(system='{_NDC}').empty()": lambda value, _: _NDC not in _systems(value),
    f"vaccineCode.coding.where(system='{_CVX}').exists() implies vaccineCode.coding.where(system='{_NDC}').exists()": (
        lambda value, _: _CVX not in _systems(value) or _NDC in _systems(value)
    ),
    "who.exists((resolve() is Practitioner) or (resolve() is Device)) implies onBehalfOf.exists()": _acts_for,
    "extension.where(url = 'ombCategory').value.where(code in 'ASKU'|'UNK').exists() implies "
    "extension.where(url = 'ombCategory').count() = 1": _unknown_alone,
    "operator = 'exists' implies (answer is Boolean)": (
        lambda value, _: value.get("operator") != "exists" or "answerBoolean" in value
    ),
    "coding.exists() or text.exists()": _any_of("coding", "text"),
    "$this.toString().length() >= 10": _whole_day,
    "$this.toString().length() = 10": lambda value, _: type(value) is not str or len(value) == 10,
    f"coding.where(system = '{_CVX}' and (code = '213' or code = '500' or code = '998' or code = '999')).empty()": (
        lambda value, _: _UNSPECIFIED.isdisjoint((c.get("system"), c.get("code")) for c in value.get("coding", ()))
    ),
    "$this is DateTime implies $this.toString().length() >= 10": _whole_day,
    "$this is dateTime implies $this.toString().length() >= 10": _whole_day,
}
"""Expression, single-spaced -> function of the value and the world around it."""
