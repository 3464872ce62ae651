"""Base: a walk through a whole resource for what R4 asks beyond structure, and for extensions' own definitions.

https://hl7.org/fhir/R4/extensibility.html

Structure (profiles/structure.py) is checked before and relied on. Here: the invariants it does not compile, extensible
bindings, and each extension by its definition where a guide has it: whether it may stand here, and what is in it.
"""

from collections.abc import Callable, Mapping
from functools import cache, lru_cache
from typing import Any, NamedTuple

from profiles import bound, invariants
from profiles.constraints import Constraint, constraint
from profiles.definitions import PRIMITIVE_TYPES, RESOURCE_TYPES, TYPES, children, extensible
from profiles.definitions import invariants as stated
from profiles.guides import R4
from profiles.problem import LIMIT, Problem, Problems, joined, under
from profiles.rules import Profile
from profiles.world import World

ExtensionCheck = Callable[[Profile, dict[str, Any], World], Problems]
Trail = tuple["Trail | None", str, str]
"""What leads here from the resource: (the way to the holder, the element's name, its type or definition path)."""

_BY_STRUCTURE = frozenset({"ele-1", "dom-2", "dom-3", "dom-4", "dom-5", "dom-6", "ref-1", "txt-1", "txt-2"})
"""Held by profiles/structure.py, or compiled below."""


class Step(NamedTuple):
    """A member of an object. `path` leads on from an object's value (None: a primitive, or a resource of any type)."""

    name: str
    type: str
    kind: str
    path: str | None
    value_set: str | None
    constraints: tuple[Constraint, ...]
    own: str
    """The element's path in the definition that states it: `Patient.name`, `HumanName.family`."""
    in_resource: bool
    """Whether that definition is a resource's."""


def problems(resource: dict[str, Any], world: World, check: ExtensionCheck) -> Problems:
    """What is wrong anywhere in the resource; places start at it (`.name[0].extension[1]`)."""
    return _Walk(world, check).resource(resource, contained=False)


@cache
def ancestry(name: str) -> tuple[str, ...]:
    """A type and those it specialises: `("Patient", "DomainResource", "Resource")`."""
    found = [name]
    while found[-1] in TYPES and TYPES[found[-1]].base:
        found.append(TYPES[found[-1]].base)
    return tuple(found)


@cache
def _plan(path: str) -> Mapping[str, Step]:
    """JSON member name -> Step, for the children of a definition path."""
    return {name: _step(path, name) for name in children(path)}


def _step(path: str, name: str) -> Step:
    element, type_name = children(path)[name]
    at = f"{path}.{element.name}"
    primitive = type_name in PRIMITIVE_TYPES
    leads = None if primitive or type_name == "Resource" else type_name
    rules = _constraints(at) if at != type_name else ()
    if leads is not None:
        rules = tuple(dict.fromkeys((*rules, *(c for each in ancestry(leads) for c in _constraints(each)))))
    kind = "extension" if type_name == "Extension" else "resource" if type_name == "Resource" else "value"
    return Step(
        element.name,
        type_name,
        kind,
        leads,
        extensible(path).get(element.name),
        rules,
        at,
        path.partition(".")[0] in RESOURCE_TYPES,
    )


@cache
def _constraints(path: str) -> tuple[Constraint, ...]:
    """The invariants stated at a path that structure does not compile."""
    return tuple(
        constraint(rule.key, rule.severity, rule.expression, rule.human)
        for (key, at), rule in stated().items()
        if at == path and (key, at) not in invariants.COMPILED and key not in _BY_STRUCTURE and rule.expression
    )


