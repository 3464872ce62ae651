"""A transaction's links are replaced where they are links, and nowhere else.

https://hl7.org/fhir/R4/http.html#trules
"""

from pathlib import Path

from fhir_server.fhir.json import compact, parse
from fhir_server.fhir.rewrite import links, rewrite

OLD, NEW = "urn:uuid:61ebe359-bfdc-4613-8bf2-c5e300945f0a", "Patient/1"
MAPPING = {OLD: NEW, "Practitioner?identifier=http://npi|7": "Practitioner/7", "http://old/Patient/2": "Patient/2"}


def test_replaces_references_and_links_and_keeps_every_other_byte() -> None:
    body = (
        '{"resourceType":"Immunization","note":[{"text":"see OLD \\u00e9\\/"}],"identifier":[{"value":"OLD"}],'
        '"patient":{"reference":"OLD","display":"OLD"},"lotNumber":"OLD","doseQuantity":{"value":1.10},'
        '"performer":[{"actor":{"reference":"Practitioner?identifier=http://npi|7"}},{"actor":{"reference":"#x"}}],'
        '"extension":[{"url":"http://x","valueUri":"OLD"},{"url":"http://y","valueString":"OLD"},'
        '{"url":"http://z","valueCanonical":"OLD"},{"url":"http://r","valueReference":{"reference":"OLD"}}],'
        '"contained":[{"resourceType":"Condition","subject":{"reference":"http:\\/\\/old\\/Patient\\/2"}}]}'
    )
    expected = (
        body.replace('"reference":"OLD"', f'"reference":"{NEW}"')
        .replace('"valueUri":"OLD"', f'"valueUri":"{NEW}"')
        .replace("Practitioner?identifier=http://npi|7", "Practitioner/7")
        .replace("http:\\/\\/old\\/Patient\\/2", "Patient/2")
    )
    assert rewrite(body.replace("OLD", OLD).encode(), MAPPING) == expected.replace("OLD", OLD).encode()


def test_replaces_links_of_the_narrative_but_not_its_text() -> None:
    body = (
        '{"resourceType":"Patient","text":{"status":"generated","div":"<div xmlns=\\"http://www.w3.org/1999/xhtml\\">\\n'
        '<a href=\\"OLD\\">OLD</a><img src=\'OLD\'/></div>"}}'
    )
    expected = body.replace('href=\\"OLD', f'href=\\"{NEW}').replace("src='OLD", f"src='{NEW}").replace("OLD", OLD)
    assert rewrite(body.replace("OLD", OLD).encode(), MAPPING) == expected.encode()


def test_without_a_link_the_bytes_are_the_same_object() -> None:
    body = b'{"resourceType":"Patient","name":[{"family":"Smith"}]}'
    assert rewrite(body, MAPPING) is body
    assert rewrite(body, {}) is body


def test_a_member_that_only_looks_like_a_reference_stays() -> None:
    body = (
        f'{{"resourceType":"Patient","reference":"{OLD}","name":[{{"reference":"{OLD}","family":"{OLD}"}}]}}'.encode()
    )
    assert rewrite(body, MAPPING) == body


def test_links_names_every_place() -> None:
    resource = {
        "resourceType": "Immunization",
        "patient": {"reference": "Patient/1"},
        "performer": [{"actor": {"reference": "Practitioner/2"}}],
        "identifier": [{"system": "urn:a", "value": "Patient/3"}],
        "contained": [{"resourceType": "Patient", "managingOrganization": {"reference": "Organization/4"}}],
    }
    assert list(links(resource)) == [
        ("Immunization.patient", "Reference", "Patient/1"),
        ("Immunization.performer[0].actor", "Reference", "Practitioner/2"),
        ("Immunization.identifier[0].system", "uri", "urn:a"),
        ("Immunization.contained[0].managingOrganization", "Reference", "Organization/4"),
    ]


def test_official_examples_come_back_when_links_are_replaced_and_replaced_again(shared: Path) -> None:
    for path in sorted((shared / "fhir-r4-examples").glob("*.json")):
        body = compact(path.read_bytes())
        found = {text for _, kind, text in links(parse(body)) if kind == "Reference"}
        there = {text: f"urn:uuid:{number}" for number, text in enumerate(sorted(found))}
        moved = rewrite(body, there)
        assert {text for _, kind, text in links(parse(moved)) if kind == "Reference"} == set(there.values())
        assert rewrite(moved, {new: old for old, new in there.items()}) == body, path.name
