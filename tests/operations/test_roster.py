"""$roster-upload over HTTP: a status a row, safe to send again, nobody twice."""

import asyncio
import json
from typing import Any

import httpx
import pytest

HEADER = "row_id,first_name,last_name,birth_date,email\n"


async def roster(client: httpx.AsyncClient, **more: Any) -> str:
    organization = (await client.post("Organization", json={"resourceType": "Organization", "name": "Hospital"})).json()
    reference = {"reference": f"Organization/{organization['id']}"}
    group = {"resourceType": "Group", "type": "person", "actual": True, "managingEntity": reference} | more
    answer = await client.post("Group", json=group)
    assert answer.status_code == 201, answer.text
    return f"Group/{answer.json()['id']}"


async def post(
    client: httpx.AsyncClient,
    group: str,
    body: str | bytes,
    query: str = "",
    media_type: str = "text/csv",
    **headers: str,
) -> httpx.Response:
    return await client.post(
        f"{group}/$roster-upload{query}", content=body, headers={"content-type": media_type, **headers}
    )


def summary(answer: httpx.Response) -> dict[str, int]:
    assert answer.status_code == 200, answer.text
    parts = answer.json()["parameter"][0]["part"]
    return {part["name"]: part["valueInteger"] for part in parts if "valueInteger" in part}


def rows(answer: httpx.Response) -> list[dict[str, Any]]:
    found = []
    for parameter in answer.json()["parameter"][1:]:
        row: dict[str, Any] = {}
        for part in parameter["part"]:
            row[part["name"]] = next(value for name, value in part.items() if name != "name")
        found.append(row)
    return found


def codes(row: dict[str, Any]) -> list[str]:
    return [issue["details"]["coding"][0]["code"] for issue in row["issue"]["issue"]]


def counts(total: int, created: int = 0, matched: int = 0, unchanged: int = 0, refused: int = 0) -> dict[str, int]:
    return {"total": total, "created": created, "matched": matched, "unchanged": unchanged, "refused": refused}


async def test_the_same_file_again_changes_nothing(client: httpx.AsyncClient) -> None:
    group = await roster(client)
    body = HEADER + "1,Ana,Li,1990-01-02,ana@example.org\n2,Bo,Ruiz,01/31/1985,\n"
    first = await post(client, group, body)
    assert summary(first) == counts(2, created=2)
    before = (await client.get(group)).content
    again = await post(client, group, body)
    assert summary(again) == counts(2, unchanged=2)
    assert [row["patient"] for row in rows(again)] == [row["patient"] for row in rows(first)]
    assert (await client.get(group)).content == before
    patient = (await client.get(rows(first)[0]["patient"]["reference"])).json()
    assert (patient["birthDate"], patient["name"][0]["family"]) == ("1990-01-02", "Li")
    assert patient["identifier"][0]["value"] == "1"


async def test_only_the_failed_rows_again(client: httpx.AsyncClient) -> None:
    group = await roster(client)
    body = HEADER + "1,Ana,Li,1990-01-02,\n2,Bo,Ruiz,1985-02-30,\n3,,Cruz,1970-01-01,not an address\n"
    answer = await post(client, group, body, **{"accept-language": "es"})
    assert summary(answer) == counts(3, created=1, refused=2)
    good, impossible, nameless = rows(answer)
    assert (good["line"], good["rowId"], good["status"]) == (2, "1", "created")
    assert "issue" not in good
    assert (impossible["status"], codes(impossible)) == ("refused", ["birth-date-impossible"])
    assert impossible["issue"]["issue"][0]["expression"] == ["birth_date"]
    assert impossible["issue"]["issue"][0]["details"]["text"] == "No existe el día «1985-02-30»."
    assert codes(nameless) == ["value-missing", "email-not-understood"]
    mended = await post(client, group, HEADER + "2,Bo,Ruiz,1985-02-28,\n3,Cy,Cruz,1970-01-01,\n")
    assert summary(mended) == counts(2, created=2)
    assert len((await client.get(group)).json()["member"]) == 3


async def test_two_uploads_at_once_make_everybody_once(client: httpx.AsyncClient) -> None:
    group = await roster(client)
    body = HEADER + "".join(f"{number},First{number},Last{number},1980-01-01,\n" for number in range(20))
    answers = await asyncio.gather(*(post(client, group, body) for _ in range(4)))
    people = {tuple(row["patient"]["reference"] for row in rows(answer)) for answer in answers}
    assert len(people) == 1
    assert sum(summary(answer)["created"] for answer in answers) == 20
    members = (await client.get(group)).json()["member"]
    assert sorted(member["entity"]["reference"] for member in members) == sorted(people.pop())


