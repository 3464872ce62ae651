"""FHIRPath: the part of the language that names places in a resource, compiled to functions on locations.

https://hl7.org/fhirpath/N1/

    path      = ( Type / "%resource" / name / "$this" ) *step
    step      = "." name / "[" digits "]" / ".first()" / ".last()" / ".single()" / ".tail()" / ".skip(n)" / ".take(n)"
              / ".where(" criterion ")" / ".ofType(" Type ")" / ".as(" Type ")" / ".extension(" text ")"
    criterion = term *( ( "and" / "or" / "xor" / "implies" ) term )
    term      = operand [ ( "=" / "!=" / "~" / "!~" / "in" ) operand ] / "(" criterion ")" ; either may end in ".not()"
    operand   = literal / path [ ".exists()" / ".exists(" criterion ")" / ".empty()" / ".startsWith(" text ")"
              / ".endsWith(" text ")" / ".contains(" text ")" ]

Left out on purpose: whatever computes new values, and `matches`, which would hand a client's regular expression to
Python (docs/decisions/0009-patch.md).
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from fhir_server.fhir.locations import Location, root
from fhir_server.fhir.outcome import FhirError, refuse
from fhir_server.fhir.truth import COMPARED, Criterion, Operand, compared, joined, negation, singleton
from profiles.definitions import RESOURCE_TYPES, TYPES

LONGEST = 1_000
"""Characters of a path."""

NESTED = 16
"""Criteria may stand within criteria this deep."""

Step = Callable[[list[Location]], list[Location]]


@dataclass(frozen=True, slots=True)
class Path:
    """A compiled path. `steps` lead from the resource to the elements; `name` is the last step's name if it is one."""

    text: str
    steps: tuple[Step, ...]
    name: str | None

    def of(self, resource: dict[str, Any]) -> list[Location]:
        """The elements the path names, in order. FhirError 400 for an element that the definitions do not have."""
        return _follow(self.steps, [root(resource)])

    def owners(self, resource: dict[str, Any]) -> list[Location]:
        """The elements whose children the last step names; FhirError 400 where the last step is no name."""
        if self.name is None:
            raise _unknown(self.text, "it does not end in the name of a list, such as Patient.identifier")
        found = _follow(self.steps[:-1], [root(resource)])
        for location in found:
            _children(self.text, location, self.name)
        return found


def parse(text: str) -> Path:
    """The compiled path. FhirError 400 where it is malformed or beyond the part of the language known here."""
    if len(text) > LONGEST:
        raise _unknown(text[:60] + "...", f"it is longer than {LONGEST} characters")
    parser = _Parser(text)
    steps, name = parser.path(at_root=True)
    parser.end()
    return Path(text, tuple(steps), name)


_TOKEN = re.compile(
    r"""\s*(?:
      (?P<name>[%$]?[A-Za-z_][A-Za-z0-9_]*) | `(?P<quoted>[^`]+)` | '(?P<text>(?:[^'\\]|\\.)*)'
    | (?P<time>@T?[0-9][0-9T:.+\-Z]*) | (?P<number>\d+\.\d+) | (?P<digits>\d{1,9}) | (?P<sign>!=|!~|[=~.()\[\],])
    )\s*""",
    re.VERBOSE | re.DOTALL,
)
_ESCAPE = re.compile(r"\\(u[0-9a-fA-F]{4}|.)", re.DOTALL)
_ESCAPES = {"n": "\n", "r": "\r", "t": "\t", "f": "\f"}
_STRENGTHS = (("implies",), ("or", "xor"), ("and",))
_TESTS: dict[str, Callable[[str, str], bool]] = {
    "startsWith": str.startswith,
    "endsWith": str.endswith,
    "contains": str.__contains__,
}


