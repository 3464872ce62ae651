"""$roster-upload of many rows: accepted, polled, fetched; through kills of the process that does it.

https://hl7.org/fhir/uv/bulkdata/STU2/export.html#bulk-data-status-request
"""

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests import processes
from tests.conftest import Server
from tests.http.answers import refused, told
from tests.operations.test_roster import HEADER, codes, counts, post, roster, rows, summary

ASYNC = {"prefer": "respond-async"}


def people(number: int, first: int = 0, email: str = "") -> str:
    """A file of so many people with row_ids from `first`."""
    return HEADER + "".join(
        f"{row},First{row},Last{row},1980-01-{row % 28 + 1:02d},{email}\n" for row in range(first, first + number)
    )


async def accepted(client: httpx.AsyncClient, group: str, body: str, query: str = "", **headers: str) -> str:
    """The polling address of an upload that was accepted."""
    answer = await post(client, group, body, query, **(ASYNC | headers))
    assert answer.status_code == 202, answer.text
    assert told(answer)[:2] == ("informational", "accepted")
    address = answer.headers["content-location"]
    assert address.startswith(f"{client.base_url}_jobs/")
    return str(address)


async def finished(client: httpx.AsyncClient, address: str, seconds: float = 120) -> httpx.Response:
    """The answer, once there is one; polled as patiently as is asked for."""
    async with asyncio.timeout(seconds):
        while True:
            answer = await client.get(address)
            if answer.status_code != 202:
                return answer
            assert 0 < len(answer.headers["x-progress"]) <= 100
            assert answer.content == b""
            await asyncio.sleep(min(int(answer.headers["retry-after"]), 1))


def without_patients(answer: httpx.Response) -> list[dict[str, Any]]:
    """The rows, each patient replaced by whether there is one."""
    return [{**row, "patient": "patient" in row} for row in rows(answer)]


async def everybody(client: httpx.AsyncClient, group: str) -> set[str]:
    """The people of the organization that keeps the roster, by who gave them their row_id."""
    owner = (await client.get(group)).json()["managingEntity"]["reference"]
    system = f"https://fhir-server.example/fhir/NamingSystem/roster-row/{owner}"
    found: set[str] = set()
    address: str | None = f"Patient?identifier={system}|&_count=1000&_elements=id"
    while address is not None:
        page = (await client.get(address)).json()
        found |= {entry["resource"]["id"] for entry in page.get("entry", [])}
        address = next((link["url"] for link in page["link"] if link["relation"] == "next"), None)
    return found


async def test_the_answer_is_that_of_the_synchronous_upload(client: httpx.AsyncClient) -> None:
    body = (
        HEADER
        + "1,Ana,Li,1990-01-02,ana@example.org\n2,Bo,Ruiz,1985-02-30,\n1,Ana,Li,1990-01-02,\n3,Cy,Cruz,1980-01-01,x\n"
    )
    group = await roster(client)
    at_once = await post(client, await roster(client), body, **{"accept-language": "es"})
    address = await accepted(client, group, body, **{"accept-language": "es"})
    later = await finished(client, address)
    assert summary(later) == summary(at_once) == counts(4, created=2, refused=2)
    assert without_patients(later) == without_patients(at_once)
    assert later.headers["content-type"] == "application/fhir+json; charset=utf-8"
    expires = parsedate_to_datetime(later.headers["expires"]).timestamp() - time.time()
    assert 86_000 < expires <= 86_400
    member = (await client.get(group)).json()["member"]
    assert [each["entity"] for each in member] == [row["patient"] for row in rows(later) if "patient" in row]
    assert (await client.get(address)).content == later.content
    assert b"<Parameters" in (await client.get(address, headers={"accept": "application/fhir+xml"})).content
    again = await finished(client, await accepted(client, group, body))
    assert summary(again) == counts(4, unchanged=2, refused=2)


async def test_leavers(client: httpx.AsyncClient) -> None:
    group = await roster(client)
    await finished(client, await accepted(client, group, people(3)))
    whole = await finished(client, await accepted(client, group, people(2), "?replace=true"))
    assert summary(whole) == counts(2, unchanged=2) | {"ended": 1}
    assert [each.get("inactive", False) for each in (await client.get(group)).json()["member"]] == [False, False, True]
    doubtful = HEADER + "0,First0,Last0,1980-01-01,\n,Bo,Ruiz,never,\n"
    kept = await finished(client, await accepted(client, group, doubtful, "?replace=true"))
    assert summary(kept)["ended"] == 0
    assert b"leavers-kept" in kept.content


async def test_what_can_be_known_is_refused_at_once(client: httpx.AsyncClient) -> None:
    group = await roster(client)
    for body, query, status, code in (
        ("first_name,last_name\n", "", 400, "column-missing"),
        (HEADER, "?replace=true", 400, "empty-roster"),
        (HEADER + "1,Ana,Li,1990-01-02,\n" * 100_001, "", 413, "too-many-rows"),
    ):
        assert refused(await post(client, group, body, query, **ASYNC), status).detail == code
    assert refused(await post(client, "Group/nobody", HEADER, **ASYNC), 404).detail == "unknown-resource"


