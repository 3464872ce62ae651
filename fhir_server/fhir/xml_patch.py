"""XML Patch: changes to a resource as a list of operations on its XML.

https://hl7.org/fhir/R4/http.html#patch

RFC 5261 by the library `lxml` (docs/decisions/0009-patch.md). Of its selectors those are followed that lead down by
names, with positions or values in brackets, so that no selector costs more than a look at the whole resource: no
functions and no `//`. The prefix `f` means FHIR where the document does not say otherwise.
"""

import re
from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass, replace
from typing import Any

from lxml import etree

from fhir_server.fhir import json, xml
from fhir_server.fhir.outcome import FhirError, refuse
from fhir_server.fhir.xml_slots import FHIR

OPERATIONS = 100
"""A patch may have this many operations: each may look at all of the resource."""
SELECTOR = 500
"""A selector may have this many characters."""

_DEFAULT = "default.namespace"
"""The prefix that names without one get where the document has a default namespace: RFC 5261, 4.2.2."""

_NAME = r"(?:[A-Za-z_][\w.\-]*:)?[A-Za-z_][\w.\-]*"
_TEXT = r"(?:'[^']*'|\"[^\"]*\")"
_BELOW = rf"(?:{_NAME}/)*(?:@{_NAME}|{_NAME}|text\(\)|\.)"
_STEP = rf"(?:{_NAME}|\*)(?:\[\s*(?:\d{{1,6}}|{_BELOW}\s*=\s*{_TEXT})\s*\])*"
_LAST = rf"(?:@{_NAME}|(?:text|comment)\(\)(?:\[\d{{1,6}}\])?)"
_is_selector = re.compile(rf"/?{_STEP}(?:/{_STEP})*(?:/{_LAST})?", re.ASCII).fullmatch
_NAMES = re.compile(rf"{_TEXT}|@{_NAME}|(?:text|comment)\(\)|(?P<name>{_NAME})", re.ASCII)


@dataclass(frozen=True, slots=True)
class Operation:
    """What `element` (add, replace or remove) does to what `find` gives of a document's root; `sel` is how it is
    written."""

    name: str
    sel: str
    find: Callable[[Any], Any]
    element: Any


Patch = list[Operation]


def parse(body: bytes) -> Patch:
    """The operations of an XML Patch document. FhirError 400 where it is malformed, or one of them is."""
    root = _parsed(body)
    elements = [child for child in root if isinstance(child.tag, str)]
    if not elements or any(etree.QName(each).localname not in _DONE for each in elements):
        text = "An XML Patch is a diff element that holds add, replace and remove elements."
        raise refuse(400, "structure", "not-a-patch", text)
    if len(elements) > OPERATIONS:
        raise refuse(400, "too-costly", "too-many-operations", f"A patch has at most {OPERATIONS} operations.")
    return [_operation(number, element) for number, element in enumerate(elements)]


def apply(resource: dict[str, Any], patch: Patch, limit: int) -> dict[str, Any]:
    """A changed copy of the resource; it need not be a valid one any more.

    FhirError 400 where a selector names no node or several, or the outcome is no FHIR XML; 413 where it grows beyond
    `limit` bytes.
    """
    written = change(xml.to_xml(json.dump(resource)), patch)
    try:
        changed = xml.from_xml(written)
    except FhirError as error:
        # Line and column are those of the outcome, which nobody has seen: the patch is what is wrong.
        raise FhirError(error.status, [replace(issue, expression=("patch",)) for issue in error.issues]) from None
    if len(changed) > limit:
        raise refuse(413, "too-long", "resource-too-large", f"The outcome exceeds {limit} bytes.", "patch")
    ordered: dict[str, Any] = _in_order(resource, json.parse(changed))
    return ordered


def change(document: bytes, patch: Patch) -> bytes:
    """The document after all operations. FhirError 400 as of `apply`."""
    root = _parsed(document)
    for number, operation in enumerate(patch):
        found = operation.find(root)
        if len(found) != 1:
            detail = "several-elements" if found else "no-element"
            told = "names more than one node" if found else "names nothing"
            raise _refused(number, "not-found" if not found else "invalid", detail, f"'{operation.sel}' {told}.")
        _DONE[operation.name](number, found[0], operation.element)
    written: bytes = etree.tostring(root, encoding="UTF-8")
    return written


def _parsed(body: bytes) -> Any:
    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False, encoding="UTF-8")
    try:
        root = etree.fromstring(body, parser)
    except (etree.XMLSyntaxError, ValueError):
        raise refuse(400, "structure", "malformed-xml", "The body is not well-formed XML.") from None
    if root.getroottree().docinfo.doctype:
        raise refuse(400, "structure", "malformed-xml", "A document type is not accepted.")
    return root


