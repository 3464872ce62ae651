"""https://hl7.org/fhir/R4/http.html#delete"""

import httpx

from tests.http.answers import everything, patient, put, refused


async def test_delete(client: httpx.AsyncClient) -> None:
    await put(client, patient("delete-1", name=[{"family": "Deleteone"}]))
    answer = await client.delete("Patient/delete-1")
    assert (answer.status_code, answer.content, answer.headers["etag"]) == (204, b"", 'W/"2"')
    assert (await client.get("Patient/delete-1")).status_code == 410
    assert await everything(client, "Patient?family=deleteone") == []
    assert await everything(client, "Patient?_id=delete-1") == []


async def test_deleting_again_or_the_unknown_changes_nothing(client: httpx.AsyncClient) -> None:
    await put(client, patient("delete-2"))
    for _ in range(2):
        assert (await client.delete("Patient/delete-2")).status_code == 204
    assert len((await client.get("Patient/delete-2/_history")).json()["entry"]) == 2
    assert (await client.delete("Patient/delete-never")).status_code == 204
    assert (await client.get("Patient/delete-never")).status_code == 404


async def test_if_match(client: httpx.AsyncClient) -> None:
    await put(client, patient("delete-3"), patient("delete-3"))
    stale = await client.delete("Patient/delete-3", headers={"if-match": 'W/"1"'})
    assert refused(stale, 412) == ("conflict", "stale-version", ("If-Match",))
    assert (
        refused(await client.delete("Patient/delete-3", headers={"if-match": "x"}), 400).detail == "malformed-if-match"
    )
    assert (await client.get("Patient/delete-3")).status_code == 200
    assert (await client.delete("Patient/delete-3", headers={"if-match": 'W/"2"'})).status_code == 204


async def test_never_everybody(client: httpx.AsyncClient) -> None:
    await put(client, patient("delete-4"))
    for address in (
        "Patient",
        "Patient?",
        "Patient?nonsense=1",
        "Patient?gender:not=male",
        "Patient?_count=1",
        "",
        "?x=1",
    ):
        answer = await client.delete(address)
        assert answer.status_code in (400, 405), address
        refused(answer, answer.status_code)
    for query in ("?x=1", "?_id=delete-4"):
        assert refused(await client.delete(f"Patient/delete-4{query}"), 400).detail == "unknown-parameter"
    assert (await client.get("Patient/delete-4")).status_code == 200
