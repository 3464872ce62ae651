"""Follow: what the rules of a profile say of a value, and of all below it that they name.

https://hl7.org/fhir/R4/profiling.html

Values are as R4 shapes them (profiles/checker.py sees to it). Places in problems start at the value that is given.
"""

from typing import Any

from profiles import base, bound
from profiles.constraints import Constraint, reference_type
from profiles.definitions import PRIMITIVE_TYPES, TYPES
from profiles.issue import Severity
from profiles.patterns import fits, is_fixed, told
from profiles.problem import LIMIT, Problem, Problems, joined, under
from profiles.rules import Profile, Rule, Value
from profiles.slicing import slice_of
from profiles.snapshot import BASE
from profiles.world import World


def by_profile(profile: Profile, value: dict[str, Any], type_name: str, world: World) -> Problems:
    """What the profile says of an object of this type."""
    if profile.type not in base.ancestry(type_name):
        text = f"{profile.canonical} is a profile of {profile.type}, not of {type_name}."
        return [Problem("", "invalid", "wrong-profile-type", text)]
    problems: Problems = None
    for rule in profile.rules:
        problems = joined(problems, _element(rule, value, world))
    for constraint in profile.constraints:
        problems = joined(problems, _held(constraint, value, type_name, "", world))
    return problems


def by_definition(profile: Profile, value: dict[str, Any], world: World) -> Problems:
    """What an extension's own definition says of it."""
    problems = by_profile(profile, value, "Extension", world)
    rule = next((each for each in profile.rules if each.name == "extension"), None)
    if rule is None:
        return problems
    for index, nested in enumerate(value.get("extension", ())):
        url = nested.get("url", "")
        if ":" not in url and slice_of(rule, rule.slices, _nested(nested, index), world, _conforms) is None:
            known = ", ".join(each.slice for each in rule.slices)
            text = f'"{url[:80]}" is no part of the extension {profile.url}; it has {known or "none"}.'
            found = Problem(f".extension[{index}].url", "extension", "unknown-extension-part", text)
            problems = joined(problems, [found])
    return problems


def _nested(value: Any, index: int) -> Value:
    return Value(value, None, "Extension", index, "extension")


def _element(rule: Rule, owner: dict[str, Any], world: World) -> Problems:
    """What the rule says of its element in the object that holds it."""
    values = rule.values(owner)
    problems = _counted(rule, f".{rule.name}", len(values), world)
    if not values:
        return joined(problems, _absent_slices(rule, world))
    if not rule.plain:
        for value in values:
            problems = joined(problems, _value(rule, value, world))
            if problems and len(problems) > LIMIT:
                return problems
    if rule.by or rule.slices:
        problems = joined(problems, _sliced(rule, values, world))
    return problems


def _counted(rule: Rule, where: str, count: int, world: World) -> Problems:
    of = f" of slice {rule.slice}" if rule.slice else ""
    if count < rule.min:
        at_least = f"at least {rule.min}" if rule.min > 1 else "a value"
        there = f"there are {count}" if count else "it is missing"
        text = f"{rule.at}{of} needs {at_least} (min {rule.min}); {there}."
        detail = "missing-slice" if rule.slice else "missing-element"
        return [Problem(where, "required", detail, text)]
    if rule.max is not None and count > rule.max:
        if rule.max == 0:
            text = f"{rule.at}{of} is not allowed here (max 0)."
            return [Problem(where, "structure", "not-allowed", text)]
        text = f"{rule.at}{of} may occur {rule.max} time(s) (max {rule.max}); there are {count}."
        return [Problem(where, "structure", "too-many-values", text)]
    if not count and rule.must and world.must_support:
        text = f"{rule.at}{of} is must-support: it is to be sent where it is known. It is absent."
        return [Problem(where, "informational", "must-support-absent", text, "information")]
    return None


def _absent_slices(rule: Rule, world: World) -> Problems:
    """Slices that have to be there, of an element that has no value at all."""
    problems: Problems = None
    for each in rule.slices:
        problems = joined(problems, _counted(each, f".{each.name}", 0, world))
    return problems


def _sliced(rule: Rule, values: list[Value], world: World) -> Problems:
    """What the slices of an element say of the values that belong to them."""
    slices = rule.slices
    placed: dict[str, list[Value]] = {each.slice: [] for each in slices}
    order = {each.slice: number for number, each in enumerate(slices)}
    problems: Problems = None
    last, stray = -1, None
    for value in values:
        found = slice_of(rule, slices, value, world, _conforms)
        if found is None:
            stray = value
            if rule.openness == "closed":
                names = ", ".join(order)
                text = f"The slicing of {rule.at} is closed; this value is in none of its slices: {names}."
                problems = joined(problems, [Problem(value.where, "structure", "in-no-slice", text)])
            continue
        placed[found.slice].append(value)
        if stray is not None and rule.openness == "openAtEnd":
            text = f"Values in no slice of {rule.at} stand at its end; this one stands before slice {found.slice}."
            problems = joined(problems, [Problem(stray.where, "structure", "slice-order", text)])
            stray = None
        if rule.ordered and order[found.slice] < last:
            text = f"The slices of {rule.at} have an order; {found.slice} stands too late."
            problems = joined(problems, [Problem(value.where, "structure", "slice-order", text)])
        last = max(last, order[found.slice])
    for each in slices:
        members = placed[each.slice]
        problems = joined(problems, _counted(each, f".{each.name}", len(members), world))
        if len(members) < each.min and any(kind == "profile" for kind, _ in rule.by):
            problems = joined(problems, _why_not(each, values, world))
        for value in members:
            problems = joined(problems, _value(each, value, world))
        if members and (each.by or each.slices):
            problems = joined(problems, _sliced(each, members, world))
    return problems


