"""FHIR XML is read strictly and written in R4's form.

https://hl7.org/fhir/R4/xml.html
"""

import time
import tracemalloc

import pytest

from fhir_server.fhir.json import dump
from fhir_server.fhir.outcome import FhirError
from fhir_server.fhir.xml import from_xml, to_xml

F = 'xmlns="http://hl7.org/fhir"'
X = 'xmlns="http://www.w3.org/1999/xhtml"'
BOMB = "".join(f'<!ENTITY e{n + 1} "{f"&e{n};" * 10}">' for n in range(9))

PAIRS: list[tuple[str, str, str]] = [
    (
        "order, choices and repetition",
        '{"resourceType":"Patient","name":[{"given":["A","B"],"family":"C"}],"active":true,"id":"1",'
        '"multipleBirthInteger":2}',
        f'<Patient {F}><id value="1"/><active value="true"/><name><family value="C"/><given value="A"/>'
        '<given value="B"/></name><multipleBirthInteger value="2"/></Patient>',
    ),
    (
        "ids and extensions of primitives",
        '{"resourceType":"Patient","birthDate":"1970","_birthDate":{"id":"b","extension":[{"url":"u","valueString":"v"}]}}',
        f'<Patient {F}><birthDate id="b" value="1970"><extension url="u"><valueString value="v"/></extension>'
        "</birthDate></Patient>",
    ),
    (
        "gaps on both sides",
        '{"resourceType":"Patient","name":[{"given":["A",null,"B"],"_given":[null,{"id":"x","extension":'
        '[{"url":"u","valueCode":"c"}]},null]}]}',
        f'<Patient {F}><name><given value="A"/><given id="x"><extension url="u"><valueCode value="c"/></extension>'
        '</given><given value="B"/></name></Patient>',
    ),
    (
        "only extensions",
        '{"resourceType":"Patient","name":[{"_given":[{"id":"x"},{"id":"y"}],"_family":{"id":"z"}}]}',
        f'<Patient {F}><name><family id="z"/><given id="x"/><given id="y"/></name></Patient>',
    ),
    (
        "numbers keep their digits",
        '{"resourceType":"Observation","valueQuantity":{"value":-0.100e+2},"component":[{"valueQuantity":{"value":-0}},'
        '{"valueInteger":12345678901234567890123}]}',
        f'<Observation {F}><valueQuantity><value value="-0.100e+2"/></valueQuantity><component><valueQuantity>'
        '<value value="-0"/></valueQuantity></component><component><valueInteger value="12345678901234567890123"/>'
        "</component></Observation>",
    ),
    (
        "characters",
        '{"resourceType":"Patient","id":"&<>\\"\'\\t\\r\\n  é😀"}',
        f'<Patient {F}><id value="&amp;&lt;&gt;&quot;\'&#9;&#13;&#10;  é😀"/></Patient>',
    ),
    (
        "a narrative",
        '{"resourceType":"Patient","text":{"status":"empty","div":"<div xmlns=\\"http://www.w3.org/1999/xhtml\\">'
        'a\\r\\n&#160;<b/> </div>"}}',
        f'<Patient {F}><text><status value="empty"/><div {X}>a\r\n&#160;<b/> </div></text></Patient>',
    ),
    (
        "contained, entries and parameters",
        '{"resourceType":"Parameters","parameter":[{"name":"p","resource":{"resourceType":"Bundle","entry":[{"resource":'
        '{"resourceType":"Patient","contained":[{"resourceType":"Basic","id":"a"},{"resourceType":"Basic","id":"b"}]}}]'
        "}}]}",
        f'<Parameters {F}><parameter><name value="p"/><resource><Bundle><entry><resource><Patient><contained><Basic>'
        '<id value="a"/></Basic></contained><contained><Basic><id value="b"/></Basic></contained></Patient></resource>'
        "</entry></Bundle></resource></parameter></Parameters>",
    ),
    (
        "an element's id and an extension's address",
        '{"resourceType":"Patient","extension":[{"id":"e","url":"u&v","valueBoolean":false}],"name":[{"id":"n"}]}',
        f'<Patient {F}><extension id="e" url="u&amp;v"><valueBoolean value="false"/></extension><name id="n"></name>'
        "</Patient>",
    ),
]


