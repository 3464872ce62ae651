"""What is odd about a dose is told beside what was written, of every way of writing it; a setting refuses it.

https://hl7.org/fhir/R4/immunization.html
"""

from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast
from zoneinfo import ZoneInfo

import httpx
import pytest

from fhir_server.context import Context
from fhir_server.fhir.outcome import FhirError, Issue
from fhir_server.interactions import plausible
from tests.conftest import Server
from tests.http.answers import JSON, patient, put, refused, shape

CVX, NDC, MVX = (f"http://hl7.org/fhir/sid/{name}" for name in ("cvx", "ndc", "mvx"))
OUTCOME = {**JSON, "prefer": "return=OperationOutcome"}
BABY = "urn:uuid:5a1f0c6e-59e7-4b8f-9d57-0f4f0d0c1a11"


def dose(**changes: Any) -> dict[str, Any]:
    """A dose nothing is odd about."""
    return {
        "resourceType": "Immunization",
        "status": "completed",
        "primarySource": True,
        "vaccineCode": {"coding": [{"system": CVX, "code": "208"}, {"system": NDC, "code": "59267-1000-1"}]},
        "manufacturer": {"identifier": {"system": MVX, "value": "PFR"}},
        "patient": {"reference": "Patient/odd-1"},
        "occurrenceDateTime": "2021-03-01",
        "lotNumber": "EL9261",
        "expirationDate": "2021-07-31",
        **changes,
    }


def numbered(number: int) -> dict[str, Any]:
    return {"protocolApplied": [{"doseNumberPositiveInt": number}], "occurrenceDateTime": "2021-03-22"}


@pytest.fixture(scope="module", autouse=True)
async def person(client: httpx.AsyncClient) -> None:
    await put(client, patient("odd-1", birthDate="1950-05-17"), {**dose(), "id": "odd-first"})


def odd(outcome: dict[str, Any]) -> list[str]:
    """The detail codes of its warnings and errors."""
    issues = [issue for issue in outcome["issue"] if issue["severity"] != "information"]
    return [issue["details"]["coding"][0]["code"] for issue in issues]


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, []),
        ({"lotNumber": None}, ["lot-number-missing"]),
        ({"occurrenceDateTime": "1949"}, ["dose-before-birth", "dose-before-product"]),
        ({"expirationDate": "2021-02"}, ["dose-after-expiry"]),
        ({"occurrenceDateTime": "2999-01-01"}, ["dose-in-future", "dose-after-expiry", "dose-after-product"]),
        ({"vaccineCode": {"coding": [{"system": CVX, "code": "213"}]}}, ["product-unspecified"]),
        ({"vaccineCode": {"coding": [{"system": CVX, "code": "310"}]}}, ["dose-before-product", "product-not-for-age"]),
        ({"manufacturer": {"identifier": {"system": MVX, "value": "MOD"}}}, ["package-not-manufacturer"]),
        (numbered(2), []),
        (numbered(3), ["dose-number-ahead"]),
        (numbered(1), ["dose-number-behind"]),
        ({"protocolApplied": [{"doseNumberPositiveInt": 1, "series": "booster"}]}, []),
        ({"occurrenceDateTime": "0001-01-01T00:00:00Z"}, ["dose-before-birth", "dose-before-product"]),
        ({"occurrenceDateTime": "9999-12-31T23:59:59-12:00"},
         ["dose-in-future", "dose-after-expiry", "dose-after-product"]),
        ({"status": "not-done", "lotNumber": None, "occurrenceDateTime": "2999-01-01"}, []),
        ({"status": "entered-in-error", "occurrenceDateTime": "1949"}, []),
        ({"patient": {"reference": "Patient/odd-nobody"}, "occurrenceDateTime": "1949"}, ["dose-before-product"]),
        ({"patient": {"display": "somebody"}, "occurrenceDateTime": None, "occurrenceString": "last year"}, []),
    ],
)  # fmt: skip
async def test_told_of_a_dose_that_is_stored(
    client: httpx.AsyncClient, changes: dict[str, Any], expected: list[str]
) -> None:
    sent = {name: value for name, value in dose(**changes).items() if value is not None}
    created = await client.post("Immunization", json=sent, headers=OUTCOME)
    assert created.status_code == 201
    shape(created.json())
    assert sorted(odd(created.json())) == sorted(expected)
    validated = await client.post("Immunization/$validate", json=sent, headers=JSON)
    assert set(odd(validated.json())) == {*expected, "invariant-dom-6"}
    assert [each for each in validated.json()["issue"] if each["severity"] == "error"] == []
    # What one case stores is not to be counted by the next.
    await client.delete(str(created.headers["location"]).partition("/_history")[0])


async def test_told_by_every_way_of_writing(client: httpx.AsyncClient) -> None:
    wrong = {**dose(expirationDate="2021-02-28"), "id": "odd-2"}
    for answer in (
        await client.put("Immunization/odd-2", json=wrong, headers=OUTCOME),
        await client.put("Immunization?_id=odd-2", json=wrong, headers=OUTCOME),
        await client.patch(
            "Immunization/odd-2",
            json=[{"op": "replace", "path": "/lotNumber", "value": "X"}],
            headers={**OUTCOME, "content-type": "application/json-patch+json"},
        ),
    ):
        assert answer.status_code in (200, 201)
        assert odd(answer.json()) == ["dose-after-expiry"]
    batch = {"resourceType": "Bundle", "type": "batch", "entry": [_entry(wrong, "PUT", "Immunization/odd-2")]}
    [entry] = (await client.post("", json=batch, headers=JSON)).json()["entry"]
    assert odd(entry["response"]["outcome"]) == ["dose-after-expiry"]
    assert (await client.delete("Immunization/odd-2")).status_code == 204


