"""Many at once: one resource of a conditional create, one winner of an If-Match, no update lost.

https://hl7.org/fhir/R4/http.html#concurrency
"""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable
from itertools import cycle

import httpx
import pytest

from tests.conftest import Server
from tests.http.answers import JSON, everything, patient, put, refused
from tests.http.test_batch import entry

CLIENTS = 100
ROUNDS = 20
SYSTEM = "https://concurrency.example"


class Crowd(httpx.AsyncBaseTransport):
    """A connection for each of a hundred, in turn: one pool would look through all of them at each request."""

    def __init__(self) -> None:
        self._all = [httpx.AsyncHTTPTransport(verify=False) for _ in range(CLIENTS)]
        self._turn = cycle(self._all)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """As the next of them would."""
        return await next(self._turn).handle_async_request(request)

    async def aclose(self) -> None:
        """Close all connections."""
        for each in self._all:
            await each.aclose()


@pytest.fixture(scope="module")
async def crowd(server: Server) -> AsyncIterator[httpx.AsyncClient]:
    """A client with a connection for everybody, to a server with one worker."""
    async with httpx.AsyncClient(base_url=server.base + "/", timeout=60, transport=Crowd()) as client:
        yield client


@pytest.fixture(scope="module")
async def two_workers(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[httpx.AsyncClient]:
    """The same, to a server of two processes."""
    server = Server(tmp_path_factory.mktemp("two"), "--workers", "2")
    await server.start()
    async with httpx.AsyncClient(base_url=server.base + "/", timeout=60, transport=Crowd()) as client:
        yield client
    assert await server.stop() == 0


async def test_conditional_creates(crowd: httpx.AsyncClient) -> None:
    await _create_once(crowd, "one", 3)


async def test_conditional_creates_over_two_processes(two_workers: httpx.AsyncClient) -> None:
    await _create_once(two_workers, "two", ROUNDS)


@pytest.mark.long
async def test_conditional_creates_over_two_processes_for_long(
    two_workers: httpx.AsyncClient, measured: Callable[[str], None]
) -> None:
    await _create_once(two_workers, "long", 50)
    measured(f"{CLIENTS} clients, 50 rounds, one resource each")


async def _create_once(client: httpx.AsyncClient, name: str, rounds: int) -> None:
    for number in range(rounds):
        value = f"{name}-{number}"
        condition = {"if-none-exist": f"identifier={SYSTEM}|{value}"}
        body = patient("x", identifier=[{"system": SYSTEM, "value": value}])
        answers = await asyncio.gather(
            *(client.post("Patient", json=body, headers={**JSON, **condition}) for _ in range(CLIENTS))
        )
        assert Counter(answer.status_code for answer in answers) == {201: 1, 200: CLIENTS - 1}
        assert len({answer.json()["id"] for answer in answers}) == 1
        assert len(await everything(client, f"Patient?identifier={SYSTEM}|{value}")) == 1


async def test_conditional_creates_in_transactions(two_workers: httpx.AsyncClient) -> None:
    """Everybody's dose refers to the one person whom somebody created."""
    urn = "urn:uuid:0b1d2a3e-0000-4000-8000-000000000001"
    person = patient("x", identifier=[{"system": SYSTEM, "value": "shared"}])
    dose = {
        "resourceType": "Immunization",
        "status": "completed",
        "vaccineCode": {"coding": [{"code": "207"}]},
        "patient": {"reference": urn},
        "occurrenceDateTime": "2021-01-14",
    }
    entries = [
        entry("POST", "Patient", person, full_url=urn, ifNoneExist=f"identifier={SYSTEM}|shared"),
        entry("POST", "Immunization", dose),
    ]
    bundle = {"resourceType": "Bundle", "type": "transaction", "entry": entries}
    answers = await asyncio.gather(*(two_workers.post("", json=bundle, headers=JSON) for _ in range(20)))
    assert {answer.status_code for answer in answers} == {200}, [answer.text[:300] for answer in answers]
    [one] = await everything(two_workers, f"Patient?identifier={SYSTEM}|shared")
    assert len(await everything(two_workers, f"Immunization?patient={one}")) == 20


async def test_one_winner_of_if_match(crowd: httpx.AsyncClient) -> None:
    await _one_winner(crowd)


async def test_one_winner_of_if_match_over_two_processes(two_workers: httpx.AsyncClient) -> None:
    await _one_winner(two_workers)


async def _one_winner(crowd: httpx.AsyncClient) -> None:
    await put(crowd, patient("race-1"))
    for version in range(1, 6):
        answers = await asyncio.gather(
            *(
                crowd.put(
                    "Patient/race-1",
                    json=patient("race-1", multipleBirthInteger=number),
                    headers={**JSON, "if-match": f'W/"{version}"'},
                )
                for number in range(50)
            )
        )
        assert Counter(answer.status_code for answer in answers) == {200: 1, 412: 49}
        [winner] = [answer for answer in answers if answer.status_code == 200]
        assert (await crowd.get("Patient/race-1")).content == winner.content
        for answer in answers:
            assert answer.status_code == 200 or refused(answer, 412).detail == "stale-version"


async def test_plain_updates_all_land_one_after_the_other(two_workers: httpx.AsyncClient) -> None:
    """Also the first ones, which create: a client's own id is nobody's conflict."""
    answers = await asyncio.gather(
        *(
            two_workers.put("Patient/race-2", json=patient("race-2", multipleBirthInteger=number), headers=JSON)
            for number in range(40)
        )
    )
    assert Counter(answer.status_code for answer in answers) == {201: 1, 200: 39}, {a.text[:300] for a in answers}
    assert sorted(int(answer.headers["etag"][3:-1]) for answer in answers) == list(range(1, 41))
    history = (await two_workers.get("Patient/race-2/_history?_count=100")).json()["entry"]
    assert sorted(each["resource"]["multipleBirthInteger"] for each in history) == list(range(40))


async def test_deletes_and_updates(two_workers: httpx.AsyncClient) -> None:
    await put(two_workers, patient("race-3"))
    answers = await asyncio.gather(
        *(
            two_workers.delete("Patient/race-3")
            if number % 2
            else two_workers.put("Patient/race-3", json=patient("race-3"), headers=JSON)
            for number in range(30)
        )
    )
    assert {answer.status_code for answer in answers} <= {200, 201, 204}, {answer.text[:300] for answer in answers}
    history = (await two_workers.get("Patient/race-3/_history?_count=100")).json()["entry"]
    versions = [int(each["response"]["etag"][3:-1]) for each in history]
    assert versions == list(range(len(versions), 0, -1))