@pytest.mark.parametrize(("body", "document"), [pair[1:] for pair in PAIRS], ids=[pair[0] for pair in PAIRS])
def test_both_ways(body: str, document: str) -> None:
    declared = f'<?xml version="1.0" encoding="UTF-8"?>{document}'
    assert to_xml(body.encode()).decode() == declared
    assert to_xml(from_xml(document.encode())).decode() == declared


READ: list[tuple[str, str, str]] = [
    ("prefixes", '<f:Patient xmlns:f="http://hl7.org/fhir"><f:id value="1"/></f:Patient>', '"id":"1"'),
    ("declared inside", f'<Patient {F}><id {F} value="1"/><active value="true"/></Patient>', '"id":"1","active":true'),
    (
        "the place of a schema",
        f'<Patient {F} xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:schemaLocation="a b"><id value="1"/>'
        "</Patient>",
        '"id":"1"',
    ),
    (
        "comments and CDATA white space",
        f'<!-- a --><Patient {F}><!-- b --><id value="1"/><![CDATA[ ]]></Patient>',
        '"id":"1"',
    ),
    ("byte order mark", f'\ufeff<?xml version="1.0"?><Patient {F}><id value="1"/></Patient>', '"id":"1"'),
    ("a plus sign", f'<Appointment {F}><minutesDuration value="+5"/></Appointment>', '"minutesDuration":5'),
    (
        "a narrative with a prefix",
        f'<Patient {F} xmlns:h="http://www.w3.org/1999/xhtml"><text><h:div title="a&quot;&#10;">x &lt; y'
        "<h:br/><!-- c --></h:div></text></Patient>",
        '"text":{"div":"<div xmlns=\\"http://www.w3.org/1999/xhtml\\" title=\\"a&quot;&#10;\\">x &lt; y'
        '<br></br></div>"}',
    ),
    (
        "a narrative that needs what is outside",
        f'<f:Patient xmlns:f="http://hl7.org/fhir" {X}><f:text><div xml:lang="en"><p>x</p></div></f:text></f:Patient>',
        '"text":{"div":"<div xmlns=\\"http://www.w3.org/1999/xhtml\\" xml:lang=\\"en\\"><p>x</p></div>"}',
    ),
    (
        "an empty narrative, and one inside the other",
        f"<Patient {F}><text><div {X}/></text><contained><Basic><text><div {X}><div>é</div></div ></text></Basic>"
        "</contained></Patient>",
        '"text":{"div":"<div xmlns=\\"http://www.w3.org/1999/xhtml\\"/>"},"contained":[{"resourceType":"Basic","text":'
        '{"div":"<div xmlns=\\"http://www.w3.org/1999/xhtml\\"><div>é</div></div >"}}]',
    ),
]


@pytest.mark.parametrize(("document", "members"), [case[1:] for case in READ], ids=[case[0] for case in READ])
def test_reads(document: str, members: str) -> None:
    name = "Appointment" if "Appointment" in document else "Patient"
    assert from_xml(document.encode()).decode() == f'{{"resourceType":"{name}",{members}}}'


def inside(content: str) -> str:
    return f"<Patient {F}>\n{content}</Patient>"


