"""Composition: whether a concept passes the filters of an include.

https://hl7.org/fhir/R4/valueset-filter-operator.html
"""

from collections.abc import Callable, Iterable

from terminology.code_system import CodeSystem
from terminology.concept import Concept
from terminology.errors import UnsupportedFilterError
from terminology.value_set import Filter

Test = Callable[[Concept], bool]

_HIERARCHY = frozenset({"is-a", "descendent-of", "is-not-a", "generalizes", "in", "not-in", "="})


def test(system: CodeSystem, filters: Iterable[Filter]) -> Test:
    """A function that says whether a concept of `system` passes all filters. UnsupportedFilterError.

    Regular expressions are not run: they come from whoever stores a value set, and may take for ever.
    """
    tests = [_one(system, each) for each in filters]
    return tests[0] if len(tests) == 1 else lambda concept: all(each(concept) for each in tests)


def _one(system: CodeSystem, rule: Filter) -> Test:
    if rule.property in ("concept", "code") and rule.op in _HIERARCHY:
        return _by_code(system, rule)
    if rule.property == "parent" and rule.op == "=":
        return lambda concept: rule.value in concept.parents
    if rule.property == "child" and rule.op == "=":
        return lambda concept: rule.value in system.children.get(concept.code, ())
    values = frozenset(each.strip() for each in rule.value.split(","))
    match rule.op:
        case "=":
            return lambda concept: rule.value in _values(concept, rule.property)
        case "in":
            return lambda concept: not values.isdisjoint(_values(concept, rule.property))
        case "not-in":
            return lambda concept: values.isdisjoint(_values(concept, rule.property))
        case "exists":
            wanted = rule.value == "true"
            return lambda concept: bool(_values(concept, rule.property)) is wanted
    raise UnsupportedFilterError(f"the filter '{rule.property} {rule.op} {rule.value}' is not supported here")


def _by_code(system: CodeSystem, rule: Filter) -> Test:
    found = system.find(rule.value)
    code = found.code if found is not None else rule.value
    match rule.op:
        case "is-a":
            codes = system.descendants(code) | {code}
        case "descendent-of":
            codes = system.descendants(code)
        case "generalizes":
            codes = system.ancestors(code) | {code}
        case "is-not-a":
            below = system.descendants(code) | {code}
            return lambda concept: concept.code not in below
        case "not-in":
            left_out = frozenset(each.strip() for each in rule.value.split(","))
            return lambda concept: concept.code not in left_out
        case "in":
            codes = frozenset(each.strip() for each in rule.value.split(","))
        case _:
            codes = frozenset({code})
    return lambda concept: concept.code in codes


def _values(concept: Concept, name: str) -> list[str]:
    """What a concept says under that name, as text."""
    if name == "display":
        return [concept.display]
    if name == "inactive":
        return ["true" if not concept.is_active() else "false"]
    if name == "status" and not any(each.code == "status" for each in concept.properties):
        return ["active" if concept.is_active() else "inactive"]
    return [
        str(each.value["code"]) if each.kind == "Coding" else _text(each.value)
        for each in concept.properties
        if each.code == name
    ]


def _text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
