"""https://docs.python.org/3/whatsnew/3.12.html#asyncio"""

import asyncio

import pytest
from pymongo.lock import _async_cond_wait, _async_create_condition, _async_create_lock

from fhir_server.store import wait_for


@pytest.mark.parametrize("times", [1, 2, 3])
async def test_who_is_cancelled_while_waiting_leaves_the_lock_to_others(times: int) -> None:
    wait_for.install()
    lock = _async_create_lock()
    condition = _async_create_condition(lock)

    async def selecting() -> None:
        async with lock:
            await _async_cond_wait(condition, 30)

    waiting = asyncio.create_task(selecting())
    await asyncio.sleep(0.01)
    async with lock:
        # The lock is another's while the deadlines pass.
        for _ in range(times):
            waiting.cancel()
            await asyncio.sleep(0.01)
        assert lock.locked() and not waiting.done()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    async with asyncio.timeout(1):
        await lock.acquire()


async def test_who_has_waited_long_enough_has_the_lock_back() -> None:
    wait_for.install()
    lock = _async_create_lock()
    condition = _async_create_condition(lock)
    async with lock:
        assert not await _async_cond_wait(condition, 0.01)
        assert lock.locked()
        noticing = asyncio.create_task(_async_cond_wait(condition, 5))
        await asyncio.sleep(0.01)
        async with asyncio.timeout(1):
            await lock.acquire()
        condition.notify_all()
        lock.release()
        assert await noticing
    assert not lock.locked()
