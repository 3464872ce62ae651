"""https://hl7.org/fhir/R4/search.html#modifiers: by value set and by hierarchy, shipped and stored."""

from typing import Any

import httpx
import pytest

from tests.http.answers import everything, found, patient, put, refused

CVX = "http://hl7.org/fhir/sid/cvx"
RACE = "urn:oid:2.16.840.1.113883.6.238"
OURS = "https://fhir-server.example/fhir/ValueSet/"
TAG = "https://example.org/coded|c"


def _tagged(resource: dict[str, Any]) -> dict[str, Any]:
    system, code = TAG.split("|")
    return {**resource, "meta": {"tag": [{"system": system, "code": code}]}}


def _dose(id: str, *codings: tuple[str, str]) -> dict[str, Any]:
    coding = [{"system": system, "code": code} for system, code in codings]
    return _tagged(
        {
            "resourceType": "Immunization",
            "id": f"coded-{id}",
            "status": "completed",
            "vaccineCode": {"coding": coding} if coding else {"text": "a vaccine"},
            "patient": {"reference": "Patient/coded-1"},
            "occurrenceDateTime": "2021-03-01",
        }
    )


def _set(name: str, *include: Any) -> dict[str, Any]:
    url = f"https://example.org/coded/{name}"
    base = {"resourceType": "ValueSet", "id": f"coded-{name}", "url": url, "status": "active"}
    return {**base, "compose": {"include": list(include)}}


@pytest.fixture(scope="module", autouse=True)
async def stored(client: httpx.AsyncClient) -> None:
    for name, code in (("race", "2039-6"), ("races", "2028-9")):
        coding = {"coding": [{"system": RACE, "code": code}]}
        observation = {"resourceType": "Observation", "id": f"coded-{name}", "status": "final", "code": coding}
        await put(client, _tagged(observation))
    await put(
        client,
        _tagged(patient("coded-1", gender="female")),
        _dose("covid", (CVX, "208")),
        _dose("legacy", ("urn:oid:2.16.840.1.113883.12.292", "207")),
        _dose("mmr", (CVX, "03")),
        _dose("foreign", ("urn:elsewhere", "208")),
        _dose("words"),
        _set("mine", {"valueSet": ["https://example.org/coded/two"]}, {"system": "urn:elsewhere"}),
        _set("two", {"system": CVX, "concept": [{"code": "03"}, {"code": "9999"}]}),
        _set("round", {"valueSet": ["https://example.org/coded/round"]}),
    )


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        (f"Immunization?vaccine-code:in={OURS}covid-19-vaccine", "covid legacy"),
        (f"Immunization?vaccine-code:in={OURS}covid-19-vaccine|2026-11", "covid legacy"),
        (f"Immunization?vaccine-code:not-in={OURS}covid-19-vaccine", "foreign mmr words"),
        ("Immunization?vaccine-code:in=ValueSet/covid-19-vaccine", "covid legacy"),
        ("Immunization?vaccine-code:in=http://hl7.org/fhir/ValueSet/vaccine-code", "covid legacy mmr"),
        ("Immunization?vaccine-code:in=https://example.org/coded/mine", "foreign mmr"),
        ("Immunization?vaccine-code:in=https://example.org/coded/two,ValueSet/covid-19-vaccine", "covid legacy mmr"),
        (f"Immunization?vaccine-code:in={OURS}vaccine&vaccine-code:not-in={OURS}covid-19-vaccine", "mmr"),
        ("Immunization?status:in=http://hl7.org/fhir/ValueSet/immunization-status", "covid foreign legacy mmr words"),
        ("Immunization?patient.gender:in=http://hl7.org/fhir/ValueSet/administrative-gender&vaccine-code=03", "mmr"),
        (f"Patient?_has:Immunization:patient:vaccine-code:in={OURS}covid-19-vaccine", "1"),
        (f"Observation?code:below={RACE}|2028-9", "race races"),
        (f"Observation?code:below={RACE}|2039-6", "race"),
        (f"Observation?code:above={RACE}|2039-6", "race races"),
        (f"Observation?code:above={RACE}|2028-9", "races"),
        ("Observation?code:in=http://hl7.org/fhir/us/core/ValueSet/detailed-race", "race"),
    ],
)
async def test_found(client: httpx.AsyncClient, address: str, expected: str) -> None:
    type_name = address.partition("?")[0]
    answer = await client.get(f"{address}&_tag={TAG}")
    assert sorted(found(answer)) == [f"{type_name}/coded-{name}" for name in expected.split()]


async def test_pages(client: httpx.AsyncClient) -> None:
    address = f"Immunization?vaccine-code:in={OURS}vaccine&_tag={TAG}&_count=1"
    assert sorted(await everything(client, address)) == ["coded-covid", "coded-legacy", "coded-mmr"]


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("Immunization?vaccine-code:in=urn:nobody-has-it", ("not-found", "unknown-value-set", ("vaccine-code:in",))),
        ("Immunization?vaccine-code:in=ValueSet/nobody", ("not-found", "unknown-value-set", ("vaccine-code:in",))),
        (
            "Immunization?vaccine-code:in=https://example.org/coded/round",
            ("processing", "cyclic-value-set", ("vaccine-code:in",)),
        ),
        (
            "Immunization?status-reason:in=http://hl7.org/fhir/ValueSet/immunization-status-reason",
            ("not-found", "unknown-code-system", ("status-reason:in",)),
        ),
        ("Observation?code:below=http://snomed.info/sct|1", ("not-found", "unknown-code-system", ("code:below",))),
        ("Observation?code:below=1", ("value", "invalid-value", ("code:below",))),
        (
            "Observation?code:in=http://hl7.org/fhir/ValueSet/c80-doc-typecodes",
            ("too-costly", "expansion-too-large", ("code:in",)),
        ),
        ("Patient?identifier:in=urn:x", ("invalid", "invalid-modifier", ("identifier:in",))),
    ],
)
async def test_refused(client: httpx.AsyncClient, address: str, expected: tuple[Any, ...]) -> None:
    assert refused(await client.get(address), 400) == expected
