"""https://hl7.org/fhir/R4/http.html#patch and RFC 5261"""

from pathlib import Path
from typing import Any

import pytest
from lxml import etree

from fhir_server.fhir import json, xml_patch
from fhir_server.fhir.outcome import FhirError

FILE = Path(__file__).parents[3] / "shared" / "data" / "fhir-patch" / "xml-patch-tests.xml"
LIMIT = 100_000
APART = {
    "Missing target document",  # no address is without its resource
    "A.3.  Adding a Prefixed Namespace Declaration",  # a resource has no prefixes of its own
}

PATIENT = (
    b'{"resourceType":"Patient","birthDate":"1970-01","id":"1","name":[{"given":["Ana","Maria"],"family":"Li"},'
    b'{"text":"A \\u0026 B"}],"text":{"status":"generated","div":"<div xmlns=\\"http://www.w3.org/1999/xhtml\\">'
    b'one<b>two</b>three</div>"},"extension":[{"url":"http://e.example","valueDecimal":1.10}]}'
)
NAMES = json.parse(PATIENT)["name"]


def cases() -> list[Any]:
    if not FILE.is_file():
        return [pytest.param(None, marks=pytest.mark.skip("the official patch cases are not on this machine"))]
    found = etree.parse(FILE).getroot().findall("case")
    return [pytest.param(case, id=case.get("name")) for case in found if case.get("name") not in APART]


@pytest.mark.parametrize("case", cases())
def test_official(case: Any) -> None:
    target, patch = case.find("target")[0], case.find("{*}patch")
    if case.find("error") is not None:
        with pytest.raises(FhirError) as caught:
            xml_patch.change(etree.tostring(target), xml_patch.parse(etree.tostring(patch)))
        assert caught.value.status == 400
    else:
        changed = xml_patch.change(etree.tostring(target), xml_patch.parse(etree.tostring(patch)))
        assert _plain(changed) == _plain(etree.tostring(case.find("patched")[0]))


def _plain(document: bytes) -> bytes:
    """Canonical, without white space between elements or at the ends of texts."""
    root = etree.fromstring(document)
    root.tail = None
    for node in root.iter():
        node.text, node.tail = (node.text or "").strip(), (node.tail or "").strip()
    canonical: bytes = etree.tostring(root, method="c14n")
    return canonical


def applied(*operations: str, diff: str = '<diff xmlns="http://hl7.org/fhir">', limit: int = LIMIT) -> Any:
    """The Patient changed."""
    patch = xml_patch.parse(f"{diff}{''.join(operations)}</diff>".encode())
    return xml_patch.apply(json.parse(PATIENT), patch, limit)


def test_what_is_left_alone_stays_as_it_was() -> None:
    changed = applied('<replace sel="/Patient/name[2]/text/@value">C</replace>')
    assert json.dump(changed) == PATIENT.replace(b"A \\u0026 B", b"C")


@pytest.mark.parametrize(
    ("operation", "member", "expected"),
    [
        ('<remove sel="Patient/birthDate"/>', "birthDate", None),
        ('<replace sel="Patient/birthDate/@value">1971</replace>', "birthDate", "1971"),
        ('<add sel="Patient/birthDate" pos="before"><gender value="other"/></add>', "gender", "other"),
        ('<add sel="Patient/name[2]"><family value="Lo"/></add>', "name", [NAMES[0], {**NAMES[1], "family": "Lo"}]),
        ('<add sel="f:Patient/f:name[2]" pos="before">{name}</add>', "name", [NAMES[0], {"family": "Lo"}, NAMES[1]]),
        ('<add sel="Patient/name[1]" pos="after">{name}</add>', "name", [NAMES[0], {"family": "Lo"}, NAMES[1]]),
        ("<replace sel=\"Patient/name[family/@value='Li']\">{name}</replace>", "name", [{"family": "Lo"}, NAMES[1]]),
        ('<remove sel="/Patient/*[given/@value = &quot;Ana&quot;]"/>', "name", [NAMES[1]]),
        ("<remove sel=\"Patient/name[1]/given[@value='Ana']\"/>", "name", [{**NAMES[0], "given": ["Maria"]}, NAMES[1]]),
        (
            '<add sel="Patient/name[1]/given[2]" type="@id">g</add>',
            "name",
            [{**NAMES[0], "_given": [None, {"id": "g"}]}, NAMES[1]],
        ),
    ],
)
def test_elements(operation: str, member: str, expected: Any) -> None:
    changed = applied(operation.replace("{name}", '<name><family value="Lo"/></name>'))
    assert changed.get(member) == expected
    assert {**changed, member: None} == {**json.parse(PATIENT), member: None}


def test_the_order_of_elements_is_to_be_kept() -> None:
    with pytest.raises(FhirError) as caught:
        applied('<add sel="Patient"><gender value="other"/></add>')
    assert caught.value.status == 400


