"""https://hl7.org/fhir/uv/bulkdata/STU2/export.html#bulk-data-status-request

Who polls too fast, and bodies that take long because they are large.
"""

import asyncio
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import httpx
import pytest
from starlette.types import Message

from fhir_server.context import Context
from fhir_server.fhir.outcome import FhirError
from fhir_server.http.exchange import Exchange
from fhir_server.http.jobs import HASTY_POLLS, Patience
from fhir_server.settings import Settings
from tests.http.answers import refused


class Clock:
    """Seconds, set by hand."""

    time = 100.0

    def __call__(self) -> float:
        return self.time


def test_only_many_hasty_polls_in_a_row_are_too_many() -> None:
    clock = Clock()
    patience = Patience(clock)
    for _ in range(HASTY_POLLS + 1):
        patience.require("a")
        clock.time += 0.4
    patience.require("b")
    with pytest.raises(FhirError) as caught:
        patience.require("a")
    assert (caught.value.status, caught.value.headers) == (429, {"Retry-After": "1"})
    clock.time += 0.4
    with pytest.raises(FhirError):
        patience.require("a")
    clock.time += 0.5
    for _ in range(HASTY_POLLS + 1):
        patience.require("a")
        clock.time += 0.4


async def test_parameters_have_no_meaning_there(client: httpx.AsyncClient) -> None:
    assert refused(await client.get("_jobs/nothing?_count=1"), 400).expression == ("_count",)
    assert refused(await client.get("_jobs/nothing?_pretty=true"), 404).detail == "unknown-job"


@pytest.mark.parametrize(("size", "arrives"), [(50_000, True), (500, False)])
async def test_a_body_that_keeps_pace_may_take_longer(tmp_path: Path, size: int, arrives: bool) -> None:
    """Six chunks, 0.1 s apart, where a request may take 0.3 s."""
    left = 6

    async def receive() -> Message:
        nonlocal left
        left -= 1
        await asyncio.sleep(0.1)
        return {"type": "http.request", "body": b"x" * size, "more_body": left > 0}

    scope: dict[str, Any] = {"method": "POST", "headers": [], "query_string": b"", "raw_path": b"/"}
    settings = Settings.model_validate({"data": tmp_path, "request_seconds": 0.3})
    exchange = Exchange(cast(Context, SimpleNamespace(settings=settings)), scope, receive)
    received = 0
    try:
        async with asyncio.timeout(settings.request_seconds) as exchange.deadline:
            async for chunk in exchange.stream(1_000_000, pace=100_000):
                received += len(chunk)
    except TimeoutError:
        assert (exchange.given_up().status, arrives) == (408, False)
    else:
        assert arrives
        assert received == 6 * size