def _entry(resource: dict[str, Any], method: str, url: str, **more: Any) -> dict[str, Any]:
    return {"resource": resource, "request": {"method": method, "url": url}, **more}


async def test_a_transaction_knows_the_person_and_the_doses_it_brings(client: httpx.AsyncClient) -> None:
    here = {"patient": {"reference": BABY}, "vaccineCode": {"coding": [{"system": CVX, "code": "08"}]}}
    first = dose(**here, occurrenceDateTime="2021-01-01", protocolApplied=[{"doseNumberPositiveInt": 1}])
    second = dose(**here, occurrenceDateTime="2021-03-02", protocolApplied=[{"doseNumberPositiveInt": 2}])
    bundle = {
        "resourceType": "Bundle",
        "type": "transaction",
        "entry": [
            _entry(first, "POST", "Immunization"),
            _entry(second, "POST", "Immunization"),
            _entry({"resourceType": "Patient", "birthDate": "2021-02-01"}, "POST", "Patient", fullUrl=BABY),
        ],
    }
    answer = await client.post("", json=bundle, headers=JSON)
    assert answer.status_code == 200, answer.text
    outcomes = [each["response"].get("outcome", {"issue": []}) for each in answer.json()["entry"]]
    assert [odd(outcome) for outcome in outcomes] == [["dose-before-birth"], [], []]


async def test_the_evening_here_is_tomorrow_in_utc(client: httpx.AsyncClient) -> None:
    now = datetime.now(UTC)
    here = now.astimezone(ZoneInfo("America/New_York"))
    for written in (now, here, now.astimezone(timezone(timedelta(hours=14)))):
        sent = dose(occurrenceDateTime=written.isoformat(timespec="seconds"), expirationDate="2999-01-01")
        told = odd((await client.post("Immunization/$validate", json=sent, headers=JSON)).json())
        assert "dose-in-future" not in told


async def test_both_languages(client: httpx.AsyncClient) -> None:
    sent = dose(expirationDate="2021-02-28")
    answer = await client.post("Immunization/$validate", json=sent, headers={**JSON, "accept-language": "es"})
    [found] = [each for each in answer.json()["issue"] if "dose-after-expiry" in odd({"issue": [each]})]
    assert found["details"]["text"].startswith("La dosis se administró el 1 de marzo de 2021")
    [translation] = found["details"]["_text"]["extension"]
    assert translation["extension"][0] == {"url": "lang", "valueCode": "en"}
    assert found["expression"] == ["Immunization.expirationDate"]


DOUBTS = (
    Issue("business-rule", "dose-in-future", "It is yet to come.", severity="error"),
    Issue("business-rule", "lot-number-missing", "It has none.", severity="warning"),
)


@pytest.mark.parametrize(
    ("impossible", "unlikely", "told", "refused"),
    [
        ("off", "off", [], []),
        ("warn", "warn", ["dose-in-future", "lot-number-missing"], []),
        ("warn", "off", ["dose-in-future"], []),
        ("refuse", "warn", [], ["dose-in-future"]),
        ("refuse", "refuse", [], ["dose-in-future", "lot-number-missing"]),
        ("warn", "refuse", [], ["lot-number-missing"]),
    ],
)
def test_settings(impossible: str, unlikely: str, told: list[str], refused: list[str]) -> None:
    settings = SimpleNamespace(plausibility=impossible, plausibility_doubts=unlikely)
    context = cast(Context, SimpleNamespace(settings=settings))
    try:
        found = plausible.settle(context, DOUBTS)
    except FhirError as error:
        assert (error.status, {issue.severity for issue in error.issues}) == (422, {"error"})
        assert [issue.detail for issue in error.issues] == refused
    else:
        assert ([issue.detail for issue in found], refused) == (told, [])
        assert {issue.severity for issue in found} <= {"warning"}


@pytest.mark.long
async def test_refused_where_the_setting_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FHIR_SERVER_PLAUSIBILITY", "refuse")
    monkeypatch.setenv("FHIR_SERVER_PLAUSIBILITY_DOUBTS", "off")
    server = Server(tmp_path)
    await server.start()
    try:
        async with httpx.AsyncClient(base_url=server.base + "/", timeout=30) as client:
            await put(client, patient("p", birthDate="1950-05-17"))
            sent = dose(patient={"reference": "Patient/p"}, expirationDate="2021-02-28", lotNumber="")
            del sent["lotNumber"]
            told = refused(await client.post("Immunization", json=sent, headers=JSON), 422)
            assert told == ("business-rule", "dose-after-expiry", ("Immunization.expirationDate",))
            entry = _entry(sent, "POST", "Immunization")
            bundle = {"resourceType": "Bundle", "type": "transaction", "entry": [entry]}
            told = refused(await client.post("", json=bundle, headers=JSON), 422)
            assert told.expression == ("Bundle.entry[0].resource.expirationDate",)
            assert (await client.get("Immunization?_summary=count")).json()["total"] == 0
            validated = await client.post("Immunization/$validate", json=sent, headers=JSON)
            assert "error" in {each["severity"] for each in validated.json()["issue"]}
            sent["expirationDate"] = "2021-07-31"
            assert odd((await client.post("Immunization", json=sent, headers=OUTCOME)).json()) == []
    finally:
        assert await server.stop() == 0
