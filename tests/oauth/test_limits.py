"""https://www.rfc-editor.org/rfc/rfc6819

Forms that do not end, and what is forgotten when it is over.
"""

import asyncio
from dataclasses import replace

import pytest
from starlette.types import Message

from fhir_server.fhir.outcome import FhirError
from fhir_server.http import forms
from fhir_server.http.exchange import Exchange
from fhir_server.jobs.forgetting import forget
from tests.oauth.conftest import House

SCOPE = {
    "type": "http",
    "method": "POST",
    "raw_path": b"/oauth/token",
    "query_string": b"",
    "headers": [(b"content-type", forms.FORM.encode())],
}


async def test_a_form_that_comes_a_byte_at_a_time_is_given_up(house: House) -> None:
    async def receive() -> Message:
        await asyncio.sleep(0.02)
        return {"type": "http.request", "body": b"a", "more_body": True}

    hasty = house.settings.model_copy(update={"request_seconds": 0.2})
    exchange = Exchange(replace(house.context, settings=hasty), SCOPE, receive)
    with pytest.raises(FhirError) as refused:
        await forms.posted(exchange)
    assert (refused.value.status, refused.value.issues[0].detail) == (408, "slow-body")


async def test_a_form_without_end_is_refused_at_its_limit(house: House) -> None:
    sent = 0

    async def receive() -> Message:
        nonlocal sent
        sent += 10_000
        return {"type": "http.request", "body": b"a" * 10_000, "more_body": True}

    with pytest.raises(FhirError) as refused:
        await forms.posted(Exchange(house.context, SCOPE, receive))
    assert refused.value.status == 413
    assert sent < 100_000


async def test_what_is_over_is_forgotten(house: House) -> None:
    passing, now = house.context.store.passing, house.context.clock() // 1_000_000
    await passing.add("session", "over", now - 1)
    await passing.add("session", "alive", now + 60)
    assert await passing.find("session", "over", now) is None
    await forget(house.context)
    assert await passing.add("session", "over", now + 60), "it was removed"
    assert not await passing.add("session", "alive", now + 60)


async def test_counts_begin_anew(house: House) -> None:
    passing = house.context.store.passing
    assert [await passing.count("wrong", "counted", 100, 0) for _ in range(3)] == [1, 2, 3]
    assert await passing.counted("wrong", "counted", 0) == 3
    assert await passing.counted("wrong", "counted", 100) == 0
    assert await passing.count("wrong", "counted", 200, 100) == 1


async def test_of_many_who_count_at_once_nobody_is_lost(house: House) -> None:
    passing = house.context.store.passing
    counted = await asyncio.gather(*(passing.count("wrong", "together", 100, 0) for _ in range(20)))
    assert max(counted) == 20
    assert await passing.counted("wrong", "together", 0) == 20


async def test_of_many_who_take_something_one_gets_it(house: House) -> None:
    passing = house.context.store.passing
    await passing.add("launch", "once", 100, {"x": 1})
    taken = await asyncio.gather(*(passing.remove("launch", "once") for _ in range(8)))
    assert taken.count(True) == 1