async def test_rows_without_row_id_are_known_by_name_and_birth_date(client: httpx.AsyncClient) -> None:
    group = await roster(client)
    header = "first_name,last_name,birth_date\n"
    first = await post(client, group, header + "José,Peña,1990-01-02\n")
    again = await post(client, group, header + "JOSE,Pena,01/02/1990\n")
    numbered = await post(client, group, HEADER + "7,José,Peña,1990-01-02,\n")
    assert summary(again) == summary(numbered) == counts(1, matched=1)
    assert rows(first)[0]["patient"] == rows(again)[0]["patient"] == rows(numbered)[0]["patient"]
    assert summary(await post(client, group, HEADER + "7,José,Peña,1990-01-02,\n")) == counts(1, unchanged=1)


async def test_a_member_put_there_by_hand_is_found(client: httpx.AsyncClient) -> None:
    person = {"resourceType": "Patient", "name": [{"family": "Peña", "given": ["José"]}], "birthDate": "1990-01-02"}
    patient = (await client.post("Patient", json=person)).json()["id"]
    group = await roster(client, member=[{"entity": {"reference": f"Patient/{patient}"}}])
    answer = await post(client, group, HEADER + "7,Jose,Pena,1990-01-02,\n")
    assert summary(answer) == counts(1, matched=1)
    assert rows(answer)[0]["patient"] == {"reference": f"Patient/{patient}"}
    assert len((await client.get(group)).json()["member"]) == 1


async def test_a_corrected_row_corrects_and_the_persons_own_word_stays(client: httpx.AsyncClient) -> None:
    group = await roster(client)
    first = await post(client, group, HEADER + "1,Ana,Lee,1990-01-02,work@example.org\n")
    address = rows(first)[0]["patient"]["reference"]
    patient = (await client.get(address)).json()
    patient["telecom"] = [{"system": "email", "value": "own@example.org"}]
    assert (await client.put(address, json=patient)).status_code == 200
    unchanged = await post(client, group, HEADER + "1,Ana,Lee,1990-01-02,work@example.org\n")
    assert summary(unchanged) == counts(1, unchanged=1)
    assert (await client.get(address)).json()["telecom"] == patient["telecom"]
    corrected = await post(client, group, HEADER + "1,Ana,Li,1990-01-02,new@example.org\n")
    assert summary(corrected) == counts(1, matched=1)
    found = (await client.get(address)).json()
    assert found["name"][0]["family"] == "Li"
    assert [point["value"] for point in found["telecom"]] == ["own@example.org", "new@example.org"]


async def test_a_row_id_given_to_somebody_else_is_refused(client: httpx.AsyncClient) -> None:
    group = await roster(client)
    first = await post(client, group, HEADER + "1,Ana,Li,1990-01-02,\n")
    other = await post(client, group, HEADER + "1,Bo,Ruiz,1970-05-05,\n")
    assert codes(rows(other)[0]) == ["row-id-reused"]
    assert (await client.get(rows(first)[0]["patient"]["reference"])).json()["name"][0]["family"] == "Li"


async def test_the_same_row_id_in_another_roster_of_the_organization_is_the_same_person(
    client: httpx.AsyncClient,
) -> None:
    one = await roster(client)
    manager = (await client.get(one)).json()["managingEntity"]
    other = await roster(client, managingEntity=manager)
    elsewhere = await roster(client)
    body = HEADER + "1,Ana,Li,1990-01-02,\n"
    first, second, third = [rows(await post(client, group, body))[0] for group in (one, other, elsewhere)]
    assert (first["status"], second["status"], third["status"]) == ("created", "matched", "created")
    assert first["patient"] == second["patient"] != third["patient"]


async def test_leavers_end_only_when_the_file_is_the_whole_roster(client: httpx.AsyncClient) -> None:
    group = await roster(client)
    await post(client, group, HEADER + "1,Ana,Li,1990-01-02,\n2,Bo,Ruiz,1985-01-31,\n")
    assert summary(await post(client, group, HEADER + "1,Ana,Li,1990-01-02,\n")) == counts(1, unchanged=1)
    assert not any("inactive" in member for member in (await client.get(group)).json()["member"])
    whole = await post(client, group, HEADER + "1,Ana,Li,1990-01-02,\n", "?replace=true")
    assert summary(whole) == counts(1, unchanged=1) | {"ended": 1}
    ended = (await client.get(group)).json()["member"][1]
    assert ended["inactive"] is True
    assert set(ended["period"]) == {"start", "end"}
    assert (await client.get(ended["entity"]["reference"])).status_code == 200
    back = await post(client, group, HEADER + "2,Bo,Ruiz,1985-01-31,\n")
    assert summary(back) == counts(1, matched=1)
    assert "inactive" not in (await client.get(group)).json()["member"][1]


