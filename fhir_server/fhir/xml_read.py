"""Reading XML: FHIR XML as the JSON bytes of the same resource.

https://hl7.org/fhir/R4/xml.html

The reader follows the tables of the definitions tag by tag and stops at the first thing R4's XML does not have there.
What JSON and XML have in common (cardinalities, formats, codes) it leaves to profiles.structure.
"""

from collections.abc import Mapping
from typing import Any
from xml.parsers import expat

from fhir_server.fhir.json import DEPTH, dump
from fhir_server.fhir.outcome import FhirError, refuse
from fhir_server.fhir.xml_div import Div
from fhir_server.fhir.xml_names import Refused, Scope
from fhir_server.fhir.xml_slots import FHIR, RESOURCES, XHTML, Slot, attributes, slots

_ENCODINGS = frozenset({"UTF-8", "US-ASCII"})
_SPACE = " \t\r\n"


def from_xml(data: bytes) -> bytes:
    """Compact JSON of the one resource in `data`, members in the order of the elements.

    Numbers keep their digits, strings every character, narratives their bytes. FhirError 400 naming line and column for
    what is not well-formed or not UTF-8, has a document type, entities or processing instructions, nests deeper than
    fhir.json.DEPTH, or holds elements, attributes, text or namespaces that R4 does not have there, out of order, twice
    or empty. `data` is as large as the caller lets it be; the JSON is still to be parsed and checked like any other.
    """
    # Expat would read UTF-16 whatever it is told, and count its bytes otherwise than we do.
    if b"\x00" in data[:4] or data.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise refuse(400, "structure", "malformed-xml", "The body is not well-formed XML: it is not in UTF-8.")
    reader = _Reader(data)
    try:
        reader.parser.Parse(data, True)
    except expat.ExpatError as error:
        raise _malformed(data, error) from None
    except Refused as refused:
        raise reader.explain(refused) from None
    return dump(reader.resource)


class _Frame:
    """An element that is open. Its children go into `value`; `position` is the last child's; `uneven` names primitives
    that repeat and have ids, extensions or gaps."""

    __slots__ = ("position", "slot", "slots", "uneven", "value")

    def __init__(self, slot: Slot | None, slots: Mapping[str, Slot], value: dict[str, Any]) -> None:
        self.slot = slot
        self.slots = slots
        self.value = value
        self.position = -1
        self.uneven: set[str] = set()