async def test_a_file_too_large_to_look_at_is_refused_when_polled(client: httpx.AsyncClient) -> None:
    async def content() -> AsyncIterator[bytes]:
        for _ in range(21):
            yield b"Ana;Li;1990-01-02\n" * 60_000

    group = await roster(client)
    headers = {"content-type": "text/csv"}
    answer = await client.post(f"{group}/$roster-upload", content=content(), headers=headers)
    assert answer.status_code == 202, answer.text
    failed = await finished(client, answer.headers["content-location"])
    assert refused(failed, 400).detail == "header-missing"
    assert "expires" in failed.headers


async def test_a_group_that_goes_away_meanwhile_is_told(client: httpx.AsyncClient) -> None:
    group = await roster(client)
    # One job at a time: the second waits for the first.
    first, second = await accepted(client, group, people(2_000)), await accepted(client, group, people(1))
    assert (await client.delete(group)).status_code == 204
    assert refused(await finished(client, second), 410).detail == "deleted"
    assert (await finished(client, first)).status_code in (200, 410)


async def test_a_removed_job_is_gone_and_stops(client: httpx.AsyncClient) -> None:
    group = await roster(client)
    address = await accepted(client, group, people(3_000))
    await progressed(client, address, "")
    answer = await client.delete(address)
    assert (answer.status_code, answer.content) == (202, b"")
    assert refused(await client.get(address), 404).detail == "unknown-job"
    assert refused(await client.delete(address), 404).detail == "unknown-job"
    # What was done stays, and is found again.
    rest = await post(client, group, people(3_000))
    assert summary(rest)["refused"] == 0
    # The last of those who are told as done may be no members yet.
    assert summary(rest)["unchanged"] + summary(rest)["matched"] >= 1_000
    assert len(await everybody(client, group)) == 3_000


async def test_addresses_that_are_none(client: httpx.AsyncClient) -> None:
    assert refused(await client.get("_jobs/nothing"), 404).detail == "unknown-job"
    assert refused(await client.post("_jobs/nothing"), 405).detail == "wrong-method"


async def test_an_answer_of_any_size(client: httpx.AsyncClient) -> None:
    """Above 5,000 rows nobody has to ask; all of these are refused, so that it is the answer that takes the time."""
    group = await roster(client)
    body = HEADER + "".join(f"{row},,,never{row},not an address\n" for row in range(9_000))
    answer = await post(client, group, body)
    assert answer.status_code == 202
    later = await finished(client, answer.headers["content-location"])
    assert summary(later) == counts(9_000, refused=9_000)
    assert int(later.headers["content-length"]) == len(later.content) > 4_000_000
    assert [row["line"] for row in rows(later)] == list(range(2, 9_002))
    assert codes(rows(later)[-1]) == ["value-missing", "value-missing", "birth-date-format", "email-not-understood"]
    xml = await client.get(answer.headers["content-location"], headers={"accept": "application/fhir+xml"})
    assert refused_in_xml(xml) == 406
    head = await client.head(answer.headers["content-location"])
    assert (head.status_code, head.headers["content-length"]) == (200, str(len(later.content)))


def refused_in_xml(answer: httpx.Response) -> int:
    assert b"not-acceptable" in answer.content
    return answer.status_code


async def test_hasty_polls(client: httpx.AsyncClient) -> None:
    group = await roster(client)
    address = await accepted(client, group, people(3_000))
    statuses = [(await client.get(address)).status_code for _ in range(14)]
    assert statuses[:11] == [202] * 11
    assert set(statuses[11:]) == {429}
    hasty = await client.get(address)
    assert refused(hasty, 429).detail == "hasty-polling"
    await asyncio.sleep(float(hasty.headers["retry-after"]))
    assert (await client.get(address)).status_code in (200, 202)
    assert (await client.delete(address)).status_code == 202


async def test_the_same_file_twice_at_once_makes_everybody_once(client: httpx.AsyncClient) -> None:
    group = await roster(client)
    body = people(1_500)
    address, at_once = await asyncio.gather(accepted(client, group, body), post(client, group, body))
    later = await finished(client, address)
    assert [row["patient"] for row in rows(later)] == [row["patient"] for row in rows(at_once)]
    created = [row["line"] for row in (*rows(later), *rows(at_once)) if row["status"] == "created"]
    assert sorted(created) == list(range(2, 1_502))
    assert len(await everybody(client, group)) == 1_500


@pytest.mark.slow
async def test_kill_9_of_the_worker_changes_nothing_of_the_answer(tmp_path: Path) -> None:
    await through_kills(Server(tmp_path), 1_500, [workers_of])


