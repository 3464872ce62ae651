"""Results: the parameters of a search that shape its answer: sort, count, total, summary, elements, includes.

https://hl7.org/fhir/R4/search.html#return
"""

import re
from dataclasses import dataclass
from typing import Literal, get_args

from fhir_server.fhir.outcome import FhirError, refuse
from fhir_server.fhir.params import parameters
from profiles.definitions import RESOURCE_TYPES, children, elements

Total = Literal["none", "estimate", "accurate"]
Summary = Literal["true", "text", "data", "count", "false"]

SORTS = 4
"""A search may have this many sort keys."""

_COUNT = re.compile(r"\d+", re.ASCII)
_MANY = 9
"""A number of more digits is beyond any limit, whatever they are."""
_UNSORTED = frozenset({"composite", "special"})


@dataclass(frozen=True, slots=True)
class Sort:
    """A sort key: the label of a parameter, `_id` or `_lastUpdated`."""

    label: str
    descending: bool = False


@dataclass(frozen=True, slots=True)
class Include:
    """Add what resources of type `source` refer to by `parameter` (`*`: by any), only of type `target` if given.

    `reverse`: add instead the resources of type `source` that so refer to what was found. `iterate`: from what was
    added go on.
    """

    source: str
    parameter: str
    target: str | None = None
    iterate: bool = False
    reverse: bool = False


def count(value: str) -> int:
    """`_count`: a number of resources. FhirError 400 for anything but digits."""
    if not _COUNT.fullmatch(value):
        raise _wrong("_count", value, "it is a number of resources, 0 or more")
    return int(value) if len(value) <= _MANY else 10**_MANY


def total(value: str) -> Total:
    """`_total`."""
    for known in get_args(Total):
        if value == known:
            found: Total = known
            return found
    raise _wrong("_total", value, "it is none, estimate or accurate")


def summary(value: str) -> Summary:
    """`_summary`."""
    for known in get_args(Summary):
        if value == known:
            found: Summary = known
            return found
    raise _wrong("_summary", value, "it is true, text, data, count or false")


def contained(value: str) -> None:
    """`_contained`: false, for contained resources are not found by themselves. FhirError 400."""
    if value in ("true", "both"):
        text = "Contained resources are not searched: _contained is false or absent."
        raise refuse(400, "not-supported", "not-supported", text, "_contained")
    if value != "false":
        raise _wrong("_contained", value, "it is true, both or false")


def contained_type(value: str) -> None:
    """`_containedType`, which has no effect while `_contained` is false. FhirError 400 for an unknown value."""
    if value not in ("container", "contained"):
        raise _wrong("_containedType", value, "it is container or contained")


def wanted(type: str, value: str) -> tuple[str, ...]:
    """`_elements`: names of elements at the top of the type."""
    names = tuple(name.strip().removeprefix(f"{type}.") for name in value.split(","))
    for name in names:
        if name not in elements(type) and name not in children(type):
            raise _wrong("_elements", value, f"{type} has no element {name or '(empty)'}")
    return names


def sort(type: str, value: str) -> tuple[Sort, ...]:
    """`_sort`: parameter names, each with a hyphen before it where the order is descending; one named again says
    nothing more."""
    found: dict[str, Sort] = {}
    for text in value.split(","):
        name = text.removeprefix("-")
        parameter = parameters(type).get(name)
        if parameter is None or parameter.type in _UNSORTED:
            raise _wrong("_sort", value, f"{type} cannot be sorted by {name or '(empty)'}")
        found.setdefault(parameter.label, Sort(parameter.label, text.startswith("-")))
    if len(found) > SORTS:
        raise _wrong("_sort", value, f"more than {SORTS} keys")
    return tuple(found.values())


def include(name: str, value: str) -> Include:
    """`_include` or `_revinclude`, perhaps `:iterate`: `Type:parameter`, `Type:parameter:Target`, `Type:*`, `*`."""
    plain, _, modifier = name.partition(":")
    if modifier not in ("", "iterate", "recurse"):
        raise refuse(400, "invalid", "invalid-modifier", f"{plain} knows no modifier {modifier}.", name)
    reverse, iterate = plain == "_revinclude", modifier != ""
    if value == "*":
        return Include("*", "*", None, iterate, reverse)
    source, _, rest = value.partition(":")
    code, _, target = rest.partition(":")
    if source not in RESOURCE_TYPES or not code or (target and target not in RESOURCE_TYPES):
        raise _wrong(name, value, "it is written Type:parameter or Type:parameter:Target")
    if code == "*":
        return Include(source, "*", target or None, iterate, reverse)
    parameter = parameters(source).get(code)
    if parameter is None or parameter.type != "reference":
        raise _wrong(name, value, f"{source} has no reference parameter {code}")
    if target and parameter.targets and target not in parameter.targets:
        raise _wrong(name, value, f"{code} of {source} does not refer to {target}")
    return Include(source, code, target or None, iterate, reverse)


def _wrong(name: str, value: str, reason: str) -> FhirError:
    return refuse(400, "value", "invalid-value", f"{name}={value[:200]} is not valid: {reason}.", name)
