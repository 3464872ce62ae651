"""Structure: is a JSON value a valid R4 4.0.1 resource; every fault with its FHIRPath.

https://hl7.org/fhir/R4/validation.html

Checked: element names, JSON kinds, formats, cardinalities, choices, required bindings, extensions on primitives,
narrative, contained resources and the invariants of profiles/invariants.py. Not checked: other invariants, profiles,
extensible bindings, and whether references outside the resource exist.
"""

from functools import cache
from typing import Any

from profiles import contained, invariants
from profiles.definitions import RESOURCE_TYPES, Element, Invariant, children, elements
from profiles.issue import Issue
from profiles.members import Member, Node, complex_member, concept, is_primitive, primitive, reference, sibling
from profiles.primitives import shown, wrong_kind
from profiles.problem import LIMIT, Problem, Problems, joined, sound, step


def check(resource: Any) -> list[Issue]:
    """Everything wrong with a parsed JSON resource; it is valid if no issue's severity is "error". Never raises.

    Numbers are int or decimal.Decimal. Expressions start at the resource's type: `Patient.contact[0].name.given[1]`.
    """
    try:
        problems = _resource(resource)
    except RecursionError:
        return [Issue("too-costly", "too-deep", "The resource is nested too deeply to be checked.")]
    if problems is None:
        return []
    name = resource.get("resourceType") if type(resource) is dict else None
    root = name if type(name) is str and name in RESOURCE_TYPES else ""
    issues = [Issue(p.code, p.detail, p.text, _expression(root + p.where), p.severity) for p in problems[:LIMIT]]
    if len(problems) > LIMIT:
        text = f"There are more problems; the first {LIMIT} are listed."
        issues.append(Issue("informational", "more-problems", text, severity="information"))
    return issues


def _expression(path: str) -> tuple[str, ...]:
    return (path.removeprefix("."),) if path else ()


def _resource(value: Any) -> Problems:
    """A resource that stands for itself: at the root, in a Bundle's entry or in Parameters."""
    problems = _typed(value)
    if type(value) is dict and "contained" in value:
        problems = joined(problems, contained.faults(value["contained"]))
    return problems and contained.settled(value, problems)


def _typed(value: Any) -> Problems:
    if type(value) is not dict:
        return [Problem("", *wrong_kind(value, "a resource", "an object"))]
    name = value.get("resourceType")
    if name is None:
        text = 'A resource names its type in the member "resourceType"; there is none.'
        return [Problem(".resourceType", "required", "missing-resource-type", text)]
    if type(name) is not str or name not in RESOURCE_TYPES:
        alike = [t for t in RESOURCE_TYPES if type(name) is str and t.casefold() == name.casefold()]
        hint = f'; did you mean "{alike[0]}"?' if alike else "."
        text = f"{shown(name)} is not a resource type of R4{hint}"
        return [Problem(".resourceType", "structure", "unknown-resource-type", text)]
    return node(name)(value)


@cache
def node(path: str) -> Node:
    """The check of an object at a definition path (`HumanName`, `Patient.contact` or a resource type)."""
    members = _Members(path)
    known = members.get
    is_element = path not in RESOURCE_TYPES
    required = frozenset(e.name for e in elements(path).values() if e.min and not e.choice)
    choices = {e: frozenset(n for name in e.names() for n in (name, f"_{name}")) for e in _choices(path)}
    any_choice = frozenset[str]().union(*choices.values())
    must_choose = sum(e.min for e in choices)
    rules = invariants.rules(path)

    def check(value: Any) -> Problems:
        if type(value) is not dict:
            return [Problem("", *wrong_kind(value, path, "an object"))]
        problems: Problems = None
        for name, item in value.items():
            found = (known(name) or members[name])(item, value)
            if found:
                problems = joined(problems, found)
                if len(problems or ()) > LIMIT:
                    return problems
        if is_element and len(value) < 2 and (not value or ("id" in value and path != "Element")):
            text = f"This {path} has neither a value nor children; leave it out."
            return joined(problems, [Problem("", "structure", "empty-element", text)])
        names = value.keys()
        if required and not names >= required:
            problems = joined(problems, _missing(path, value))
        if choices:
            present = any_choice.intersection(names)
            if len(present) > 1 or len(present) < must_choose:
                for element, group in choices.items():
                    problems = joined(problems, _choice(path, element, {n.lstrip("_") for n in group & present}))
        if rules and (problems is None or sound(problems)):
            problems = joined(problems, _broken(rules, value))
        return problems

    return check