class _Parser:
    def __init__(self, text: str) -> None:
        self.text = text
        self.tokens = list(_tokens(text))
        self.position = 0
        self.depth = 0

    def path(self, *, at_root: bool = False) -> tuple[list[Step], str | None]:
        """The steps of a path and the name of the last if it is a plain one; stops before what is no step."""
        first = self.name()
        name: str | None = None
        steps: list[Step] = []
        if first in RESOURCE_TYPES or first in ("Resource", "DomainResource"):
            steps.append(lambda found: _typed(self.text, found, first))
        elif first in ("%resource", "%context") and not at_root:
            # A criterion that starts afresh from the top, one in another, could multiply without end.
            raise self.error(f"{first} cannot be used in a criterion here")
        elif first not in ("%resource", "%context", "$this"):
            steps.append(self.child(first))
            name = first
        while True:
            if self.accept("sign", "["):
                index = int(self.expect("digits"))
                steps.append(_between(index, index + 1))
                self.expect("sign", "]")
                name = None
            elif self.peek() == ("sign", ".") and not self.test_follows():
                self.position += 1
                name = self.name()
                if self.accept("sign", "("):
                    steps.append(self.function(name))
                    name = None
                else:
                    steps.append(self.child(name))
            else:
                return steps, name

    def test_follows(self) -> bool:
        """`.contains('x')` ends an operand; `.contains` is an element of a ValueSet's expansion."""
        return self.peek(1)[1] in _OPERAND_ENDS and self.peek(2) == ("sign", "(")

    def child(self, name: str) -> Step:
        return lambda found: [child for location in found for child in _children(self.text, location, name)]

    def function(self, name: str) -> Step:
        step = self.called(name)
        self.expect("sign", ")")
        return step

    def called(self, name: str) -> Step:
        match name:
            case "first":
                return _between(0, 1)
            case "last":
                return _between(-1, None)
            case "tail":
                return _between(1, None)
            case "single":
                return self.single
            case "skip":
                return _between(int(self.expect("digits")), None)
            case "take":
                return _between(0, int(self.expect("digits")))
            case "where":
                return _where(self.criterion())
            case "ofType" | "as":
                return self.of_type()
            case "extension":
                return self.extension(_unescaped(self.expect("text")))
            case _:
                raise self.error(f"the function {name}() is not known here")

    def of_type(self) -> Step:
        kind = self.name()
        if self.accept("sign", "."):
            kind = self.name()
        if kind not in TYPES:
            raise self.error(f"{kind} is no type")
        return lambda found: [each for each in found if each.kind == kind]

    def extension(self, url: str) -> Step:
        extensions = self.child("extension")
        return lambda found: [each for each in extensions(found) if each.value.get("url") == url]

    def single(self, found: list[Location]) -> list[Location]:
        if len(found) > 1:
            raise _unknown(self.text, f"single() finds {len(found)} elements")
        return found

    def criterion(self) -> Criterion:
        self.depth += 1
        if self.depth > NESTED:
            raise self.error("its criteria are nested too deeply")
        found = self.joined()
        self.depth -= 1
        return found

    def joined(self, weaker: int = 0) -> Criterion:
        """Terms joined by the words of one strength, their parts by those of the next."""
        if weaker == len(_STRENGTHS):
            return self.term()
        left = self.joined(weaker + 1)
        while self.peek()[0] == "name" and self.peek()[1] in _STRENGTHS[weaker]:
            word = self.name()
            left = joined(word, left, self.joined(weaker + 1))
        return left

    def term(self) -> Criterion:
        if self.accept("sign", "("):
            inner = self.criterion()
            self.expect("sign", ")")
            return self.negated(inner)
        left = self.operand()
        kind, sign = self.peek()
        if sign in COMPARED and kind in ("sign", "name"):
            self.position += 1
            return compared(sign, left, self.operand())
        return singleton(left)

    def negated(self, inner: Criterion) -> Criterion:
        while self.accept("sign", "."):
            self.expect("name", "not")
            self.expect("sign", "(")
            self.expect("sign", ")")
            inner = negation(inner)
        return inner

    def operand(self) -> Operand:
        kind, text = self.peek()
        if kind in ("text", "time", "number", "digits"):
            self.position += 1
            value = _literal(kind, text)
            return lambda _: [value]
        if kind == "name" and text in ("true", "false") and self.peek(1) != ("sign", "."):
            self.position += 1
            return lambda _: [text == "true"]
        steps, _ = self.path()

        def found(focus: Location) -> list[Any]:
            return _follow(steps, [focus])

        if self.peek() != ("sign", "."):
            return lambda focus: [each.value for each in found(focus)]
        self.position += 1
        test = self.test(self.name(), found)
        self.expect("sign", ")")
        negated = self.negated(test)
        return lambda focus: [truth] if (truth := negated(focus)) is not None else []

    def test(self, name: str, found: Callable[[Location], list[Location]]) -> Criterion:
        self.expect("sign", "(")
        match name:
            case "exists" if self.peek() != ("sign", ")"):
                criterion = self.criterion()
                return lambda focus: any(criterion(each) is True for each in found(focus))
            case "exists":
                return lambda focus: bool(found(focus))
            case "empty":
                return lambda focus: not found(focus)
            case "not":
                return negation(singleton(lambda focus: [each.value for each in found(focus)]))
            case _:
                wanted = _unescaped(self.expect("text"))
                test = _TESTS[name]
                return lambda focus: next((test(e.value, wanted) for e in found(focus) if type(e.value) is str), None)

    def peek(self, ahead: int = 0) -> tuple[str, str]:
        position = self.position + ahead
        return self.tokens[position] if position < len(self.tokens) else ("end", "")

    def accept(self, kind: str, text: str) -> bool:
        if self.peek() == (kind, text):
            self.position += 1
            return True
        return False

    def expect(self, kind: str, text: str | None = None) -> str:
        found = self.peek()
        if found[0] != kind or text not in (None, found[1]):
            raise self.error(f"{text or 'a ' + kind} is expected instead of {found[1] or 'its end'}")
        self.position += 1
        return found[1]

    def name(self) -> str:
        if self.peek()[0] == "quoted":
            return self.expect("quoted")
        return self.expect("name")

    def end(self) -> None:
        if self.position < len(self.tokens):
            raise self.error(f"{self.peek()[1]} is not understood here")

    def error(self, reason: str) -> FhirError:
        return _unknown(self.text, reason)


