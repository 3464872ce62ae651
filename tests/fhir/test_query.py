"""Queries mean what the specification says: cases by its chapters, and what is refused.

https://hl7.org/fhir/R4/search.html
"""

import json
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, quote

import pytest

from fhir_server.fhir.condition import EVERYTHING, Ids, Keys, Prefix, Updated
from fhir_server.fhir.criteria import Chain, Criteria, Has
from fhir_server.fhir.index import entries, satisfies
from fhir_server.fhir.outcome import FhirError
from fhir_server.fhir.params import parameters
from fhir_server.fhir.query import Include, Sort, criteria, parse
from profiles.definitions import RESOURCE_TYPES

CASES = Path(__file__).parent / "cases"
CHAPTERS: list[dict[str, Any]] = json.loads((CASES / "search.json").read_bytes(), parse_float=Decimal)
REFUSED: list[tuple[str, str, str, str]] = json.loads((CASES / "refused.json").read_bytes())


def pairs(query: str) -> list[tuple[str, str]]:
    return parse_qsl(quote(query, safe="=&"), keep_blank_values=True)


@pytest.mark.parametrize(
    ("chapter", "query", "expected"),
    [(chapter, query, expected) for chapter in CHAPTERS for query, expected in chapter["cases"]],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_finds(chapter: dict[str, Any], query: str, expected: list[str]) -> None:
    base = chapter.get("base", "")
    (type_name,) = {resource["resourceType"] for resource in chapter["resources"].values()}
    where = parse(type_name, pairs(query), base=base).where
    found = [id for id, r in chapter["resources"].items() if satisfies(entries(r, base), id, 0, where)]
    assert found == expected


@pytest.mark.parametrize(("type_name", "query", "detail", "expression"), REFUSED)
def test_refuses(type_name: str, query: str, detail: str, expression: str) -> None:
    with pytest.raises(FhirError) as caught:
        parse(type_name, pairs(query))
    assert caught.value.status == 400
    (issue,) = caught.value.issues
    assert (issue.detail, issue.expression) == (detail, (expression,))


def test_lenient_handling_names_what_it_passes_over_and_still_refuses_bad_values() -> None:
    request = parse("Patient", pairs("nmae=x&family=smith"), lenient=True)
    assert request.where == Prefix("st", "family␟smith")
    assert [(i.severity, i.detail, i.expression) for i in request.ignored] == [
        ("warning", "unknown-parameter", ("nmae",))
    ]
    assert request.understood == (("family", "smith"),)
    with pytest.raises(FhirError):
        parse("Patient", pairs("birthdate=garbage"), lenient=True)


def test_shape_of_the_answer() -> None:
    query = "_count=5000&_sort=-birthdate,_id&_total=accurate&_summary=data&_format=json&_pretty=true&name=x"
    request = parse("Patient", pairs(query))
    assert (request.count, request.total, request.summary) == (1000, "accurate", "data")
    assert request.sort == (Sort("birthdate", True), Sort("_id"))
    assert request.understood[0] == ("_count", "1000")
    assert "_format" not in dict(request.understood)
    assert parse("Patient", pairs("_elements=identifier,name")).elements == ("identifier", "name")
    assert parse("Patient", pairs("_count=0")).count == 0
    assert parse("Patient", []).where == EVERYTHING


def test_includes() -> None:
    query = "_include=Immunization:patient&_include:iterate=Patient:*&_revinclude=Provenance:target:Immunization"
    assert parse("Immunization", pairs(query)).includes == (
        Include("Immunization", "patient"),
        Include("Patient", "*", None, True),
        Include("Provenance", "target", "Immunization", False, True),
    )
    assert parse("Immunization", pairs("_include=*")).includes == (Include("*", "*"),)


def test_chains_are_kept_apart() -> None:
    request = parse("Immunization", pairs("patient.organization.name=x&status=completed"))
    assert request.where == Keys("tk", ("status␟*|completed",))
    named = Criteria("Organization", Prefix("st", "name␟x"))
    chain = Chain("patient", (Criteria("Patient", EVERYTHING, (Chain("organization", (named,)),)),))
    assert request.links == (chain,)
    assert chain.condition(["Patient/1"]) == Keys("tk", ("patient␟Patient/1",))


def test_chain_over_several_types_keeps_those_that_have_the_parameter() -> None:
    (chain,) = parse("Observation", pairs("subject.birthdate=2020")).links
    assert isinstance(chain, Chain)
    assert [inner.type for inner in chain.inner] == ["Patient"]
    (chain,) = parse("Observation", pairs("subject.identifier=x")).links
    assert isinstance(chain, Chain)
    assert [inner.type for inner in chain.inner] == ["Device", "Group", "Location", "Patient"]


@pytest.mark.parametrize("query", ["composition.title=x", "message:MessageHeader.event=x", "composition:x=1"])
def test_what_stands_inside_a_document_is_not_silently_missed(query: str) -> None:
    with pytest.raises(FhirError) as refused:
        parse("Bundle", pairs(query))
    assert refused.value.issues[0].expression == (query.partition("=")[0],)


def test_reverse_chains() -> None:
    (has,) = parse("Patient", pairs("_has:Immunization:patient:_has:Provenance:target:agent=Practitioner/1")).links
    agent = Criteria("Provenance", Keys("tk", ("agent␟Practitioner/1",)))
    assert has == Has(
        "Patient", "patient", Criteria("Immunization", EVERYTHING, (Has("Immunization", "target", agent),))
    )
    assert isinstance(has, Has)
    assert has.prefix == "patient␟Patient/"
    assert has.condition(["patient␟Patient/1", "patient␟Patient/1/_history/2"]) == Ids(("1",))


def test_last_updated_is_compared_in_microseconds() -> None:
    day = 86_400_000_000
    assert parse("Patient", pairs("_lastUpdated=ge1970-01-02")).where == Updated("ge", day, 2 * day)
    assert parse("Patient", pairs("_lastUpdated=1970-01-01T00:00:00.000001Z")).where == Updated("eq", 1, 2)


@pytest.mark.parametrize(
    "query",
    [
        "",
        "gender:not=x",
        "identifier:missing=false",
        "birthdate=ne1900",
        "_lastUpdated=gt2020",
        "_count=1",
        "nmae=x",
        "name=",
        "_format=json",
    ],
)
def test_a_condition_never_means_everybody(query: str) -> None:
    with pytest.raises(FhirError) as caught:
        criteria("Patient", query)
    assert caught.value.status == 400


def test_criteria_that_mean_the_same_have_one_text() -> None:
    one = criteria("Patient", "identifier=urn:a|1&family=Smith")
    assert one.canonical == criteria("Patient", "?family=SMITH&identifier=urn%3Aa%7C1").canonical
    assert one.canonical != criteria("Patient", "identifier=urn:a|1").canonical


def test_every_part_of_a_composite_is_of_a_type_it_can_be_found_by() -> None:
    found = {"reference": {"Reference"}, "quantity": {"Quantity", "Range"}, "date": {"dateTime", "Period"}}
    for resource_type in RESOURCE_TYPES:
        for parameter in parameters(resource_type).values():
            for component in (each for branch in parameter.components for each in branch):
                types = {branch.type for branch in component.branches}
                if component.type in found:
                    assert types <= found[component.type], (resource_type, parameter.name)
                else:
                    assert not types & {"Reference", "Period"} or len(types) > 1, (resource_type, parameter.name)


def test_a_system_search_knows_the_common_parameters_only() -> None:
    assert parse("Resource", pairs("_tag=a")).where == Keys("tk", ("_tag␟*|a",))
    with pytest.raises(FhirError):
        parse("Resource", pairs("name=a"))
