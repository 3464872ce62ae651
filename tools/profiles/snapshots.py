"""Snapshots: the full list of elements of a profile, made from its base's and the short differential written by hand.

https://hl7.org/fhir/R4/profiling.html#snapshot

A differential element is found by its id. Where it reaches into a datatype, the datatype's elements are unfolded; where
it names a slice, the sliced element and all below it are repeated under the slice's id.
"""

from collections.abc import Callable, Mapping
from copy import deepcopy
from typing import Any

Element = dict[str, Any]
Find = Callable[[str], Mapping[str, Any] | None]
"""A canonical -> the StructureDefinition with a snapshot, or None."""

_DROPPED = ("mapping", "alias", "requirements", "comment", "example")
"""What a snapshot of ours does without: none of it is a rule, and it is most of the text."""

_TYPES = "http://hl7.org/fhir/StructureDefinition/"


def snapshot(definition: Mapping[str, Any], find: Find) -> list[Element]:
    """The elements of a definition's snapshot. ValueError for an id that leads nowhere."""
    base = find(definition["baseDefinition"])
    if base is None:
        raise ValueError(f"{definition['url']}: its base {definition['baseDefinition']} is not at hand")
    elements = [_own(element) for element in base["snapshot"]["element"]]
    for change in definition["differential"]["element"]:
        _apply(definition["url"], elements, change, find)
    return elements


def _own(element: Mapping[str, Any]) -> Element:
    made = deepcopy({name: value for name, value in element.items() if name not in _DROPPED})
    made.setdefault("id", made["path"])
    return made


def _apply(url: str, elements: list[Element], change: Mapping[str, Any], find: Find) -> None:
    wanted = change["id"]
    place = _place(elements, wanted)
    if place is None:
        holder = wanted.rpartition(".")[0]
        last, is_slice, slice_name = wanted.rpartition(".")[2].partition(":")
        if is_slice:
            _open_slice(url, elements, f"{holder}.{last}", slice_name, find)
        else:
            _unfold(url, elements, holder, find)
        place = _place(elements, wanted)
    if place is None:
        raise ValueError(f"{url}: {wanted} is no element of its base")
    target = elements[place]
    for name, value in change.items():
        if name == "constraint":
            target["constraint"] = [*target.get("constraint", ()), *deepcopy(value)]
        elif name not in ("id", "path"):
            target[name] = deepcopy(value)


def _place(elements: list[Element], wanted: str) -> int | None:
    return next((n for n, element in enumerate(elements) if element["id"] == wanted), None)


def _open_slice(url: str, elements: list[Element], sliced: str, name: str, find: Find) -> None:
    """Repeat the sliced element, and what stands below it, as a slice; after the slices already there."""
    start = _place(elements, sliced)
    if start is None:
        _unfold(url, elements, sliced.rpartition(".")[0], find)
        start = _place(elements, sliced)
    if start is None:
        raise ValueError(f"{url}: {sliced} cannot be sliced, it is not there")
    own = [e for e in elements if e["id"] == sliced or e["id"].startswith(sliced + ".")]
    last = max(n for n, e in enumerate(elements) if _within(e["id"], sliced))
    copies = []
    for element in own:
        copied = deepcopy(element)
        copied["id"] = f"{sliced}:{name}" + element["id"][len(sliced) :]
        copied.pop("slicing", None) if element["id"] == sliced else None
        copies.append(copied)
    copies[0] |= {"sliceName": name, "min": 0}
    elements[last + 1 : last + 1] = copies


def _within(found: str, sliced: str) -> bool:
    return found == sliced or found.startswith((sliced + ".", sliced + ":"))


def _unfold(url: str, elements: list[Element], holder: str, find: Find) -> None:
    """Put the elements of the holder's datatype below it."""
    place = _place(elements, holder)
    if place is None:
        above = holder.rpartition(".")[0]
        if not above:
            raise ValueError(f"{url}: {holder} is not there")
        name, is_slice, slice_name = holder.rpartition(".")[2].partition(":")
        if is_slice:
            _open_slice(url, elements, f"{above}.{name}", slice_name, find)
        else:
            _unfold(url, elements, above, find)
        place = _place(elements, holder)
        if place is None:
            raise ValueError(f"{url}: {holder} is not there")
    types = elements[place].get("type", [])
    if len(types) != 1:
        raise ValueError(f"{url}: {holder} has {len(types)} types; name one before going into it")
    canonical = (types[0].get("profile") or [_TYPES + types[0]["code"]])[0]
    found = find(canonical)
    if found is None:
        raise ValueError(f"{url}: the type {canonical} of {holder} is not at hand")
    path = elements[place]["path"]
    below = []
    for element in found["snapshot"]["element"][1:]:
        made = _own(element)
        root = found["snapshot"]["element"][0]["path"]
        made["path"] = path + made["path"][len(root) :]
        made["id"] = holder + element.get("id", element["path"])[len(root) :]
        below.append(made)
    elements[place + 1 : place + 1] = below
