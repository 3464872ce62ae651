"""Members: the check of each member an object may have, made from its element definition.

https://hl7.org/fhir/R4/json.html
"""

import re
from collections.abc import Callable
from typing import Any

from profiles import bindings, narrative, primitives
from profiles.contained import local_reference
from profiles.definitions import PRIMITIVE_TYPES, RESOURCE_TYPES, Element, value_set
from profiles.problem import LIMIT, Problem, Problems, joined, sound, under

Node = Callable[[Any], Problems]
Member = Callable[[Any, dict[str, Any]], Problems]
"""Checks a member's value, given also the object that holds it (a primitive's `_name` sibling stands there)."""

_relative = re.compile(r"([A-Z][A-Za-z]*)[/?]").match


def primitive(name: str, element: Element, type_name: str) -> Member:
    """The member that holds a primitive's value, or the array of its values."""
    checker = narrative.check if type_name == "xhtml" else primitives.CHECKERS[type_name]
    bound = value_set(element.value_set) if element.value_set else None
    if element.value_set and bound:
        checker = bindings.coded(checker, element.value_set, bound)
    where = f".{element.name}"

    def one(value: Any, _: dict[str, Any]) -> Problems:
        fault = checker(value)
        if fault is None:
            return None
        return [Problem(where, *fault)] if type(value) is not list else [_not_many(where, name)]

    def many(values: Any, owner: dict[str, Any]) -> Problems:
        if type(values) is not list or not values:
            return [_not_one(where, name, values)]
        problems = []
        for index, value in enumerate(values):
            if value is None and _at(owner.get(f"_{name}"), index) is not None:
                continue
            fault = checker(value)
            if fault:
                problems.append(Problem(f"{where}[{index}]", *fault))
                if len(problems) > LIMIT:
                    break
        return problems or None

    return many if element.many else one


def sibling(name: str, element: Element, inner: Node) -> Member:
    """The member `_name`, which holds id and extensions of the primitive `name`, aligned with its values."""
    where = f".{element.name}"

    def content(value: Any, has_value: bool, at: str) -> list[Problem]:
        problems = under(at, inner(value) or ())
        if not problems and not has_value and "extension" not in value:
            problems.append(
                Problem(
                    at, "structure", "empty-element", f'"_{name}" has an id, but "{name}" neither value nor extension.'
                )
            )
        return problems

    def one(value: Any, owner: dict[str, Any]) -> Problems:
        return content(value, name in owner, where) or None

    def many(values: Any, owner: dict[str, Any]) -> Problems:
        if type(values) is not list or not values:
            return [_not_one(where, f"_{name}", values)]
        beside = owner.get(name)
        problems = []
        if type(beside) is list and len(beside) != len(values):
            text = f'"{name}" has {len(beside)} entries and "_{name}" {len(values)}; null fills the shorter one.'
            problems.append(Problem(where, "structure", "misaligned-arrays", text))
        for index, value in enumerate(values):
            has_value = _at(beside, index) is not None
            if value is not None:
                problems += content(value, has_value, f"{where}[{index}]")
            elif not has_value and type(beside) is not list:
                fault = primitives.wrong_kind(None, f"id or extension of {name}", "an object")
                problems.append(Problem(f"{where}[{index}]", *fault))
            if len(problems) > LIMIT:
                break
        return problems or None

    return many if element.many else one


def complex_member(name: str, element: Element, inner: Node) -> Member:
    """The member that holds an object, or the array of them."""
    where = f".{element.name}"

    def one(value: Any, _: dict[str, Any]) -> Problems:
        problems = inner(value)
        if problems is None:
            return None
        return under(where, problems) if type(value) is not list else [_not_many(where, name)]

    def many(values: Any, _: dict[str, Any]) -> Problems:
        if type(values) is not list or not values:
            return [_not_one(where, name, values)]
        found: Problems = None
        for index, value in enumerate(values):
            problems = inner(value)
            if problems:
                found = joined(found, under(f"{where}[{index}]", problems))
                if len(found or ()) > LIMIT:
                    break
        return found

    return many if element.many else one


def concept(element: Element, inner: Node) -> Node:
    """`inner` for a CodeableConcept, and its required binding where the element has one whose codes are known."""
    url = element.value_set
    bound = value_set(url) if url else None
    if url is None or bound is None:
        return inner

    def check(value: Any) -> Problems:
        problems = inner(value)
        return joined(problems, bindings.concept(value, url, bound)) if sound(problems) else problems

    return check


def reference(element: Element, inner: Node) -> Node:
    """`inner` for a Reference: `#id` reaches a contained resource; a relative URL (a warning) a type allowed here."""
    targets = frozenset(element.targets)

    def check(value: Any) -> Problems:
        problems = inner(value)
        target = value.get("reference") if sound(problems) else None
        if target is None:
            return problems
        if target.startswith("#"):
            return joined(problems, [local_reference(target)])
        match = _relative(target) if targets else None
        if match is None or match[1] in targets or match[1] not in RESOURCE_TYPES:
            return problems
        text = f"{primitives.shown(target)} refers to a {match[1]}; allowed are {', '.join(sorted(targets))}."
        return joined(problems, [Problem(".reference", "value", "wrong-reference-target", text, "warning")])

    return check


def is_primitive(type_name: str) -> bool:
    """Whether JSON writes the type as a plain value."""
    return type_name in PRIMITIVE_TYPES


def _at(values: Any, index: int) -> Any:
    return values[index] if type(values) is list and index < len(values) else None


def _not_many(where: str, name: str) -> Problem:
    return Problem(where, "structure", "unexpected-array", f'"{name}" holds one value (max 1), so it is not an array.')


def _not_one(where: str, name: str, value: Any) -> Problem:
    if value == []:
        return Problem(where, "structure", "empty-array", f'"{name}" is an empty array; leave the member out.')
    text = f'"{name}" repeats, so JSON writes it as an array; found {primitives.shown(value)}.'
    return Problem(where, "structure", "expected-array", text)
