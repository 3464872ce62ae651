"""Paths: the small path language of search parameter expressions, compiled to closures.

https://hl7.org/fhir/R4/searchparameter-definitions.html#SearchParameter.expression

    expression  = alternative *( "|" alternative )
    alternative = test *( "and" test ) / "(" path "as" Type ")" *step / path
    test        = path ".exists()" / path "!=" literal
    path        = ( Type / "%resource" / name ) *step
    step        = "." name / "[" digits "]" / ".as(" Type ")" / ".ofType(" Type ")" / ".extension('url')"
                / ".where(" name "=" literal ")" / ".where(resolve() is " Type ")"

The types along the way come from the element definitions, so a value's type is known without looking at it, and a
choice (`value`) becomes one branch for each type it can have.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cache
from typing import Any, Literal

from fhir_server.fhir.references import refers_to
from profiles.definitions import elements

Select = Callable[[Any], list[Any]]


@dataclass(frozen=True, slots=True)
class Branch:
    """One way from a focus to values of one FHIR type.

    `select` maps the value of the focus's member `member` (the focus itself where empty) to the values found. `start`
    says whether that is the focus the expression was compiled for or the whole resource. `targets` are the types a
    Reference may point at (empty: any), `value_set` the required binding of a code; `single`: never two values.
    """

    member: str
    select: Select
    type: str
    start: Literal["focus", "resource"] = "focus"
    targets: tuple[str, ...] = ()
    value_set: str | None = None
    single: bool = True

    def of(self, focus: Any) -> list[Any]:
        """The values found from the focus (or resource) itself."""
        if not self.member:
            return self.select(focus)
        value = focus.get(self.member)
        return [] if value is None else self.select(value)


@dataclass(frozen=True, slots=True)
class _Way:
    """A branch under construction: the definition path reached and the steps so far."""

    path: str
    steps: tuple[Select, ...] = ()
    member: str = ""
    start: Literal["focus", "resource"] = "focus"
    targets: tuple[str, ...] = ()
    value_set: str | None = None
    single: bool = True

    def then(self, step: Select, **changes: Any) -> "_Way":
        return replace(self, steps=(*self.steps, step), **changes)


_TOKEN = re.compile(
    r"\s*(?:(?P<name>%?[A-Za-z][A-Za-z0-9]*)|'(?P<text>[^']*)'|(?P<digits>\d+)|(?P<sign>!=|[().|=\[\]]))"
)


@cache
def compile(expression: str, path: str, resource: str = "") -> tuple[Branch, ...]:
    """The branches of `expression` for a focus with the definition path `path` (`Patient`, `Observation.component`).

    `resource` is the type `%resource` stands for. ValueError where the expression is not of the small language or names
    an element the definitions do not have.
    """
    return tuple(_Parser(expression, path, resource or path).branches())


class _Parser:
    def __init__(self, expression: str, path: str, resource: str) -> None:
        self.expression, self.path, self.resource = expression, path, resource
        self.tokens = list(_tokens(expression))
        self.position = 0

    def branches(self) -> Iterator[Branch]:
        while True:
            yield from self.alternative()
            if not self.accept("|"):
                break
        if self.position < len(self.tokens):
            raise self.error()

    def alternative(self) -> Iterator[Branch]:
        tests: list[Callable[[Any], bool]] = []
        while True:
            ways = self.cast() if self.accept("(") else self.walk()
            if self.accept("!="):
                tests.append(_differs(ways, self.literal()))
            elif any(way.path == "exists()" for way in ways):
                tests.append(_exists(ways))
            if not self.accept("and"):
                break
        if tests:
            yield Branch("", lambda focus: [all(test(focus) for test in tests)], "boolean")
            return
        for way in ways:
            yield _branch(way)

    def cast(self) -> list[_Way]:
        ways = self.walk()
        self.expect("as")
        ways = self.typed(ways, self.take())
        self.expect(")")
        return self.follow(ways)

    def walk(self) -> list[_Way]:
        name = self.take()
        if name == "%resource":
            return self.follow([_Way(self.resource, start="resource")])
        if name == self.path or name == "Resource":
            return self.follow([_Way(self.path)])
        return self.follow(self.member([_Way(self.path)], name))

    def follow(self, ways: list[_Way]) -> list[_Way]:
        while True:
            if self.accept("["):
                index = int(self.take())
                self.expect("]")
                ways = [way.then(_nth(index), single=True) for way in ways]
            elif self.accept("."):
                name = self.take()
                ways = self.function(ways, name) if self.accept("(") else self.member(ways, name)
            else:
                return ways

    def function(self, ways: list[_Way], name: str) -> list[_Way]:
        if name in ("as", "ofType"):
            ways = self.typed(ways, self.take())
        elif name == "extension":
            url = self.take()
            extensions = self.member(ways, "extension")
            ways = self.member([way.then(_where("url", url)) for way in extensions], "value")
        elif name == "exists":
            ways = [replace(way, path="exists()") for way in ways]
        elif name == "where":
            ways = self.where(ways)
        else:
            raise self.error()
        self.expect(")")
        return ways

    def where(self, ways: list[_Way]) -> list[_Way]:
        name = self.take()
        if name != "resolve":
            self.expect("=")
            value = self.literal()
            return [way.then(_where(name, value)) for way in ways]
        for sign in ("(", ")", "is"):
            self.expect(sign)
        target = self.take()
        return [way.then(_refers(target), targets=(target,)) for way in ways]

    def member(self, ways: list[_Way], name: str) -> list[_Way]:
        """`.name`: one way for each type the element can have."""
        found = []
        for way in ways:
            element = elements(way.path).get(name)
            if element is None:
                raise ValueError(f"{way.path} has no element {name}: {self.expression}")
            for member, type_name in element.names().items():
                is_first = not way.member and not way.steps
                step = _every if is_first else _member(member)
                found.append(
                    way.then(
                        step,
                        path=type_name,
                        member=member if is_first else way.member,
                        targets=element.targets if type_name == "Reference" else (),
                        value_set=element.value_set,
                        single=way.single and not element.many,
                    )
                )
        return found

    def typed(self, ways: list[_Way], type_name: str) -> list[_Way]:
        return [way for way in ways if way.path == type_name]

    def literal(self) -> Any:
        text = self.take()
        return {"true": True, "false": False}.get(text, text)

    def take(self) -> str:
        if self.position >= len(self.tokens):
            raise self.error()
        self.position += 1
        return self.tokens[self.position - 1]

    def accept(self, token: str) -> bool:
        if self.position < len(self.tokens) and self.tokens[self.position] == token:
            self.position += 1
            return True
        return False

    def expect(self, token: str) -> None:
        if not self.accept(token):
            raise self.error()

    def error(self) -> ValueError:
        return ValueError(f"not an expression of the small path language: {self.expression}")


def _tokens(expression: str) -> Iterator[str]:
    position = 0
    while position < len(expression):
        match = _TOKEN.match(expression, position)
        if match is None:
            raise ValueError(f"not an expression of the small path language: {expression}")
        yield next(group for group in match.groups() if group is not None)
        position = match.end()


def _branch(way: _Way) -> Branch:
    return Branch(way.member, _chain(way.steps), way.path, way.start, way.targets, way.value_set, way.single)


def _chain(steps: tuple[Select, ...]) -> Select:
    if not steps:
        return lambda focus: [focus]
    if len(steps) == 1:
        return steps[0]
    if len(steps) == 2:
        first, second = steps
        return lambda value: second(first(value))

    def select(value: Any) -> list[Any]:
        for step in steps:
            value = step(value)
        found: list[Any] = value
        return found

    return select


def _every(value: Any) -> list[Any]:
    """The values of a member: an array's items or the one value."""
    return value if type(value) is list else [value]


def _member(name: str) -> Select:
    def step(values: Any) -> list[Any]:
        found: list[Any] = []
        for value in values:
            child = value.get(name) if type(value) is dict else None
            if child is None:
                continue
            if type(child) is list:
                found += child
            else:
                found.append(child)
        return found

    return step


def _nth(index: int) -> Select:
    return lambda values: values[index : index + 1]


def _where(name: str, wanted: Any) -> Select:
    return lambda values: [value for value in values if type(value) is dict and value.get(name) == wanted]


def _refers(target: str) -> Select:
    return lambda values: [value for value in values if refers_to(value, target)]


def _exists(ways: list[_Way]) -> Callable[[Any], bool]:
    branches = [_branch(way) for way in ways]
    return lambda focus: any(branch.of(focus) for branch in branches)


def _differs(ways: list[_Way], literal: Any) -> Callable[[Any], bool]:
    branches = [_branch(way) for way in ways]
    return lambda focus: any(value is not literal and value != literal for b in branches for value in b.of(focus))