def _operation(number: int, element: Any) -> Operation:
    sel = element.get("sel", "").strip()
    if len(sel) > SELECTOR or not _is_selector(sel):
        text = "Its sel leads down by names, with positions or values in brackets, perhaps to an attribute or a text."
        raise _refused(number, "invalid", "invalid-operation", text)
    spaces = {"f": FHIR, **{prefix: uri for prefix, uri in element.nsmap.items() if prefix}}
    if element.nsmap.get(None):
        spaces[_DEFAULT] = element.nsmap[None]
        sel = _NAMES.sub(_qualified, sel)
    try:
        find = etree.XPath(sel if sel.startswith("/") else f"/{sel}", namespaces=spaces)
        find(etree.Element("none"))
    except etree.XPathError:
        text = "Its sel has a prefix that the document does not declare."
        raise _refused(number, "invalid", "invalid-operation", text) from None
    return Operation(etree.QName(element).localname, element.get("sel").strip(), find, element)


def _qualified(match: re.Match[str]) -> str:
    name = match["name"]
    return f"{_DEFAULT}:{name}" if name and ":" not in name else match[0]


def _add(number: int, node: Any, element: Any) -> None:
    kind, place = element.get("type", ""), element.get("pos", "")
    if not _is_element(node):
        raise _refused(number, "invalid", "invalid-operation", "Only to an element something is added.")
    if kind:
        name = kind.removeprefix("@")
        if kind == name or not re.fullmatch(r"[A-Za-z_][\w.\-]*", name, re.ASCII) or name in node.attrib:
            text = "Its type is @ and the name of an attribute that is not there yet."
            raise _refused(number, "invalid", "invalid-operation", text)
        node.set(name, element.text or "")
    elif place in ("before", "after") and node.getparent() is None:
        raise _refused(number, "invalid", "invalid-operation", "Beside the resource there is no place.")
    elif place == "":
        _insert(node, len(node), element, at_once=False)
    elif place == "prepend":
        _insert(node, 0, element, at_once=True)
    elif place in ("before", "after"):
        parent = node.getparent()
        _insert(parent, parent.index(node) + (place == "after"), element, at_once=place == "after")
    else:
        raise _refused(number, "invalid", "invalid-operation", "Its pos is prepend, before or after.")


def _replace(number: int, node: Any, element: Any) -> None:
    if isinstance(node, str):
        _write(node, element.text or "")
        return
    new = [each for each in element if _is_element(each) == _is_element(node)]
    if len(new) != 1 or node.getparent() is None:
        text = "An element or comment in the resource is replaced by one, and only by one."
        raise _refused(number, "invalid", "invalid-operation", text)
    copy = deepcopy(new[0])
    copy.tail = node.tail
    node.getparent().replace(node, copy)


def _remove(number: int, node: Any, element: Any) -> None:
    if isinstance(node, str):
        _write(node, None)
        return
    parent = node.getparent()
    if parent is None:
        raise _refused(number, "invalid", "invalid-operation", "The resource itself cannot be removed.")
    position = parent.index(node)
    text = (_text_before(parent, position) or "") + (node.tail or "")
    parent.remove(node)
    _write_before(parent, position, text)


def _write(node: Any, text: str | None) -> None:
    """Another attribute or text in place of the one that was found; None: none."""
    parent = node.getparent()
    if node.is_attribute and text is None:
        del parent.attrib[node.attrname]
    elif node.is_attribute:
        parent.set(node.attrname, text)
    elif node.is_tail:
        parent.tail = text
    else:
        parent.text = text


def _insert(parent: Any, position: int, element: Any, *, at_once: bool) -> None:
    """What the operation's element holds, text and nodes, at this position among the parent's nodes: behind the text
    that stands there, or `at_once` before it."""
    text = _text_before(parent, position)
    _write_before(parent, position, element.text if at_once else (text or "") + (element.text or ""))
    for number, child in enumerate(element):
        parent.insert(position + number, deepcopy(child))
    if at_once and text:
        end = position + len(element)
        _write_before(parent, end, (_text_before(parent, end) or "") + text)


def _text_before(parent: Any, position: int) -> str | None:
    text: str | None = parent[position - 1].tail if position else parent.text
    return text


def _write_before(parent: Any, position: int, text: str | None) -> None:
    """This text, and no other, in front of the node at this position."""
    if position:
        parent[position - 1].tail = text or None
    else:
        parent.text = text or None


def _is_element(node: Any) -> bool:
    return etree.iselement(node) and isinstance(node.tag, str)


def _in_order(before: Any, after: Any) -> Any:
    """`after`, its members in the order they had before: XML has an order of its own."""
    if isinstance(before, dict) and isinstance(after, dict):
        names = [*(name for name in before if name in after), *(name for name in after if name not in before)]
        return {name: _in_order(before.get(name), after[name]) for name in names}
    if isinstance(before, list) and isinstance(after, list):
        return [_in_order(before[number] if number < len(before) else None, each) for number, each in enumerate(after)]
    return after


def _refused(number: int, code: str, detail: str, text: str) -> FhirError:
    return refuse(400, code, detail, f"Operation {number + 1} of the patch cannot be done. {text}", f"patch[{number}]")


_DONE: dict[str, Callable[[int, Any, Any], None]] = {"add": _add, "replace": _replace, "remove": _remove}