@pytest.mark.long
async def test_many_kills_of_worker_and_server_change_nothing_of_the_answer(tmp_path: Path) -> None:
    kills = [workers_of, the_server, workers_of, the_database, the_server, workers_of]
    await through_kills(Server(tmp_path), 10_000, kills)


Victims = Callable[[Server], list[int]]


def workers_of(server: Server) -> list[int]:
    """The worker processes."""
    assert server.process is not None
    return [id for id, line in processes.below(server.process.pid).items() if "fhir-worker" in line]


def the_database(server: Server) -> list[int]:
    """The embedded database."""
    assert server.process is not None
    return [id for id, line in processes.below(server.process.pid).items() if "--storage-path" in line]


def the_server(server: Server) -> list[int]:
    """The supervisor, whose children go with it."""
    assert server.process is not None
    return [server.process.pid]


@asynccontextmanager
async def serving(server: Server) -> AsyncIterator[httpx.AsyncClient]:
    """The server, started, a client on its base; stopped whatever happens."""
    await server.start()
    try:
        async with httpx.AsyncClient(base_url=server.base + "/", timeout=30) as client:
            yield client
    finally:
        await server.stop()


async def through_kills(server: Server, number: int, kills: Sequence[Victims]) -> None:
    """Upload a file that creates, matches and refuses, with `replace`; kill processes in its course; compare the
    answer, people and members with those of the same upload left alone."""
    half = number // 2
    earlier = people(half, email="old@example.org") + people(50, 10 * number).removeprefix(HEADER)
    bad = "".join(f"{9 * number + row},Ana,Li,never,\n" for row in range(3))
    body = people(number, email="new@example.org") + bad + people(10).removeprefix(HEADER)
    async with serving(server) as client:
        alone, shot_at = await roster(client), await roster(client)
        for group in (alone, shot_at):
            assert summary(await finished(client, await accepted(client, group, earlier))) == counts(
                half + 50, created=half + 50
            )
        expected = await finished(client, await accepted(client, alone, body, "?replace=true"))
        address = await accepted(client, shot_at, body, "?replace=true")
        seen = ""
        for victims in kills:
            seen = await progressed(client, address, seen)
            for victim in victims(server):
                os.kill(victim, signal.SIGKILL)
            if victims is the_server:
                port = server.port
                assert server.process is not None
                await server.process.wait()
                await server.start(port)
        answer = await settled(client, address)
        assert summary(answer) == summary(expected)
        assert summary(expected) == counts(number + 13, created=number - half, matched=half, refused=13) | {"ended": 0}
        assert without_patients(answer) == without_patients(expected)
        assert len(await everybody(client, shot_at)) == number + 50
        again = await finished(client, await accepted(client, shot_at, people(number, email="new@example.org")))
        assert summary(again) == counts(number, unchanged=number)


async def progressed(client: httpx.AsyncClient, address: str, seen: str) -> str:
    """Wait until the job is further than `seen`, and a little longer."""
    async with asyncio.timeout(90):
        while True:
            try:
                answer = await client.get(address)
                assert answer.status_code in (202, 503), answer.text[:500]
                now = answer.headers.get("x-progress", "")
                if "rows" in now and now != seen:
                    await asyncio.sleep(0.15)
                    return str(now)
            except httpx.TransportError:
                pass
            await asyncio.sleep(0.55)


async def settled(client: httpx.AsyncClient, address: str) -> httpx.Response:
    """The answer, whatever happens to single polls."""
    async with asyncio.timeout(180):
        while True:
            try:
                answer = await client.get(address)
                if answer.status_code not in (202, 503):
                    return answer
            except httpx.TransportError:
                pass
            await asyncio.sleep(0.6)


@pytest.mark.slow
async def test_ten_thousand_rows(tmp_path: Path) -> None:
    await volume(tmp_path, 10_000, seconds=150)


@pytest.mark.long
async def test_a_hundred_thousand_rows(tmp_path: Path, measured: Callable[[str], None]) -> None:
    measured(await volume(tmp_path, 100_000, seconds=900))


async def volume(data: Path, number: int, seconds: float) -> str:
    """Everybody once, all of them members, in little memory; what that took."""
    server = Server(data)
    async with serving(server) as client:
        [worker] = workers_of(server)
        group, file = await roster(client), people(number, email="a@example.org")
        # What is loaded once is loaded before it is measured.
        assert summary(await post(client, await roster(client), people(100))) == counts(100, created=100)
        before, most = processes.memory(worker), 0
        started = time.monotonic()
        address = await accepted(client, group, file)
        async with asyncio.timeout(seconds):
            while (answer := await client.get(address)).status_code == 202:
                most = max(most, processes.memory(worker))
                await asyncio.sleep(0.6)
        took = f"{number:,} rows in {time.monotonic() - started:.0f} s, worker +{(most - before) / 1e6:.0f} MB"
        assert summary(answer) == counts(number, created=number)
        assert most - before < 100_000_000
        assert (await client.get(group)).json()["quantity"] == number
        return took
