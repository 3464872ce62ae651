"""Coded: a token parameter that asks by meaning: in a value set, or above or below a code.

https://hl7.org/fhir/R4/search.html#modifiers

What the codes are stands in code systems and value sets, which this package does not know: interactions/coded.py finds
them and puts the condition they come to in its place.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, get_args

from fhir_server.fhir import tokens
from fhir_server.fhir.condition import NOTHING, SEPARATOR, Any, Condition, Keys, Not, Prefix
from fhir_server.fhir.escapes import split, unescape
from fhir_server.fhir.keys import escape, token
from fhir_server.fhir.outcome import refuse
from fhir_server.fhir.params import Parameter

Modifier = Literal["in", "not-in", "above", "below"]

MODIFIERS: frozenset[str] = frozenset(get_args(Modifier))
VALUE_SETS = frozenset({"in", "not-in"})
"""Those of them whose values are value sets."""

_CODED = frozenset({"code", "Coding", "CodeableConcept"})


@dataclass(frozen=True)
class Coded:
    """`values` are canonicals or references of value sets, or codes (`system|code`); any of them will do."""

    parameter: Parameter
    modifier: Modifier
    values: tuple[str, ...]

    @property
    def name(self) -> str:
        """The parameter with its modifier: `code:in`."""
        return f"{self.parameter.name}:{self.modifier}"

    def tokens(self) -> list[tuple[str, str]]:
        """The values as system and code. Of a plain parameter the system is that of its binding where none is given.

        FhirError 400 for a value without a system, or without a code.
        """
        found: list[tuple[str, str]] = []
        for value in self.values:
            parts = [unescape(part) for part in split(value, "|")]
            system, code = (parts[0], parts[1]) if len(parts) == 2 else ("", parts[0])
            if not code or len(parts) > 2 or not (system or tokens.is_plain(self.parameter.branches)):
                text = f"The search parameter {self.name}={value[:200]} is not valid: it is written system|code."
                raise refuse(400, "value", "invalid-value", text, self.name)
            systems = [system] if system else sorted(tokens.systems(self.parameter.branches, code))
            found += [(each, code) for each in systems]
        return found

    def condition(self, codes: Iterable[tuple[str, str | None]]) -> Condition:
        """The condition it comes to once the codes are known: (system, code)s, code None for any code of the system."""
        keys: dict[str, None] = {}
        others: list[Condition] = []
        for system, code in codes:
            found = self._of(system, code)
            if isinstance(found, Keys):
                keys |= dict.fromkeys(found.keys)
            elif found != NOTHING:
                others.append(found)
        if keys:
            others.insert(0, Keys("tk", tuple(keys)))
        found = others[0] if len(others) == 1 else Any(tuple(others))
        return Not(found) if self.modifier == "not-in" else found

    def _of(self, system: str, code: str | None) -> Condition:
        label, branches = self.parameter.label, self.parameter.branches
        if tokens.is_plain(branches):
            if system not in tokens.systems(branches, code or ""):
                return NOTHING
            return Keys("tk", (f"{label}{SEPARATOR}*|{escape(code)}",)) if code else Prefix("tk", f"{label}{SEPARATOR}")
        if code is None:
            return Prefix("tk", f"{label}{SEPARATOR}{token(escape(system), '')}")
        return Keys("tk", (f"{label}{SEPARATOR}{token(escape(system), escape(code))}",))


def coded(parameter: Parameter, modifier: str, value: str) -> Coded:
    """What `name:modifier=value` asks for; a comma in `value` means or. FhirError 400 for a parameter without codes."""
    name = f"{parameter.name}:{modifier}"
    known = next((each for each in get_args(Modifier) if each == modifier), None)
    if known is None or not any(branch.type in _CODED for branch in parameter.branches):
        text = f"The search parameter {parameter.name} has no codes that could be asked for by {modifier}."
        raise refuse(400, "invalid", "invalid-modifier", text, name)
    parts = split(value, ",")
    if not all(parts):
        text = f"The search parameter {name}={value[:200]} is not valid: a value is empty."
        raise refuse(400, "value", "invalid-value", text, name)
    if modifier in VALUE_SETS:
        parts = [unescape(part) for part in parts]
    return Coded(parameter, known, tuple(dict.fromkeys(parts)))