class _Members(dict[str, Member]):
    """JSON member name -> its check. Members are compiled when first met: most of a type's are never used."""

    def __init__(self, path: str) -> None:
        super().__init__()
        self.path = path
        if path in RESOURCE_TYPES:
            self["resourceType"] = lambda _, __: None

    def __missing__(self, name: str) -> Member:
        known = children(self.path)
        if name in known:
            element, type_name = known[name]
            if is_primitive(type_name):
                self[name] = primitive(name, element, type_name)
            else:
                self[name] = complex_member(name, element, _inner(self.path, element, type_name))
            return self[name]
        beside = known.get(name[1:]) if name[:1] == "_" else None
        if beside and is_primitive(beside[1]) and beside[1] != "xhtml" and not beside[0].attribute:
            self[name] = sibling(name[1:], beside[0], node("Element"))
            return self[name]
        return self._unknown(name)

    def _unknown(self, name: str) -> Member:
        """Not kept: a client can make up names without end."""

        def member(_: Any, __: dict[str, Any]) -> Problems:
            known = children(self.path)
            element = elements(self.path).get(name)
            alike = [n for n in known if n.casefold() == name.casefold()]
            if element is not None:
                text = f'"{name}" is written with its type: {", ".join(element.names())}.'
            elif alike:
                text = f'{self.path} has no element {shown(name)}; did you mean "{alike[0]}"?'
            else:
                text = f"{self.path} has no element {shown(name)}; it may have {', '.join(known)}."
            return [Problem(step(name), "structure", "unknown-element", text)]

        return member


def _inner(path: str, element: Element, type_name: str) -> Node:
    """The check of one value of a complex element of `path`, with the invariants stated at the element itself."""
    check = _by_type(element, type_name)
    at = f"{path}.{element.name}"
    rules = invariants.rules(at) if at != type_name else ()

    def ruled(value: Any) -> Problems:
        problems = check(value)
        return joined(problems, _broken(rules, value)) if sound(problems) else problems

    return ruled if rules else check


def _by_type(element: Element, type_name: str) -> Node:
    if type_name == "Resource":
        return _typed if element.name == "contained" else _resource
    if type_name == "Reference":
        return reference(element, node(type_name))
    if type_name == "CodeableConcept":
        return concept(element, node(type_name))
    return node(type_name)


def _broken(rules: tuple[tuple[Invariant, invariants.Holds], ...], value: dict[str, Any]) -> Problems:
    return [
        Problem("", "invariant", f"invariant-{rule.key}", f"{rule.key}: {rule.human}")
        for rule, holds in rules
        if not holds(value)
    ] or None


def _choices(path: str) -> list[Element]:
    return [e for e in elements(path).values() if e.choice]


def _missing(path: str, value: dict[str, Any]) -> Problems:
    """Elements with min 1 that are absent, also as a `_name` sibling."""
    absent = [
        e for e in elements(path).values() if e.min and not e.choice and not value.keys() & {e.name, f"_{e.name}"}
    ]
    return [_required(path, element) for element in absent] or None


def _choice(path: str, element: Element, present: set[str]) -> Problems:
    if len(present) > 1:
        text = f"{path}.{element.name}[x] has one value, but there are {' and '.join(sorted(present))}."
        return [Problem(f".{element.name}", "structure", "several-choices", text)]
    return [_required(path, element)] if element.min and not present else None


def _required(path: str, element: Element) -> Problem:
    names = list(element.names())
    wanted = f'"{names[0]}"' if len(names) == 1 else f"one of {', '.join(names)}"
    text = f"{path} needs {wanted} (min {element.min}); it is missing."
    return Problem(f".{element.name}", "required", "missing-element", text)