async def test_nobody_leaves_while_a_refused_row_could_be_them(client: httpx.AsyncClient) -> None:
    group = await roster(client)
    await post(client, group, HEADER + "1,Ana,Li,1990-01-02,\n2,Bo,Ruiz,1985-01-31,\n")
    doubtful = await post(client, group, HEADER + "1,Ana,Li,1990-01-02,\n,Bo,Ruiz,never,\n", "?replace=true")
    assert summary(doubtful)["ended"] == 0
    note = doubtful.json()["parameter"][0]["part"][-1]["resource"]["issue"][0]
    assert note["details"]["coding"][0]["code"] == "leavers-kept"
    named = await post(client, group, HEADER + "1,Ana,Li,1990-01-02,\n2,Bo,Ruiz,never,\n", "?replace=true")
    assert summary(named)["ended"] == 0
    assert not any("inactive" in member for member in (await client.get(group)).json()["member"])


async def test_ndjson_and_cp1252(client: httpx.AsyncClient) -> None:
    group = await roster(client)
    person = {
        "resourceType": "Patient",
        "identifier": [{"system": "urn:mrn", "value": "m1"}],
        "name": [{"family": "Li", "given": ["Ana"]}],
        "birthDate": "1990-01-02",
        "maritalStatus": {"text": "single"},
    }
    answer = await post(client, group, json.dumps(person) + "\n{}\n", media_type="application/fhir+ndjson")
    assert summary(answer) == counts(2, created=1, refused=1)
    stored = (await client.get(rows(answer)[0]["patient"]["reference"])).json()
    assert stored["maritalStatus"] == person["maritalStatus"]
    assert len(stored["identifier"]) == 2
    assert summary(await post(client, group, json.dumps(person), media_type="application/fhir+ndjson")) == counts(
        1, unchanged=1
    )
    guessed = await post(
        client, group, "first_name;last_name;birth_date;dept\nJosé;Peña;1990-01-02;ICU\n".encode("cp1252")
    )
    issue = guessed.json()["parameter"][0]["part"][-1]["resource"]["issue"]
    assert [found["details"]["coding"][0]["code"] for found in issue] == ["encoding-guessed", "unknown-column"]
    assert (await client.get(rows(guessed)[0]["patient"]["reference"])).json()["name"][0]["family"] == "Peña"


@pytest.mark.parametrize(
    ("body", "media_type", "query", "status", "code"),
    [
        (b"", "text/csv", "", 400, "empty-file"),
        (b"Ana,Li,1990-01-02\n", "text/csv", "", 400, "header-missing"),
        (b"first_name,last_name\n", "text/csv", "", 400, "column-missing"),
        (b"PK\x03\x04", "text/csv", "", 400, "spreadsheet"),
        (HEADER.encode(), "text/csv", "?replace=true", 400, "empty-roster"),
        (HEADER.encode(), "text/csv", "?whole=true", 400, "unknown-parameter"),
        (b"{}", "application/pdf", "", 415, "unsupported-content-type"),
        (b'{"resourceType":"Parameters"}', "application/fhir+json", "", 415, "unsupported-content-type"),
        ((HEADER + "1,Ana,Li,1990-01-02,\n" * 100_001).encode(), "text/csv", "", 413, "too-many-rows"),
    ],
)
async def test_files_that_are_refused_whole(
    client: httpx.AsyncClient, body: bytes, media_type: str, query: str, status: int, code: str
) -> None:
    group = await roster(client)
    answer = await post(client, group, body, query, media_type)
    assert (answer.status_code, answer.json()["issue"][0]["details"]["coding"][0]["code"]) == (status, code)
    assert "member" not in (await client.get(group)).json()


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"actual": False}, "not-a-roster"),
        ({"type": "device"}, "not-a-roster"),
        ({"active": False}, "roster-not-active"),
    ],
)
async def test_groups_that_take_no_roster(client: httpx.AsyncClient, change: dict[str, Any], code: str) -> None:
    group = await roster(client, **change)
    answer = await post(client, group, HEADER + "1,Ana,Li,1990-01-02,\n")
    assert (answer.status_code, answer.json()["issue"][0]["details"]["coding"][0]["code"]) == (422, code)


async def test_no_such_group(client: httpx.AsyncClient) -> None:
    assert (await post(client, "Group/nobody", HEADER)).status_code == 404
    assert (await client.get("Group/nobody/$roster-upload")).status_code == 405


async def test_a_roster_of_more_than_a_thousand(client: httpx.AsyncClient) -> None:
    group = await roster(client)
    people = [f"{number},First{number},Last{number},1990-01-02,\n" for number in range(1_050)]
    assert summary(await post(client, group, HEADER + "".join(people))) == counts(1_050, created=1_050)
    assert summary(await post(client, group, HEADER + "".join(people))) == counts(1_050, unchanged=1_050)
    whole = await post(client, group, HEADER + "".join(people[:1_049]), "?replace=true")
    assert summary(whole) == counts(1_049, unchanged=1_049) | {"ended": 1}
    member = rows(whole)[0]["patient"]["reference"]
    asked = await client.get(f"{member}/$vaccine-eligibility", params={"asOf": "2021-01-20"})
    assert asked.json()["parameter"][0] == {"name": "status", "valueCode": "eligible"}