REFUSED: list[tuple[str, str, str, str]] = [
    ("", "malformed-xml", "it is empty", ""),
    (" \n", "malformed-xml", "it is empty", ""),
    ('{"resourceType":"Patient"}', "malformed-xml", "line 1 column 1", ""),
    (f"<Patient {F}>\n<id value='1'/>", "malformed-xml", "line 2 column", ""),
    (inside("<id value='1' value='2'/>"), "malformed-xml", "duplicate attribute, line 2 column", ""),
    (inside("<id value='1' value='2'/>") + "<a/>", "malformed-xml", "line 2", ""),
    (inside("<id value='&nbsp;'/>"), "malformed-xml", "undefined entity, line 2 column", ""),
    (inside("<id value='&#0;'/>"), "malformed-xml", "line 2 column", ""),
    (inside("<id value='\x01'/>"), "malformed-xml", "line 2 column", ""),
    (f'<?xml version="1.0" encoding="ISO-8859-1"?><Patient {F}/>', "malformed-xml", "UTF-8, line 1 column 1", ""),
    (f'<?xml version="1.1"?><Patient {F}/>', "malformed-xml", "XML 1.0", ""),
    (f"<!DOCTYPE Patient>{inside('')}", "document-type", "line 1 column", ""),
    (f'<!DOCTYPE a SYSTEM "file:///etc/passwd">{inside("")}', "document-type", "line 1 column", ""),
    (
        f'<!DOCTYPE a [<!ENTITY e0 "x">{BOMB}]><Patient {F}><id value="&e9;"/></Patient>',
        "document-type",
        "line 1 column",
        "",
    ),
    (inside("<?php x ?>"), "processing-instruction", "line 2 column 1", "Patient"),
    (inside(f"<text><div {X}><?php x ?></div></text>"), "processing-instruction", "line 2", "Patient.text"),
    ("<Patient><id value='1'/></Patient>", "wrong-namespace", "<Patient> is not in the namespace http://hl7.org", ""),
    (inside("<id xmlns='urn:x' value='1'/>"), "wrong-namespace", "<id> is not in the namespace", "Patient"),
    (inside("<x:id value='1'/>"), "wrong-namespace", "the prefix 'x' stands for no namespace", "Patient"),
    (inside("<text><div>x</div></text>"), "wrong-namespace", "http://www.w3.org/1999/xhtml", "Patient.text"),
    (
        f'<Patient {F} xmlns:h="http://www.w3.org/1999/xhtml"><text><h:div><id/></h:div></text></Patient>',
        "wrong-namespace",
        "<id> in a narrative",
        "Patient.text",
    ),
    (f"<Patent {F}/>", "unknown-resource-type", "<Patent> is not a resource type", ""),
    (inside("<contained><x/></contained>"), "unknown-resource-type", "<x> is not", "Patient.contained"),
    (inside("<nmae/>"), "unknown-element", "<Patient> has no element <nmae>, line 2 column 1", "Patient"),
    (inside("<Name/>"), "unknown-element", "did you mean <name>?", "Patient"),
    (
        inside("<name><use value='usual'><given/></use></name>"),
        "unknown-element",
        "<use> has no",
        "Patient.name[0].use",
    ),
    (inside("<resourceType value='Patient'/>"), "unknown-element", "resourceType", "Patient"),
    (inside("<_birthDate id='a'/>"), "unknown-element", "_birthDate", "Patient"),
    (inside("<deceased value='true'/>"), "unknown-element", "deceased", "Patient"),
    (inside("<name value='A'/>"), "unknown-attribute", "<name> has no attribute 'value'", "Patient"),
    (inside("<id value='1' other='2'/>"), "unknown-attribute", "'other'", "Patient"),
    (inside("<name url='u'/>"), "unknown-attribute", "'url'", "Patient"),
    (f"<Patient {F} id='1'/>", "unknown-attribute", "'id'", ""),
    (inside("<contained id='1'/>"), "unknown-attribute", "'id'", "Patient"),
    (inside("<id xmlns:q='urn:q' q:value='1'/>"), "unknown-attribute", "'q:value'", "Patient"),
    (inside("<id xml:lang='en' value='1'/>"), "unknown-attribute", "'xml:lang'", "Patient"),
    (inside("Ruth"), "unexpected-text", "'Ruth'", "Patient"),
    (inside("<id value='1'>x</id>"), "unexpected-text", "'x'", "Patient"),
    (inside("&#160;"), "unexpected-text", "line 2", "Patient"),
    (inside("<active value='true'/><id value='1'/>"), "wrong-order", "<id> comes too late", "Patient"),
    (inside("<name id='a'/><active value='true'/><name id='b'/>"), "wrong-order", "<active> comes too late", "Patient"),
    (inside("<id value='1'/><id value='2'/>"), "repeated-element", "<id> does not repeat, line 2 column 16", "Patient"),
    (inside("<active id='1'/><active value='true'/>"), "repeated-element", "<active>", "Patient"),
    (inside("<maritalStatus id='1'/><maritalStatus id='2'/>"), "repeated-element", "<maritalStatus>", "Patient"),
    (inside("<contained><Basic/><Basic/></contained>"), "several-resources", "<Basic>", "Patient.contained[0]"),
    (inside("<contained/>"), "empty-element", "<contained> is empty", "Patient"),
    (inside("<name/>"), "empty-element", "<name> is empty", "Patient"),
    (inside("<active/>"), "empty-element", "<active> has neither a value nor children", "Patient"),
    (inside("<name><given value='A'/><given></given></name>"), "empty-element", "<given>", "Patient.name[0]"),
    (inside("<active value='TRUE'/>"), "invalid-format", "'TRUE' in <active> is not a valid boolean", "Patient"),
    (inside("<multipleBirthInteger value='01'/>"), "invalid-format", "not a valid integer", "Patient"),
    (inside("<multipleBirthInteger value='1.0'/>"), "invalid-format", "not a valid integer", "Patient"),
    (inside("<photo><size value='+1'/></photo>"), "invalid-format", "not a valid unsignedInt", "Patient.photo[0]"),
    (
        f"<Observation {F}><valueQuantity><value value='1,5'/></valueQuantity></Observation>",
        "invalid-format",
        "'1,5' in <value> is not a valid decimal",
        "Observation.valueQuantity",
    ),
    (f"<Observation {F}><valueInteger value='NaN'/></Observation>", "invalid-format", "'NaN'", "Observation"),
    (inside("<extension url='u'>" * 70), "too-deep", "deeper than 64", "Patient.extension[0]"),
    (
        inside("<id " + " ".join(f"xmlns:a{n}='u'" for n in range(70)) + " value='1'/>"),
        "too-many-namespaces",
        "more than 64",
        "Patient",
    ),
]