_OPERAND_ENDS = frozenset({"exists", "empty", "not", *_TESTS})


def _tokens(text: str) -> Iterator[tuple[str, str]]:
    position = 0
    while position < len(text):
        match = _TOKEN.match(text, position)
        if match is None or match.lastgroup is None:
            raise _unknown(text, f"it cannot be read from character {position + 1} on")
        yield match.lastgroup, match[match.lastgroup]
        position = match.end()


def _follow(steps: tuple[Step, ...] | list[Step], found: list[Location]) -> list[Location]:
    for step in steps:
        found = step(found)
    return found


def _children(text: str, location: Location, name: str) -> list[Location]:
    try:
        return location.children(name)
    except KeyError:
        raise _unknown(text, f"{location.kind} has no element {name}") from None


def _typed(text: str, found: list[Location], wanted: str) -> list[Location]:
    for location in found:
        if location.kind != wanted and wanted in RESOURCE_TYPES:
            raise _unknown(text, f"the resource is a {location.kind}")
    return found


def _between(first: int, last: int | None) -> Step:
    return lambda found: found[first:last]


def _where(criterion: Criterion) -> Step:
    return lambda found: [each for each in found if criterion(each) is True]


def _literal(kind: str, text: str) -> Any:
    if kind in ("number", "digits"):
        return Decimal(text)
    return _unescaped(text) if kind == "text" else text.removeprefix("@").removeprefix("T")


def _unescaped(text: str) -> str:
    def character(match: re.Match[str]) -> str:
        escape = match[1]
        return chr(int(escape[1:], 16)) if len(escape) == 5 else _ESCAPES.get(escape, escape)

    return _ESCAPE.sub(character, text)


def _unknown(text: str, reason: str) -> FhirError:
    return refuse(400, "invalid", "invalid-path", f"The path '{text}' cannot be followed: {reason}.", "path")
