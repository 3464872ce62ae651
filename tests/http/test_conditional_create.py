"""https://hl7.org/fhir/R4/http.html#ccreate"""

import httpx
import pytest

from tests.http.answers import JSON, everything, patient, put, refused


async def post(client: httpx.AsyncClient, value: str, condition: str) -> httpx.Response:
    body = patient("x", identifier=[{"system": "https://c.example", "value": value}])
    return await client.post("Patient", json=body, headers={**JSON, "if-none-exist": condition})


async def test_none_one_many(client: httpx.AsyncClient) -> None:
    condition = "identifier=https://c.example|one"
    first = await post(client, "one", condition)
    second = await post(client, "one", condition)
    assert (first.status_code, second.status_code) == (201, 200)
    assert second.json()["id"] == first.json()["id"]
    assert second.headers["location"] == first.headers["location"]
    assert second.headers["etag"] == 'W/"1"'
    await client.post(
        "Patient", json=patient("x", identifier=[{"system": "https://c.example", "value": "one"}]), headers=JSON
    )
    assert refused(await post(client, "one", condition), 412)[:2] == ("multiple-matches", "several-matches")


async def test_a_claim_does_not_outlive_its_truth(client: httpx.AsyncClient) -> None:
    condition = "identifier=https://c.example|two"
    first = (await post(client, "two", condition)).json()["id"]
    await client.delete(f"Patient/{first}")
    second = await post(client, "two", condition)
    assert second.status_code == 201
    await put(client, patient(second.json()["id"], identifier=[{"system": "https://c.example", "value": "changed"}]))
    third = await post(client, "two", condition)
    assert third.status_code == 201
    assert await everything(client, "Patient?identifier=https://c.example|two") == [third.json()["id"]]


async def test_a_match_written_plainly_counts(client: httpx.AsyncClient) -> None:
    await put(client, patient("conditional-3", identifier=[{"system": "https://c.example", "value": "three"}]))
    answer = await post(client, "three", "identifier=https://c.example|three")
    assert (answer.status_code, answer.json()["id"]) == (200, "conditional-3")


@pytest.mark.parametrize(
    "condition",
    [
        "?identifier=https://c.example|five",
        "identifier=https%3A%2F%2Fc.example%7Cfive",
        "Patient?identifier=https://c.example|five",
    ],
)
async def test_ways_to_write_it(client: httpx.AsyncClient, condition: str) -> None:
    await put(client, patient("conditional-5", identifier=[{"system": "https://c.example", "value": "five"}]))
    answer = await post(client, "five", condition)
    if condition.startswith("Patient"):
        assert refused(answer, 400)
    else:
        assert (answer.status_code, answer.json()["id"]) == (200, "conditional-5")


async def test_a_condition_may_follow_references(client: httpx.AsyncClient) -> None:
    clinic = {"resourceType": "Organization", "id": "conditional-6", "name": "Conditional clinic"}
    await put(client, clinic)
    body = patient("x", managingOrganization={"reference": "Organization/conditional-6"})
    condition = {**JSON, "if-none-exist": "organization.name=conditional clinic"}
    first, second = [await client.post("Patient", json=body, headers=condition) for _ in range(2)]
    assert (first.status_code, second.status_code) == (201, 200)
    assert second.json()["id"] == first.json()["id"]
    entry = {"request": {"method": "POST", "url": "Patient", "ifNoneExist": condition["if-none-exist"]}}
    bundle = {"resourceType": "Bundle", "type": "transaction", "entry": [{**entry, "resource": body}]}
    [again] = (await client.post("", json=bundle, headers=JSON)).json()["entry"]
    assert (again["response"]["status"], again["resource"]["id"]) == ("200 OK", first.json()["id"])
