"""Any resource of R4's shapes goes through XML and back without a difference.

https://hl7.org/fhir/R4/xml.html
"""

from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec import Raw

from fhir_server.fhir.json import dump
from fhir_server.fhir.outcome import FhirError
from fhir_server.fhir.xml import from_xml, to_xml
from profiles.definitions import PRIMITIVE_TYPES, Element, elements
from tests.fhir.test_xml_official import exact

TYPES = ("Patient", "Observation", "Parameters", "Bundle", "Questionnaire", "Immunization")
TEXT = st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="\ufffe\uffff").filter(
        lambda character: character >= " " or character in "\t\n\r"
    ),
    max_size=12,
)
WHOLE = st.integers(0, 10**20).map(str)
NUMBERS = {
    "decimal": st.from_regex(r"\A-?(0|[1-9][0-9]{0,6})(\.[0-9]{1,6})?([eE][+-]?[0-9]{1,2})?\Z"),
    "integer": st.one_of(WHOLE, WHOLE.map("-{}".format)),
    "positiveInt": WHOLE,
    "unsignedInt": WHOLE,
}
DIVS = st.sampled_from(
    [
        '<div xmlns="http://www.w3.org/1999/xhtml">a &amp; b &lt; <b class="c">é</b>\r\n<!-- c --><br/></div>',
        "<div xmlns='http://www.w3.org/1999/xhtml'/>",
        '<div xmlns="http://www.w3.org/1999/xhtml" ><div><![CDATA[<x>]]></div></div >',
    ]
)


@st.composite
def objects(draw: st.DrawFn, path: str, depth: int) -> dict[str, Any]:
    """An object at a definition path: some of its elements, each with values of its type."""
    value: dict[str, Any] = {}
    offered = [e for e in elements(path).values() if depth or _is_flat(e)]
    for element in draw(st.lists(st.sampled_from(offered), min_size=1, max_size=4, unique=True)):
        choices = [
            (name, type_name) for name, type_name in element.names().items() if depth or _is_primitive(type_name)
        ]
        name, type_name = draw(st.sampled_from(choices))
        if element.attribute:
            value[name] = draw(TEXT)
        elif _is_primitive(type_name):
            value |= draw(primitives(name, type_name, element.many, depth))
        else:
            inner = objects(type_name, depth - 1) if type_name != "Resource" else resources(depth - 1)
            value[name] = draw(st.lists(inner, min_size=1, max_size=2) if element.many else inner)
    return value


@st.composite
def resources(draw: st.DrawFn, depth: int) -> dict[str, Any]:
    resource_type = draw(st.sampled_from(TYPES))
    return {"resourceType": resource_type} | draw(objects(resource_type, max(depth, 0)))


@st.composite
def primitives(draw: st.DrawFn, name: str, type_name: str, many: bool, depth: int) -> dict[str, Any]:
    """A primitive's member and, at times, the one with its id and extensions; never a value without either."""
    if type_name == "xhtml":
        return {name: draw(DIVS)}
    content: st.SearchStrategy[Any] = st.booleans() if type_name == "boolean" else TEXT
    if type_name in NUMBERS:
        content = NUMBERS[type_name].map(lambda text: Raw(text.encode()))
    beside = objects("Element", max(depth - 1, 0)).filter(bool)
    pair = st.one_of(st.tuples(content, st.none()), st.tuples(content, beside), st.tuples(st.none(), beside))
    pairs = draw(st.lists(pair, min_size=1, max_size=3)) if many else [draw(pair)]
    made: dict[str, Any] = {}
    for member, column in ((name, [p[0] for p in pairs]), (f"_{name}", [p[1] for p in pairs])):
        if any(item is not None for item in column):
            made[member] = column if many else column[0]
    return made


def _is_primitive(type_name: str) -> bool:
    return type_name in PRIMITIVE_TYPES


def _is_flat(element: Element) -> bool:
    return any(_is_primitive(type_name) for type_name in element.types)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize=True)
@given(resources(3), st.booleans())
def test_json_survives(resource: dict[str, Any], indent: bool) -> None:
    body = dump(resource)
    assert exact(from_xml(to_xml(body, indent))) == exact(body)


DOCUMENT = to_xml(
    dump(
        {
            "resourceType": "Patient",
            "text": {"status": "empty", "div": '<div xmlns="http://www.w3.org/1999/xhtml">é<b>x</b></div>'},
            "contained": [{"resourceType": "Basic", "id": "a"}],
            "name": [{"given": ["A", None], "_given": [None, {"extension": [{"url": "u", "valueDecimal": 1}]}]}],
            "birthDate": "1970",
        }
    )
)
PIECES = (
    b"<|>|/>|</name>|<name>|'|&|&#0;|]]>|<![CDATA[|<!--|<?a?>|:|b:|<!DOCTYPE a>|<active/>|<div>|</div>"
    b'| xmlns="a"| xmlns:b="a"| value="1"|\x00|\xff|\xc3'
).split(b"|")
CUTS = st.tuples(st.integers(0, len(DOCUMENT)), st.integers(0, 12), st.sampled_from(PIECES) | st.binary(max_size=3))


@settings(max_examples=400, deadline=None, derandomize=True)
@given(st.lists(CUTS, min_size=1, max_size=3))
def test_damaged_documents_are_read_or_refused_never_more(cuts: list[tuple[int, int, bytes]]) -> None:
    data = DOCUMENT
    for at, length, piece in cuts:
        data = data[:at] + piece + data[at + length :]
    try:
        body = from_xml(data)
    except FhirError as refused:
        assert refused.status == 400
    else:
        assert exact(from_xml(to_xml(body))) == exact(body)
