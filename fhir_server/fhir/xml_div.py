"""XML narratives: the bytes of a `<div>` inside FHIR XML as the text JSON holds.

https://hl7.org/fhir/R4/json.html#xhtml

A div that says itself that it is XHTML is taken as it stands. One that relies on declarations outside it is written
anew, without prefixes. Whether its content is allowed is for profiles.narrative to say.
"""

from xml.sax.saxutils import escape

from fhir_server.fhir.xml_names import Refused, Scope
from fhir_server.fhir.xml_slots import XHTML

_REFERENCES = {"\r": "&#13;"}
_QUOTED = {'"': "&quot;", "\t": "&#9;", "\n": "&#10;", "\r": "&#13;"}


class Div:
    """One div from its start tag on: `start`, `characters` and `end` are the parser's events until it is closed."""

    def __init__(self, data: bytes, scope: Scope, begin: int, tag: str, given: list[str]) -> None:
        self._data = data
        self._scope = scope
        self._begin = begin
        self._tag = tag
        self._depth = 0
        own = ":" not in tag and "xmlns" in given[::2]
        self._verbatim = own and not scope.prefixed(XHTML)
        self._parts: list[str] = []

    def start(self, tag: str, given: list[str]) -> None:
        """An element begins, the div itself first."""
        self._depth += 1
        if self._verbatim:
            return
        own = self._scope.enter(-self._depth, given)
        namespace, name = self._scope.resolve(tag)
        if namespace != XHTML:
            raise Refused("wrong-namespace", f"<{name}> in a narrative is not in the namespace {XHTML}")
        first = f' xmlns="{XHTML}"' if self._depth == 1 else ""
        written = [f' {attribute}="{escape(value, _QUOTED)}"' for attribute, value in own.items()]
        self._parts.append(f"<{name}{first}{''.join(written)}>")

    def characters(self, text: str) -> None:
        """Text of the narrative."""
        if not self._verbatim:
            self._parts.append(escape(text, _REFERENCES))

    def end(self, tag: str, at: int) -> str | None:
        """An element ends whose end tag begins at byte `at` (after an empty one: where it ends). The div's text, once
        it is the div that ends."""
        self._depth -= 1
        if not self._verbatim:
            self._parts.append(f"</{tag.rpartition(':')[2]}>")
            self._scope.leave(-self._depth - 1)
        if self._depth:
            return None
        if not self._verbatim:
            return "".join(self._parts)
        # An empty div's parent is `text`, so that no other end tag with the div's name can follow it.
        closing = self._data.startswith(b"</" + self._tag.encode(), at)
        end = self._data.index(b">", at) + 1 if closing else at
        return self._data[self._begin : end].decode()