def _why_not(rule: Rule, values: list[Value], world: World) -> Problems:
    """What keeps values out of a slice that is told by profile, and lacks them."""
    problems: Problems = None
    for value in values:
        found = _value(rule, value, world)
        if not any(each.detail == "wrong-type-in-profile" for each in found or ()):
            problems = joined(problems, found)
    return problems


def _value(rule: Rule, value: Value, world: World) -> Problems:
    """What the rule says of one value; places start at the holder."""
    problems: Problems = None
    content, type_name = value.content, _actual(value)
    if rule.types is not None and type_name not in rule.types:
        text = f"{rule.at} is a {' or '.join(sorted(rule.types))} here, not a {type_name}."
        return [Problem(value.where, "structure", "wrong-type-in-profile", text)]
    if rule.fixed is not None and not is_fixed(content, rule.fixed):
        text = f"{rule.at} has the fixed value {told(rule.fixed)}."
        problems = [Problem(value.where, "value", "not-the-fixed-value", text)]
    if rule.pattern is not None and not fits(content, rule.pattern):
        text = f"{rule.at} has to hold {told(rule.pattern)}."
        problems = joined(problems, [Problem(value.where, "value", "not-the-pattern", text)])
    if rule.binding is not None:
        problems = joined(problems, bound.problems(rule.binding[0], rule.binding[1], content, value.where, world))
    if rule.most is not None:
        problems = joined(problems, bound.problems("maximum", rule.most, content, value.where, world))
    if rule.targets:
        problems = joined(problems, _target(rule, value, world))
    for each in rule.constraints:
        problems = joined(problems, _held(each, content, type_name, value.where, world))
    named = rule.profiles.get(type_name) or rule.profiles.get(value.type)
    if named and type_name not in ("Extension", "Reference") and type(content) is dict:
        problems = joined(problems, _meets_one(named, value, type_name, world))
    inside = value.inside
    if rule.has_children:
        problems = joined(problems, _inside(rule, value, inside if type(inside) is dict else {}, type_name, world))
    return problems


def _inside(rule: Rule, value: Value, inside: dict[str, Any], type_name: str, world: World) -> Problems:
    problems: Problems = None
    container = world.container
    if value.type == "Resource" and value.name == "resource":
        world.container = inside
    for each in rule.children(type_name):
        found = _element(each, inside, world)
        if found:
            problems = joined(problems, under(value.where, found))
    world.container = container
    return problems


def _actual(value: Value) -> str:
    """The value's type; of a resource, which one it is."""
    if value.type == "Resource" and type(value.content) is dict:
        return str(value.content.get("resourceType"))
    return value.type


def _held(constraint: Constraint, value: Any, type_name: str, where: str, world: World) -> Problems:
    if value is None:
        return None
    held = constraint.holds(value, type_name, world)
    if held or (held is None and world.is_exhausted):
        return None
    if held is None:
        text = f"The constraint {constraint.key} could not be evaluated: {constraint.human}"
        return [Problem(where, "informational", "constraint-not-evaluated", text, "information")]
    severity: Severity = "error" if constraint.severity == "error" else "warning"
    return [Problem(where, "invariant", constraint.detail, f"{constraint.key}: {constraint.human}", severity)]


def _target(rule: Rule, value: Value, world: World) -> Problems:
    """Whether a reference leads to a type, and as far as it can be followed to a resource, that is allowed."""
    content = value.content
    if type(content) is not dict:
        return None
    text = content.get("reference")
    resource = world.resolve(text) if type(text) is str else None
    found = str(resource.get("resourceType")) if resource is not None else reference_type(content)
    if found is None:
        return None
    profiles = {url: world.library.find(url, world.near) for url in rule.targets}
    fitting = [u for u, p in profiles.items() if p is None or p.type in (found, "Resource", "DomainResource")]
    if not fitting:
        types = sorted({p.type for p in profiles.values() if p is not None})
        said = f"{rule.at} refers to a {found}; the profile allows {', '.join(types)}."
        return [Problem(value.where + ".reference", "value", "wrong-target-type", said)]
    if resource is None or any(u.startswith(BASE) and u.removeprefix(BASE) in TYPES for u in fitting):
        return None
    reached = Value(resource, None, found, None, "")
    if any(_conforms(reached, url, world) for url in fitting):
        return None
    said = f'"{text}" reaches a {found} that does not meet {" or ".join(fitting)}.'
    return [Problem(value.where + ".reference", "value", "wrong-target-profile", said)]


def _meets_one(urls: list[str], value: Value, type_name: str, world: World) -> Problems:
    """Whether a value meets one of the profiles its type is narrowed to; the breaches where there is but one."""
    if len(urls) > 1:
        if any(_conforms(value, url, world) for url in urls):
            return None
        text = f"The value meets none of the profiles {', '.join(urls)}."
        return [Problem(value.where, "invalid", "meets-no-profile", text)]
    profile = world.library.find(urls[0], world.near)
    key = (id(value.content), f"in {urls[0]}")
    if profile is None or key in world.known:
        return None
    world.known[key] = True
    found = by_profile(profile, value.content, type_name, world)
    world.known[key] = not any(p.severity == "error" for p in found or ())
    return under(value.where, found) if found else None


def _conforms(value: Value, url: str, world: World) -> bool:
    """Whether the value meets a profile; a profile that is not known, or is being looked into already, is met."""
    if type(value.content) is not dict:
        return value.type in PRIMITIVE_TYPES or value.content is None
    profile = world.library.find(url, world.near)
    if profile is None:
        return True
    key = (id(value.content), profile.canonical)
    if key not in world.known:
        world.known[key] = True
        found = by_profile(profile, value.content, _actual(value), world)
        world.known[key] = not any(p.severity == "error" for p in found or ())
    return world.known[key]
