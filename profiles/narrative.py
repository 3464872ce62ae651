"""Narrative: is a `div` safe XHTML of the subset R4 allows.

https://hl7.org/fhir/R4/narrative.html#xhtml

Scripts, forms, frames, event attributes, document types and entities are refused, and links that are not plain ones.
Namespaces are judged here by their declarations and not by expat, which copies a namespace's whole name into every
prefixed name: 150 kB could become a gigabyte.
"""

import re
from functools import cache
from typing import Any
from xml.parsers import expat

from profiles.definitions import narrative
from profiles.primitives import Fault, shown, wrong_kind

XHTML = "http://www.w3.org/1999/xhtml"
_LINK_ATTRIBUTES = frozenset({"href", "src", "cite", "longdesc"})
_SCHEMES = frozenset({"http", "https", "mailto", "tel", "ftp", "urn"})
_scheme = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*):").match
_unsafe_style = re.compile(r"expression\s*\(|javascript:|@import|behavior\s*:|-moz-binding", re.IGNORECASE).search


class _Refused(Exception):  # noqa: N818 - ends the parse from within a handler; never leaves this module
    """The sentence that says why a document is refused."""


class _Reader:
    """Follows one document and refuses it at the first thing not allowed; `text` tells whether it shows anything."""

    def __init__(self, parser: expat.XMLParserType) -> None:
        self.parser = parser
        self.elements, self.attributes = _allowed()
        self.inside = False
        self.text = False
        parser.ordered_attributes = True
        parser.StartDoctypeDeclHandler = self.doctype
        parser.ProcessingInstructionHandler = self.instruction
        parser.StartElementHandler = self.start
        parser.CharacterDataHandler = self.characters

    def doctype(self, *_: Any) -> None:
        raise _Refused("a document type is not allowed")

    def instruction(self, *_: Any) -> None:
        raise _Refused("processing instructions are not allowed")

    def start(self, name: str, attributes: list[str]) -> None:
        if name not in self.elements:
            raise _Refused(f"the element <{name[:60]}> is not allowed")
        if not self.inside:
            if name != "div":
                raise _Refused("the outermost element is not <div>")
            if "xmlns" not in attributes[::2]:
                raise _Refused(f'<div> is not in the namespace "{XHTML}"')
            self.inside = True
        if attributes:
            for attribute, value in zip(attributes[::2], attributes[1::2], strict=True):
                self.attribute(name, attribute, value)
            self.text = self.text or (name == "img" and "src" in attributes[::2])

    def attribute(self, element: str, name: str, value: str) -> None:
        if name not in self.attributes:
            if name == "xmlns" and value != XHTML:
                raise _Refused(f'<{element}> is not in the namespace "{XHTML}"')
            if name != "xmlns" and not name.startswith(("xml:", "xmlns:")):
                raise _Refused(f"the attribute {shown(name)} is not allowed (on <{element}>)")
        if name in _LINK_ATTRIBUTES:
            link = "".join(value.split())
            scheme = _scheme(link)
            image = element == "img" and link.lower().startswith("data:image/")
            if scheme and scheme[1].lower() not in _SCHEMES and not image:
                raise _Refused(f'links to "{scheme[1]}:" are not allowed (on <{element}>)')
        if name == "style" and _unsafe_style(value):
            raise _Refused(f"the style of <{element}> runs code")

    def characters(self, data: str) -> None:
        if not data.isspace():
            self.text = True
            self.parser.CharacterDataHandler = None


@cache
def _allowed() -> tuple[frozenset[str], frozenset[str]]:
    """Names of elements and of attributes."""
    elements, attributes = narrative()
    return frozenset(elements), frozenset(attributes)


def check(value: Any) -> Fault | None:
    """None if `value` is a `<div>` of allowed XHTML with content, else what is wrong first; emptiness is a warning."""
    if type(value) is not str or not value:
        return wrong_kind(value, "xhtml", "a string")
    parser = expat.ParserCreate()
    reader = _Reader(parser)
    try:
        parser.Parse(value, True)
    except expat.ExpatError as error:
        return Fault("value", "invalid-narrative", f"{shown(value)} is not well-formed XHTML: {error}.")
    except UnicodeEncodeError:
        return Fault("value", "invalid-narrative", "The narrative holds half of a surrogate pair.")
    except _Refused as refused:
        return Fault("invariant", "unsafe-narrative", f"txt-1: The narrative is refused: {refused}.")
    if not reader.text:
        return Fault("invariant", "empty-narrative", "txt-2: The narrative has neither text nor an image.", "warning")
    return None