class _Walk:
    def __init__(self, world: World, check: ExtensionCheck) -> None:
        self.world = world
        self.check = check

    def resource(self, value: dict[str, Any], *, contained: bool) -> Problems:
        name = value["resourceType"]
        world = self.world
        container = world.container
        if not contained:
            world.container = value
        found = self.children(value, name, (None, name, name))
        for each in (c for path in ancestry(name) for c in _constraints(path)):
            found = joined(found, self.held(each, value, name, ""))
        if not contained and "contained" in value:
            found = joined(found, _unreferenced(value))
        if world.thorough and not contained and "text" not in value and "DomainResource" in ancestry(name):
            text = "dom-6: A resource should have narrative for robust management."
            found = joined(found, [Problem("", "invariant", "invariant-dom-6", text, "warning")])
        world.container = container
        return found

    def children(self, value: dict[str, Any], path: str, trail: Trail) -> Problems:
        plan = _plan(path)
        found: Problems = None
        for member, item in value.items():
            step = plan.get(member)
            if step is None:
                if member[0] == "_":
                    found = joined(found, self.beside(plan[member[1:]], item, trail))
            elif step.path is not None or step.value_set is not None or step.constraints or step.kind == "resource":
                if type(item) is list:
                    for index, one in enumerate(item):
                        if one is not None and (problems := self.value(step, one, trail)):
                            found = joined(found, under(f".{step.name}[{index}]", problems))
                elif problems := self.value(step, item, trail):
                    found = joined(found, under(f".{step.name}", problems))
                if found and len(found) > LIMIT:
                    break
        return found

    def value(self, step: Step, value: Any, trail: Trail) -> Problems:
        if step.kind == "resource":
            return self.resource(value, contained=step.name == "contained")
        if step.kind == "extension":
            return self.extension(step, value, trail)
        found: Problems = None
        if step.path is not None and (len(value) > 1 or "extension" in value or "coding" in value):
            found = self.children(value, step.path, (trail, step.name, step.path))
        if step.value_set is not None and (self.world.near == R4 or not step.in_resource):
            # A profile's snapshot has the bindings of a resource's own elements, as they are or changed.
            found = joined(found, bound.problems("extensible", step.value_set, value, "", self.world))
        for each in step.constraints:
            found = joined(found, self.held(each, value, step.own, ""))
        return found

    def beside(self, step: Step, item: Any, trail: Trail) -> Problems:
        """The extensions of a primitive, in its `_name` sibling."""
        found: Problems = None
        for index, one in enumerate(item if type(item) is list else (item,)):
            if one is None or "extension" not in one:
                continue
            where = f".{step.name}[{index}]" if type(item) is list else f".{step.name}"
            problems = self.children(one, "Element", (trail, step.name, step.type))
            if problems:
                found = joined(found, under(where, problems))
        return found

    def extension(self, step: Step, value: dict[str, Any], trail: Trail) -> Problems:
        url = value["url"] if type(value.get("url")) is str else ""
        profile = self.world.library.find(url, self.world.near) if ":" in url else None
        found = self.children(value, "Extension", (trail, step.name, "Extension")) if len(value) > 1 else None
        if profile is None or profile.type != "Extension":
            if ":" in url and step.name == "modifierExtension" and self.world.thorough:
                text = f"The modifier extension {url[:200]} is not known here; what it changes cannot be told."
                return joined(found, [Problem("", "extension", "unknown-modifier-extension", text, "warning")])
            if ":" in url and self.world.thorough and self.world.library.owns(url):
                text = f"The guide that {url[:200]} should be of does not define it."
                return joined(found, [Problem("", "extension", "unknown-extension", text, "warning")])
            return found
        checked = self.check(profile, value, self.world)
        if checked and self.world.near == R4:
            # Nobody said which version is meant: that the extension meets one of them is enough.
            others = (each for each in self.world.library.versions(url) if each is not profile)
            profile, checked = next(
                ((p, c) for p in others if not _severe(c := self.check(p, value, self.world))), (profile, checked)
            )
        if profile.is_modifier != (step.name == "modifierExtension"):
            kind = "modifierExtension" if profile.is_modifier else "extension"
            text = f"The extension {url} is to be written as {kind}, as its definition says."
            found = joined(found, [Problem("", "extension", "extension-not-allowed-here", text)])
        if not _allowed(profile, trail):
            places = ", ".join(text for _, text in profile.context)
            text = f"The extension {url} does not belong here; it may stand in {places}."
            found = joined(found, [Problem("", "extension", "extension-not-allowed-here", text)])
        return joined(found, checked)

    def held(self, each: Constraint, value: Any, at: str, where: str) -> Problems:
        if self.world.thorough and each.holds(value, at, self.world) is False:
            text = f"{each.key}: {each.human}"
            severe = each.severity == "error"
            return [Problem(where, "invariant", f"invariant-{each.key}", text, "error" if severe else "warning")]
        return None


def _unreferenced(value: dict[str, Any]) -> Problems:
    """dom-3: contained resources that nothing refers to, and that do not refer to their container."""
    reached = set(_references({name: item for name, item in value.items() if name != "contained"}))
    waiting = [each for each in value["contained"] if type(each) is dict]
    inner = {id(each): set(_references(each)) for each in waiting}
    # A contained resource may be reached from another one.
    for refers in inner.values():
        reached |= refers
    found = []
    for index, each in enumerate(value["contained"]):
        if f"#{each.get('id')}" not in reached and "#" not in inner[id(each)]:
            text = (
                "dom-3: If the resource is contained in another resource, it SHALL be referred to from elsewhere in "
                "the resource or SHALL refer to the containing resource"
            )
            found.append(Problem(f".contained[{index}]", "invariant", "invariant-dom-3", text))
    return found or None


def _references(value: Any) -> list[str]:
    """Every text in the value that may be a reference to a contained resource."""
    found: list[str] = []
    waiting = [value]
    while waiting:
        each = waiting.pop()
        if type(each) is dict:
            waiting += each.values()
        elif type(each) is list:
            waiting += each
        elif type(each) is str and each[:1] == "#":
            found.append(each)
    return found


def _severe(problems: Problems) -> bool:
    return any(each.severity == "error" for each in problems or ())


def _allowed(profile: Profile, trail: Trail) -> bool:
    """Whether an extension may stand at this element; contexts that are FHIRPath are not judged."""
    if not profile.context:
        return True
    in_extension = trail[1] in ("extension", "modifierExtension")
    places = _places(trail)
    return any(
        kind not in ("element", "extension") or text in places or (kind == "extension" and in_extension)
        for kind, text in profile.context
    )


def _places(trail: Trail) -> frozenset[str]:
    """How a context may name this element: by path, from the resource or from a datatype, or by its type."""
    steps: list[tuple[str, str]] = []
    step: Trail | None = trail
    while step is not None:
        steps.append(step[1:])
        step = step[0]
    return _named(tuple(reversed(steps)))


@lru_cache(maxsize=4096)
def _named(steps: tuple[tuple[str, str], ...]) -> frozenset[str]:
    root, (_, own) = steps[0][1], steps[-1]
    # R4's own extensions name "Element" where they may stand anywhere, resources included.
    found = {"Element", *(ancestry(own) if own in TYPES else ("BackboneElement",))}
    below = ".".join(name for name, _ in steps[1:])
    if below:
        holder = steps[-2][1]
        paths = {f"{each}.{below}" for each in ancestry(root)} | {f"{holder}.{steps[-1][0]}"}
        found |= paths | {f"{path}[x]" for path in paths}
    return frozenset(found)
