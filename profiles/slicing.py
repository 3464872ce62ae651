"""Slicing: which slice of an element a value belongs to.

https://hl7.org/fhir/R4/profiling.html#discriminator
"""

import re
from collections.abc import Callable, Iterator
from typing import Any

from profiles.constraints import reference_type
from profiles.definitions import PRIMITIVE_TYPES, child
from profiles.patterns import fits, is_fixed
from profiles.rules import Rule, Value
from profiles.world import World, codes

Conforms = Callable[[Value, str, World], bool]
"""Whether a value meets the profile with this canonical."""

Step = tuple[str, str]

_STEP = re.compile(r"(?P<name>[A-Za-z][A-Za-z0-9]*)(?:\((?:'(?P<text>[^']*)'|(?P<type>[A-Za-z]*))\))?\.?")
_BY_URL = (("value", "url"),)


def slice_of(rule: Rule, slices: tuple[Rule, ...], value: Value, world: World, conforms: Conforms) -> Rule | None:
    """The first slice the value belongs to, the default slice if it is in no other, None if there is none."""
    if rule.by == _BY_URL:
        url = value.content.get("url") if type(value.content) is dict else None
        return next((each for each in slices if _url(each) == url), None) if url else None
    for each in slices:
        if each.slice != "@default" and all(_meets(kind, path, each, value, world, conforms) for kind, path in rule.by):
            return each
    return next((each for each in slices if each.slice == "@default"), None)


def _url(rule: Rule) -> Any:
    """The url of the extensions in a slice: fixed by the slice itself, or that of the definition it names."""
    named = rule.profiles.get("Extension")
    if named:
        return named[0].partition("|")[0]
    url = rule.child("url")
    return url.fixed if url is not None else None


def _meets(kind: str, path: str, slice_rule: Rule, value: Value, world: World, conforms: Conforms) -> bool:
    steps = list(_steps(path))
    rule = _rule_at(slice_rule, steps)
    found = _follow([value], steps, world)
    if kind == "exists":
        return bool(found) if rule is None or rule.max != 0 else not found
    if kind == "type":
        wanted = _types(slice_rule, rule, steps)
        return not wanted or any(_type_of(each, world) in wanted for each in found)
    if kind == "profile":
        named = _profiles(slice_rule, rule, steps)
        return not named or any(conforms(each, url, world) for each in found for url in named)
    # A profile of the slice's type may say what the slice itself does not.
    if rule is None or not _criteria(rule):
        named = [url for urls in slice_rule.profiles.values() for url in urls]
        return bool(found) if not named else any(conforms(value, url, world) for url in named)
    return any(_agrees(rule, each, world) for each in found)


def _steps(path: str) -> Iterator[Step]:
    for match in _STEP.finditer(path.removeprefix("$this").lstrip(".")):
        yield match["name"], match["text"] or match["type"] or ""


def _rule_at(rule: Rule, steps: list[Step]) -> Rule | None:
    """The rule of the element the steps lead to, if the slice says something of it."""
    found: Rule | None = rule
    for name, argument in steps:
        if found is None:
            return None
        if name == "extension" and argument:
            extensions = found.child("extension")
            listed = extensions.slices if extensions is not None else ()
            found = next((each for each in listed if _url(each) == argument), None)
        elif name not in ("resolve", "ofType", "as", "where"):
            found = found.child(name)
    return found


def _follow(values: list[Value], steps: list[Step], world: World) -> list[Value]:
    for name, argument in steps:
        if name == "resolve":
            values = [reached for each in values for reached in _resolved(each, world)]
        elif name in ("ofType", "as"):
            values = [each for each in values if _type_of(each, world) == argument]
        else:
            values = [below for each in values for below in _below(each, name)]
            if name == "extension" and argument:
                values = [e for e in values if type(e.content) is dict and e.content.get("url") == argument]
    return values


def _below(value: Value, name: str) -> Iterator[Value]:
    """The values of a child, whatever type a choice has."""
    inside = value.inside
    if type(inside) is not dict:
        return
    path = inside.get("resourceType", value.type)
    for member in dict.fromkeys(m.lstrip("_") for m in inside):
        known = child(path, member) if type(member) is str and member else None
        if known is None or known[0].name != name:
            continue
        content, beside = inside.get(member), inside.get(f"_{member}")
        if type(content) is list:
            for index, one in enumerate(content):
                yield Value(one, None, known[1], index, name)
        else:
            yield Value(content, beside, known[1], None, name)


def _resolved(value: Value, world: World) -> Iterator[Value]:
    text = value.content.get("reference") if type(value.content) is dict else value.content
    resource = world.resolve(text) if type(text) is str else None
    if resource is not None:
        yield Value(resource, None, str(resource.get("resourceType")), None, "")
    elif name := reference_type(value.content):
        yield Value(None, None, name, None, "")


def _type_of(value: Value, world: World) -> str:
    if type(value.content) is dict and "resourceType" in value.content:
        return str(value.content["resourceType"])
    return value.type


def _types(slice_rule: Rule, rule: Rule | None, steps: list[Step]) -> frozenset[str]:
    if any(name == "resolve" for name, _ in steps):
        targets = (rule or slice_rule).targets
        return frozenset(url.rpartition("/")[2].partition("|")[0] for url in targets)
    return rule.types or frozenset() if rule is not None else frozenset()


def _profiles(slice_rule: Rule, rule: Rule | None, steps: list[Step]) -> list[str]:
    if rule is None:
        return []
    if any(name == "resolve" for name, _ in steps):
        return list(rule.targets)
    return [url for urls in rule.profiles.values() for url in urls]


def _criteria(rule: Rule) -> bool:
    """Whether the rule, or one below it, tells values apart."""
    if rule.fixed is not None or rule.pattern is not None or (rule.binding and rule.binding[0] == "required"):
        return True
    if rule.borrows:
        return False
    return any(_criteria(each) for path in _paths(rule) for each in rule.children(path)) or any(
        _criteria(each) for each in rule.slices if each.min
    )


def _agrees(rule: Rule, value: Value, world: World) -> bool:
    """Whether the value has what the rule and those below it fix."""
    content = value.content
    if rule.fixed is not None and not is_fixed(content, rule.fixed):
        return False
    if rule.pattern is not None and not fits(content, rule.pattern):
        return False
    if rule.binding and rule.binding[0] == "required" and rule.fixed is None and rule.pattern is None:
        url = rule.binding[1]
        if not any(world.holds(url, system, code) is not False for system, code in codes(content)):
            return False
    inside = value.inside
    if type(inside) is not dict:
        return not rule.has_children or value.type in PRIMITIVE_TYPES
    for each in rule.children(value.type):
        if _criteria(each):
            found = each.values(inside)
            if not found and not each.min:
                continue
            wanted = [each] if not each.slices or each.fixed is not None or each.pattern is not None else []
            wanted += [one for one in each.slices if one.min]
            if not all(any(_agrees(one, below, world) for below in found) for one in wanted):
                return False
    return True


def _paths(rule: Rule) -> set[str]:
    return set(rule.types or {type_name for _, _, type_name in rule.members})