@pytest.mark.parametrize(
    ("operation", "div"),
    [
        ('<remove sel="{0}/x:b"/>', "onethree"),
        ('<remove sel="{0}/text()[2]"/>', "one<b>two</b>"),
        ('<replace sel="{0}/x:b/text()">2</replace>', "one<b>2</b>three"),
        ('<replace sel="{0}/x:b"><x:i>2</x:i></replace>', "one<i>2</i>three"),
        ('<add sel="{0}">!<x:i>2</x:i>?</add>', "one<b>two</b>three!<i>2</i>?"),
        ('<add sel="{0}" pos="prepend">!<x:i>2</x:i>?</add>', "!<i>2</i>?one<b>two</b>three"),
        ('<add sel="{0}/x:b" pos="before">!<x:i>2</x:i>?</add>', "one!<i>2</i>?<b>two</b>three"),
        ('<add sel="{0}/x:b" pos="after">!<x:i>2</x:i>?</add>', "one<b>two</b>!<i>2</i>?three"),
        ('<add sel="{0}/x:b" pos="after">!</add>', "one<b>two</b>!three"),
    ],
)
def test_texts_of_a_narrative(operation: str, div: str) -> None:
    diff = '<diff xmlns="http://hl7.org/fhir" xmlns:x="http://www.w3.org/1999/xhtml">'
    found = applied(operation.format("Patient/text/x:div"), diff=diff)
    assert found["text"]["div"] == f'<div xmlns="http://www.w3.org/1999/xhtml">{div}</div>'


@pytest.mark.parametrize(
    ("patch", "detail"),
    [
        ("", "malformed-xml"),
        ("<diff>", "malformed-xml"),
        ('<!DOCTYPE d [<!ENTITY e "x">]><diff><remove sel="a">&e;</remove></diff>', "malformed-xml"),
        ("<diff/>", "not-a-patch"),
        ("<diff>remove</diff>", "not-a-patch"),
        ('<diff><move sel="Patient/name"/></diff>', "not-a-patch"),
        ("<diff><remove/></diff>", "invalid-operation"),
        ('<diff><remove sel="//f:name"/></diff>', "invalid-operation"),
        ("<diff><remove sel=\"id('a')\"/></diff>", "invalid-operation"),
        ('<diff><remove sel="f:Patient/f:name[last()]"/></diff>', "invalid-operation"),
        ("<diff><remove sel=\"f:Patient/f:name[f:given[1]/@value='Ana']\"/></diff>", "invalid-operation"),
        ('<diff><remove sel="f:Patient/ancestor::x"/></diff>', "invalid-operation"),
        ("<diff><remove sel=\"f:Patient/f:birthDate[@value='{}']\"/></diff>".format("1" * 500), "invalid-operation"),
        ('<diff><remove sel="y:Patient"/></diff>', "invalid-operation"),
        ('<diff><remove sel="f:Patient"/></diff>', "invalid-operation"),
        ('<diff><add sel="f:Patient" pos="after"/></diff>', "invalid-operation"),
        ('<diff><add sel="f:Patient" pos="last"/></diff>', "invalid-operation"),
        ('<diff><add sel="f:Patient/f:birthDate" type="@value">1</add></diff>', "invalid-operation"),
        ('<diff><add sel="f:Patient/f:birthDate" type="namespace::x">1</add></diff>', "invalid-operation"),
        ('<diff><add sel="f:Patient/f:birthDate/@value">1</add></diff>', "invalid-operation"),
        ('<diff><replace sel="f:Patient/f:birthDate">1</replace></diff>', "invalid-operation"),
        ('<diff><replace sel="f:Patient"><f/></replace></diff>', "invalid-operation"),
        ('<diff><remove sel="Patient/name[1]"/></diff>', "no-element"),
        ('<diff><remove sel="f:Patient/f:nom"/></diff>', "no-element"),
        ('<diff><remove sel="f:Patient/f:name"/></diff>', "several-elements"),
    ],
)
def test_refused(patch: str, detail: str) -> None:
    with pytest.raises(FhirError) as caught:
        xml_patch.apply(json.parse(PATIENT), xml_patch.parse(patch.encode()), LIMIT)
    assert (caught.value.status, caught.value.issues[0].detail) == (400, detail)


def test_limits() -> None:
    with pytest.raises(FhirError) as caught:
        applied('<remove sel="a"/>' * (xml_patch.OPERATIONS + 1))
    assert caught.value.issues[0].detail == "too-many-operations"
    with pytest.raises(FhirError) as caught:
        applied(f'<replace sel="Patient/name[2]/text/@value">{"x" * 1000}</replace>', limit=1000)
    assert caught.value.status == 413