class _Reader:
    """Follows one document. `leaf` is a primitive just opened by its value: most of them close again at once."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.frame = _Frame(None, RESOURCES, {})
        self.frames = [self.frame]
        self.leaf: Slot | None = None
        self.scope = Scope()
        self.parser = parser = expat.ParserCreate("UTF-8")
        parser.ordered_attributes = True
        parser.buffer_text = True
        parser.XmlDeclHandler = self.declaration
        parser.StartDoctypeDeclHandler = self.doctype
        parser.ProcessingInstructionHandler = self.instruction
        self.listen()

    def listen(self) -> None:
        """Hear the events of FHIR's elements; a narrative's are heard by its Div."""
        self.parser.StartElementHandler = self.start
        self.parser.EndElementHandler = self.end
        self.parser.CharacterDataHandler = self.characters

    @property
    def resource(self) -> dict[str, Any]:
        """The resource, once the document is read."""
        resource: dict[str, Any]
        (resource,) = self.frames[0].value.values()
        return resource

    def declaration(self, version: str, encoding: str | None, _: int) -> None:
        if version != "1.0" or (encoding is not None and encoding.upper() not in _ENCODINGS):
            raise Refused("malformed-xml", "it is declared as something else than XML 1.0 in UTF-8")

    def doctype(self, *_: Any) -> None:
        raise Refused("document-type", "document types, and entities with them, are not accepted")

    def instruction(self, *_: Any) -> None:
        raise Refused("processing-instruction", "processing instructions are not accepted")

    def characters(self, text: str) -> None:
        if text.strip(_SPACE):
            raise Refused("unexpected-text", f"the text '{text.strip()[:40]}' stands between elements")

    def start(self, tag: str, given: list[str]) -> None:
        if self.leaf is not None:
            self.enter(_Frame(self.leaf, slots("Element"), {}))
            self.leaf = None
        frame = self.frame
        slot = frame.slots.get(tag) if self.scope.plain else None
        if slot is None or len(given) > 2:
            self.start_other(tag, given)
        elif slot.kind == "primitive" and given and given[0] == "value":
            self.place(frame, slot)
            value: Any = given[1]
            if slot.lexeme is not None:
                value = _lexeme(slot, value)
            if slot.many:
                frame.value.setdefault(tag, []).append(value)
            else:
                frame.value[tag] = value
            self.leaf = slot
        elif slot.kind == "complex" and not given:
            self.place(frame, slot)
            self.start_complex(frame, slot, {})
        else:
            self.start_other(tag, given)

    def start_other(self, tag: str, given: list[str]) -> None:
        """An element with children or a resource, with attributes besides `value`, or with namespaces."""
        own = self.scope.enter(len(self.frames), given)
        namespace, name = self.scope.resolve(tag)
        frame = self.frame
        slot = frame.slots.get(name)
        if slot is None or namespace != (XHTML if slot.kind == "div" else FHIR):
            raise self.unknown(namespace, name, slot)
        if slot.kind == "resource" and frame.value:
            raise Refused("several-resources", f"<{name}> follows the one resource that belongs here")
        self.place(frame, slot)
        if slot.kind == "div":
            self.start_div(tag, given)
            return
        value = own.pop("value", None) if slot.kind == "primitive" else None
        for attribute in own.keys() - (() if slot.kind == "holder" else attributes(slot.path)):
            raise Refused("unknown-attribute", f"<{name}> has no attribute '{attribute[:80]}'")
        match slot.kind:
            case "primitive":
                content = value if value is None or slot.lexeme is None else _lexeme(slot, value)
                _put(frame, slot, content)
                self.enter(_Frame(slot, slots("Element"), dict(own)))
            case "complex":
                self.start_complex(frame, slot, dict(own))
            case "holder":
                self.enter(_Frame(slot, RESOURCES, {}))
            case "resource":
                resource = frame.value[name] = {"resourceType": name}
                if frame.slot is not None:
                    _put(self.frames[-2], frame.slot, resource)
                self.enter(_Frame(slot, slots(name), resource))

    def start_complex(self, frame: _Frame, slot: Slot, value: dict[str, Any]) -> None:
        _put(frame, slot, value)
        self.enter(_Frame(slot, slots(slot.path), value))

    def start_div(self, tag: str, given: list[str]) -> None:
        frame, depth = self.frame, len(self.frames)
        div = Div(self.data, self.scope, self.parser.CurrentByteIndex, tag, given)

        def end(closed: str) -> None:
            text = div.end(closed, self.parser.CurrentByteIndex)
            if text is not None:
                frame.value["div"] = text
                self.scope.leave(depth)
                self.listen()

        div.start(tag, given)
        self.parser.StartElementHandler = div.start
        self.parser.EndElementHandler = end
        self.parser.CharacterDataHandler = div.characters

    def place(self, frame: _Frame, slot: Slot) -> None:
        """FhirError, through Refused, unless the element may follow those before it."""
        if slot.position > frame.position:
            frame.position = slot.position
        elif slot.position < frame.position:
            raise Refused("wrong-order", f"<{slot.name}> comes too late: R4 fixes the order of elements")
        elif not slot.many and (slot.name in frame.value or f"_{slot.name}" in frame.value):
            raise Refused("repeated-element", f"<{slot.name}> does not repeat")

    def enter(self, frame: _Frame) -> None:
        if len(self.frames) > DEPTH:
            raise Refused("too-deep", f"elements are nested deeper than {DEPTH}")
        self.frames.append(frame)
        self.frame = frame

    def end(self, _: str) -> None:
        if self.leaf is not None:
            self.leaf = None
            return
        frame = self.frames.pop()
        self.frame = self.frames[-1]
        self.scope.leave(len(self.frames))
        slot, value = frame.slot, frame.value
        assert slot is not None
        for name in frame.uneven:
            _even(value, name)
        if slot.kind == "primitive":
            _attach(self.frame, slot, value)
        elif not value:
            raise Refused("empty-element", f"<{slot.name}> is empty; leave it out")

    def unknown(self, namespace: str, name: str, slot: Slot | None) -> Refused:
        """Why this element cannot stand here."""
        shown = name[:80]
        if slot is not None:
            wanted = XHTML if slot.kind == "div" else FHIR
            return Refused("wrong-namespace", f"<{shown}> is not in the namespace {wanted}")
        above = self.frame.slot
        if self.frame.slots is RESOURCES:
            return Refused("unknown-resource-type", f"<{shown}> is not a resource type of R4")
        known = next((tag for tag in self.frame.slots if tag.casefold() == name.casefold()), None)
        hint = f"; did you mean <{known}>?" if known else ""
        return Refused("unknown-element", f"<{above.name if above else ''}> has no element <{shown}>{hint}")

    def explain(self, refused: Refused) -> FhirError:
        """The failure with its place in the document and in the resource."""
        # The parser has stopped behind the tag that was refused; a tag holds no other "<" than its first character.
        begin = max(self.data.rfind(b"<", 0, self.parser.CurrentByteIndex), 0)
        line_begin = self.data.rfind(b"\n", 0, begin) + 1
        column = len(self.data[line_begin:begin].decode()) + 1
        line = self.data.count(b"\n", 0, begin) + 1
        text = f"The body is not acceptable FHIR XML: {refused}, line {line} column {column}."
        path = self.path()
        return refuse(400, "structure", refused.detail, text, *([path] if path else []))

    def path(self) -> str:
        """The open elements as FHIRPath: `Bundle.entry[0].resource.name`."""
        steps: list[str] = []
        for outer, inner in zip(self.frames, self.frames[1:], strict=False):
            assert inner.slot is not None
            found = outer.value.get(inner.slot.name)
            index = f"[{len(found) - 1}]" if isinstance(found, list) else ""
            if inner.slot.kind != "resource" or not steps:
                steps.append(f"{inner.slot.name}{index}")
        return ".".join(steps)


def _lexeme(slot: Slot, text: str) -> Any:
    assert slot.lexeme is not None
    value = slot.lexeme(text)
    if value is None:
        raise Refused("invalid-format", f"'{text[:40]}' in <{slot.name}> is not a valid {slot.type}")
    return value


def _put(frame: _Frame, slot: Slot, value: Any) -> None:
    """Add a child's value to its parent; None where a primitive has none."""
    if slot.many:
        frame.value.setdefault(slot.name, []).append(value)
        if value is None:
            frame.uneven.add(slot.name)
    elif value is not None:
        frame.value[slot.name] = value


def _attach(frame: _Frame, slot: Slot, beside: dict[str, Any]) -> None:
    """Put id and extensions of the primitive just read into the member `_name`."""
    name, sibling = slot.name, f"_{slot.name}"
    values = frame.value.get(name)
    if not beside:
        if values is None or (slot.many and values[-1] is None):
            raise Refused("empty-element", f"<{name}> has neither a value nor children; leave it out")
    elif slot.many:
        others = frame.value.setdefault(sibling, [])
        others += [None] * (len(values or ()) - 1 - len(others))
        others.append(beside)
        frame.uneven.add(name)
    else:
        frame.value[sibling] = beside


def _even(value: dict[str, Any], name: str) -> None:
    """Values and siblings of a primitive that repeats, to the same length; values that are all gaps are left out."""
    others = value[f"_{name}"]
    others += [None] * (len(value[name]) - len(others))
    if not any(item is not None for item in value[name]):
        del value[name]


def _malformed(data: bytes, error: expat.ExpatError) -> FhirError:
    reason = "it is empty"
    if data.strip():
        reason = f"{expat.ErrorString(error.code)}, line {error.lineno} column {error.offset + 1}"
    return refuse(400, "structure", "malformed-xml", f"The body is not well-formed XML: {reason}.")
