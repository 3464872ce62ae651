"""Writing XML: a resource's JSON bytes as FHIR XML.

https://hl7.org/fhir/R4/xml.html
"""

import json
import re
from collections.abc import Mapping
from functools import cache
from itertools import zip_longest
from typing import Any

from fhir_server.fhir.outcome import FhirError, refuse
from fhir_server.fhir.xml_slots import FHIR, Slot, attributes, slots

DECLARATION = '<?xml version="1.0" encoding="UTF-8"?>'

# An attribute's white space must be written as references, or a reader turns it into spaces.
_ESCAPES = str.maketrans(
    {"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "\t": "&#9;", "\n": "&#10;", "\r": "&#13;"}
)
_special = re.compile('[&<>"\x00-\x1f\ufffe\uffff]').search
_unwritable = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]").search
_PROLOG = re.compile(r"\A\s*(<\?xml[^>]*\?>\s*)?")


def to_xml(body: bytes, indent: bool = False) -> bytes:
    """The resource in `body` (JSON, checked before) as FHIR XML in UTF-8; elements in the order R4 demands.

    Numbers keep their digits, strings every character, narratives their text. `indent` adds white space between
    elements, two spaces a level. FhirError 406 where a string holds a character that XML cannot write (U+FFFE, U+FFFF,
    control characters) or a member that R4 does not know.
    """
    # Python's reader hands out numbers as they are written: no digit, sign or exponent is lost on the way.
    resource = json.loads(body, parse_int=str, parse_float=str)
    out = [DECLARATION]
    _resource(out, resource, f' xmlns="{FHIR}"', "\n" if indent else "")
    return "".join(out).encode()


def _resource(out: list[str], resource: dict[str, Any], namespace: str, pad: str) -> None:
    name = resource["resourceType"]
    out.append(f"{pad}<{name}{namespace}>")
    _children(out, name, resource, pad)
    out.append(f"{pad}</{name}>")


def _children(out: list[str], path: str, value: dict[str, Any], pad: str) -> None:
    known = _members(path)
    present: list[Slot] = []
    for name in value:
        if name not in known:
            raise _not_in_xml(f"{path} has no element '{name}'")
        slot = known[name]
        if slot is not None and (name == slot.name or slot.name not in value):
            present.append(slot)
    present.sort()
    if pad:
        pad += "  "
    for slot in present:
        name, many, kind = slot.name, slot.many, slot.kind
        if kind == "primitive":
            content, beside = value.get(name), value.get(f"_{name}")
            if not many:
                _primitive(out, name, content, beside, pad)
            else:
                for one, other in zip_longest(content or (), beside or ()):
                    _primitive(out, name, one, other, pad)
            continue
        for one in value[name] if many else (value[name],):
            if kind == "complex":
                out.append(f"{pad}<{name}{_attributes(slot.path, one)}>")
                _children(out, slot.path, one, pad)
                out.append(f"{pad}</{name}>")
            elif kind == "holder":
                out.append(f"{pad}<{name}>")
                _resource(out, one, "", f"{pad}  " if pad else "")
                out.append(f"{pad}</{name}>")
            else:
                out.append(pad + _div(one))


def _primitive(out: list[str], name: str, content: Any, beside: dict[str, Any] | None, pad: str) -> None:
    value = "" if content is None else f' value="{_text(content)}"'
    if not beside:
        out.append(f"{pad}<{name}{value}/>")
        return
    start = f"{pad}<{name}{_attributes('Element', beside)}{value}"
    if "extension" not in beside:
        out.append(f"{start}/>")
        return
    out.append(f"{start}>")
    _children(out, "Element", beside, pad)
    out.append(f"{pad}</{name}>")


def _attributes(path: str, value: dict[str, Any]) -> str:
    text = ""
    for name in attributes(path):
        if name in value:
            text += f' {name}="{_text(value[name])}"'
    return text


def _text(value: str | bool) -> str:
    if type(value) is bool:
        return "true" if value else "false"
    text = str(value)
    if _special(text) is None:
        return text
    found = _unwritable(text)
    if found:
        raise _not_in_xml(f"a string holds the character U+{ord(found[0]):04X}")
    return text.translate(_ESCAPES)


def _div(text: str) -> str:
    """The narrative as it is: it is XML already, but for an XML declaration that some put before it."""
    return _PROLOG.sub("", text).rstrip()


@cache
def _members(path: str) -> Mapping[str, Slot | None]:
    """JSON member name -> slot; None for what XML writes as attributes or as the tag."""
    members: dict[str, Slot | None] = {"resourceType": None, **dict.fromkeys(attributes(path))}
    for name, slot in slots(path).items():
        members[name] = slot
        if slot.kind == "primitive":
            members[f"_{name}"] = slot
    return members


def _not_in_xml(reason: str) -> FhirError:
    text = f"This resource cannot be written as XML: {reason}. Ask for application/fhir+json."
    return refuse(406, "not-supported", "not-in-xml", text)