@pytest.mark.parametrize(("document", "detail", "text", "place"), REFUSED, ids=range(len(REFUSED)))
def test_refuses(document: str, detail: str, text: str, place: str) -> None:
    with pytest.raises(FhirError) as caught:
        from_xml(document.encode())
    (issue,) = caught.value.issues
    assert (caught.value.status, issue.code, issue.detail) == (400, "structure", detail)
    assert text in issue.text
    assert issue.expression[0].startswith(place) if place else not issue.expression


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32", "latin-1"])
def test_other_encodings_are_refused(encoding: str) -> None:
    with pytest.raises(FhirError) as caught:
        from_xml(f'<Patient {F}><id value="é"/></Patient>'.encode(encoding))
    assert caught.value.issues[0].detail == "malformed-xml"


def test_long_namespaces_do_not_multiply() -> None:
    attributes = " ".join(f'a:x{n}=""' for n in range(5_000))
    document = f'<Patient {F} xmlns:a="{"u" * 100_000}"><id {attributes} value="1"/></Patient>'.encode()
    tracemalloc.start()
    began = time.perf_counter()
    with pytest.raises(FhirError, match="'a:x0' has no meaning"):
        from_xml(document)
    assert time.perf_counter() - began < 1
    assert tracemalloc.get_traced_memory()[1] < 20_000_000
    tracemalloc.stop()


def test_indented() -> None:
    body = (
        b'{"resourceType":"Patient","contained":[{"resourceType":"Basic","id":"a"}],'
        b'"name":[{"_family":{"id":"f","extension":[{"url":"u","valueCode":"c"}]}}]}'
    )
    assert to_xml(body, indent=True).decode().splitlines() == [
        '<?xml version="1.0" encoding="UTF-8"?>',
        f"<Patient {F}>",
        "  <contained>",
        "    <Basic>",
        '      <id value="a"/>',
        "    </Basic>",
        "  </contained>",
        "  <name>",
        '    <family id="f">',
        '      <extension url="u">',
        '        <valueCode value="c"/>',
        "      </extension>",
        "    </family>",
        "  </name>",
        "</Patient>",
    ]


@pytest.mark.parametrize(
    ("body", "text"),
    [
        ('{"resourceType":"Patient","id":"\ufffe"}', "U+FFFE"),
        ('{"resourceType":"Patient","id":"\\u0001"}', "U+0001"),
        ('{"resourceType":"Patient","nmae":"a"}', "no element 'nmae'"),
    ],
)
def test_what_xml_cannot_hold_is_not_changed_in_silence(body: str, text: str) -> None:
    with pytest.raises(FhirError) as caught:
        to_xml(body.encode())
    (issue,) = caught.value.issues
    assert (caught.value.status, issue.detail) == (406, "not-in-xml")
    assert text in issue.text


def test_an_xml_declaration_before_a_narrative_is_left_out() -> None:
    div = "<div xmlns='http://www.w3.org/1999/xhtml'>x</div>"
    body = dump({"resourceType": "Basic", "text": {"div": f" <?xml version='1.0'?>\n{div} "}})
    assert to_xml(body).decode().endswith(f"<text>{div}</text></Basic>")
