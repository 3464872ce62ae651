"""$data-quality over HTTP: shares, bounds where a cell is small, periods; and the measures by themselves."""

from datetime import date, timedelta
from typing import Any

import httpx
import pytest

from fhir_server.operations.data_quality import _score
from fhir_server.operations.data_quality_measures import PROMPT_DAYS, Counts, names
from profiles.checker import check
from tests.http.answers import JSON, refused
from tests.profiles.test_published import BASE

CVX, NDC = "http://hl7.org/fhir/sid/cvx", "http://hl7.org/fhir/sid/ndc"
CLINIC = "quality-clinic"
DOSES = 44


def dose(number: int) -> dict[str, Any]:
    """Every dose has a lot; half have an NDC, 33 a site, 40 an expiry; dose n is recorded n // 11 days later."""
    given = date(2021, 1, 1) + timedelta(days=number)
    coding = [{"system": CVX, "code": "208"}] + ([{"system": NDC, "code": "59267-1000-01"}] if number % 2 else [])
    return (
        {
            "resourceType": "Immunization",
            "status": "completed",
            "vaccineCode": {"coding": coding},
            "patient": {"reference": f"Patient/quality-{number % 22}"},
            "occurrenceDateTime": given.isoformat(),
            "recorded": (given + timedelta(days=number // 11 * 2)).isoformat(),
            "primarySource": True,
            "lotNumber": "EK9231",
            "performer": [{"actor": {"reference": f"Organization/{CLINIC}"}}],
        }
        | ({"site": {"text": "left arm"}} if number < 33 else {})
        | ({"expirationDate": "2021-05-31"} if number < 40 else {})
    )


@pytest.fixture(scope="module")
async def clinic(client: httpx.AsyncClient) -> str:
    text = {"url": "text", "valueString": "White"}
    race = {"url": "http://hl7.org/fhir/us/core/StructureDefinition/us-core-race", "extension": [text]}
    people: list[dict[str, Any]] = [
        {"resourceType": "Patient", "id": f"quality-{n}", "gender": "female"}
        | ({"extension": [race]} if n < 11 else {})
        for n in range(22)
    ]
    historical = {**dose(0), "primarySource": False}
    refusal = {**dose(0), "status": "not-done"}
    entries = [
        {"resource": each, "request": {"method": "PUT", "url": f"{each['resourceType']}/{each['id']}"}}
        for each in [{"resourceType": "Organization", "id": CLINIC, "name": "Clinic"}, *people]
    ]
    entries += [
        {"resource": each, "request": {"method": "POST", "url": "Immunization"}}
        for each in [*(dose(n) for n in range(DOSES)), historical, refusal]
    ]
    bundle = {"resourceType": "Bundle", "type": "transaction", "entry": entries}
    answer = await client.post("", json=bundle, headers=JSON)
    assert answer.status_code == 200, answer.text
    return f"Organization/{CLINIC}"


async def report(client: httpx.AsyncClient, address: str, **query: str) -> dict[str, Any]:
    headers = {"accept-language": query.pop("language", "en")}
    answer = await client.get(f"{address}/$data-quality", params=query, headers=headers)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    assert [i for i in check(found, BASE + "MeasureReport") if i.severity == "error"] == []
    return found


def groups(found: dict[str, Any]) -> dict[str, tuple[int | None, int | None, Any]]:
    """By measure: how many it is about, how many have it, and the share with its comparator."""
    told = {}
    for group in found["group"]:
        about, having = (population.get("count") for population in group["population"])
        score = group["measureScore"]
        share = f"{score.get('comparator', '')}{score['value']}" if "value" in score else None
        told[group["code"]["coding"][0]["code"]] = (about, having, share)
    return told


async def test_completeness_and_timeliness(client: httpx.AsyncClient, clinic: str) -> None:
    found = await report(client, clinic)
    assert found["period"] == {"start": "2021-01-01", "end": "2021-02-13"}
    assert (found["subject"], found["type"]) == ({"reference": clinic}, "summary")
    measured = groups(found)
    assert list(measured) == list(names())
    assert measured["lot"] == (44, 44, ">=81")
    assert measured["ndc"] == (44, 22, "50")
    assert measured["site"] == (44, 33, "75")
    assert measured["expiry"] == (44, 33, ">=76")
    assert measured["route"] == (44, None, "<=19")
    assert measured["recorded-within-1-days"] == (44, 11, "25")
    assert measured["recorded-within-3-days"] == (44, 22, "50")
    assert measured["recorded-within-7-days"] == (44, 44, ">=81")
    assert measured["race"] == (22, 11, "50")
    assert measured["gender"] == (22, 22, ">=68")


async def test_a_period_and_small_cells(client: httpx.AsyncClient, clinic: str) -> None:
    found = groups(await report(client, clinic, start="2021-01-12", end="2021-02-02"))
    assert found["lot"] == (22, 22, ">=68")
    few = groups(await report(client, clinic, end="2021-01-05"))
    assert set(few.values()) == {(None, None, None)}


async def test_in_spanish(client: httpx.AsyncClient, clinic: str) -> None:
    found = await report(client, clinic, language="es")
    assert found["group"][2]["code"]["text"] == "Número de lote"


async def test_refusals(client: httpx.AsyncClient, clinic: str) -> None:
    refused(await client.get("Organization/nobody/$data-quality"), 404)
    wrong = await client.get(f"{clinic}/$data-quality", params={"start": "2021-02-01", "end": "2021-01-01"})
    assert refused(wrong, 400) == ("value", "invalid-value", ("end",))
    assert refused(await client.get(f"{clinic}/$data-quality?start=2021"), 400).detail == "incomplete-date"
    assert refused(await client.get(f"{clinic}/$data-quality?x=1"), 400).detail == "unknown-parameter"


async def test_the_measure_is_published(client: httpx.AsyncClient) -> None:
    measure = (await client.get("Measure/data-quality")).json()
    assert [group["code"]["coding"][0]["code"] for group in measure["group"]] == list(names())


@pytest.mark.parametrize(
    ("having", "lacking", "expected"),
    [(99, 11, (90, "")), (99, None, (90, ">=")), (None, 99, (10, "<=")), (None, None, None), (33, 0, (100, ""))],
)
def test_shares(having: int | None, lacking: int | None, expected: tuple[int, str] | None) -> None:
    assert _score(having, lacking, 11) == expected


def test_doses_without_a_day_are_not_timely_nor_late() -> None:
    counts = Counts()
    counts.dose({}, None, date(2021, 1, 1))
    assert counts.about["lot"] == 1
    assert not any(f"recorded-within-{days}-days" in counts.about for days in PROMPT_DAYS)
