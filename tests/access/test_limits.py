"""https://hl7.org/fhir/R4/http.html#Status-Codes

Each limit is a setting, and what is beyond it is refused at it, with an OperationOutcome.
"""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import httpx
import pytest

from fhir_server.interactions import includes, reads
from tests.access.conftest import House
from tests.access.world import STEWARD, reference
from tests.http.answers import JSON, found, link, refused

CSV = {"content-type": "text/csv"}


@contextmanager
def limited(house: House, **settings: Any) -> Iterator[None]:
    """The application with these settings."""
    context = house.app.state.context
    house.app.state.context = replace(context, settings=context.settings.model_copy(update=settings))
    try:
        yield
    finally:
        house.app.state.context = context


async def chunks(size: int, count: int, seconds: float = 0.0) -> AsyncIterator[bytes]:
    for _ in range(count):
        await asyncio.sleep(seconds)
        yield b" " * size


async def send(house: House, path: str, content: Any, headers: dict[str, str]) -> httpx.Response:
    return await house.http.post(path, content=content, headers={**house.token(STEWARD), **headers})


def padded(body: bytes, size: int) -> bytes:
    return body + b" " * (size - len(body))


@pytest.mark.parametrize(
    ("path", "setting", "body", "status"),
    [
        ("Patient", "max_resource", b'{"resourceType":"Patient"}', 201),
        ("Patient/_search", "max_resource", b"name=x", 200),
        ("", "max_bundle", b'{"resourceType":"Bundle","type":"batch"}', 200),
        ("Bundle", "max_bundle", b'{"resourceType":"Bundle","type":"collection"}', 201),
        ("Patient/$validate", "max_bundle", b'{"resourceType":"Patient"}', 200),
        ("Group/roster-plant/$roster-upload", "max_upload", b"row_id,first_name,last_name,birth_date\n", 200),
    ],
)
async def test_a_body_may_be_so_long_and_no_longer(
    house: House, path: str, setting: str, body: bytes, status: int
) -> None:
    headers = {"content-type": "application/x-www-form-urlencoded"} if "_search" in path else JSON
    if "roster" in path:
        headers, body = CSV, body.replace(b"\n", b"") + b"\n"
    padding = b"+" if "_search" in path else b"\n" if "roster" in path else b" "
    with limited(house, **{setting: 1_000}):
        whole = body + padding * (1_000 - len(body))
        assert (await send(house, path, whole, headers)).status_code == status
        for longer in (whole + padding, chunks(100, 11)):
            answer = await send(house, path, longer, headers)
            assert refused(answer, 413)[:2] == ("too-long", "body-too-large")
            assert answer.headers["connection"] == "close"


async def test_a_bundle_may_have_so_many_entries(house: House) -> None:
    entry = {"request": {"method": "GET", "url": "Patient/ann"}}
    with limited(house, max_bundle_entries=3):
        for kind in ("batch", "transaction"):
            for count, status in ((3, 200), (4, 413)):
                bundle = {"resourceType": "Bundle", "type": kind, "entry": [entry] * count}
                answer = await house.ask(STEWARD, "POST", "", bundle)
                assert answer.status_code == status
            assert refused(answer, 413)[:2] == ("too-costly", "too-many-entries")


async def test_a_larger_page_is_made_smaller_and_says_so(house: House) -> None:
    with limited(house, max_page_size=2):
        answer = await house.ask(STEWARD, "GET", "Patient?_count=500")
    assert len(found(answer)) == 2
    assert "_count=2" in str(link(answer.json(), "self"))


@pytest.mark.parametrize("pace", [0.5, 0.01], ids=["nothing", "a byte at a time"])
@pytest.mark.parametrize("path", ["Patient", "", "Group/roster-plant/$roster-upload"])
async def test_a_body_that_is_too_slow(house: House, path: str, pace: float) -> None:
    with limited(house, request_seconds=0.2):
        started = asyncio.get_running_loop().time()
        answer = await send(house, path, chunks(1, 10_000, pace), CSV if "roster" in path else JSON)
        assert refused(answer, 408)[:2] == ("timeout", "slow-body")
        assert asyncio.get_running_loop().time() - started < 2


async def test_a_request_that_takes_too_long_is_given_up(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    ended = []

    async def slow(*arguments: Any) -> Any:
        try:
            await asyncio.sleep(10)
        finally:
            ended.append(True)

    monkeypatch.setattr(reads, "read", slow)
    with limited(house, request_seconds=0.1):
        answer = await house.ask(STEWARD, "GET", "Patient/ann")
    assert refused(answer, 503)[:2] == ("timeout", "out-of-time")
    assert answer.headers["retry-after"] == "2"
    assert ended == [True], "and what it was doing has ended"


async def test_so_many_are_included_and_so_deep(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(6):
        part = {"partOf": reference("Organization", f"deep{number - 1}")} if number else {}
        body = {"resourceType": "Organization", "id": f"deep{number}", "name": "x", **part}
        assert (await house.ask(STEWARD, "PUT", f"Organization/deep{number}", body)).status_code == 201
    path = "Organization?_id=deep5&_include:iterate=Organization:partof"
    answer = await house.ask(STEWARD, "GET", path)
    assert found(answer, "include") == [f"Organization/deep{number}" for number in (4, 3, 2)]
    monkeypatch.setattr(includes, "_MOST", 2)
    assert refused(await house.ask(STEWARD, "GET", path), 400)[:2] == ("too-costly", "too-many-included")
    monkeypatch.setattr(includes, "_MOST", 3)
    assert (await house.ask(STEWARD, "GET", path)).status_code == 200
