"""Pulse: waits for the end of the embedded database, and ends it where it no longer takes any write.

https://source.wiredtiger.com/develop/tune_cache.html

A daemon whose cache is full of what it may not yet evict stands still for good, answering nobody, at full speed
(docs/decisions/0003); others are stopped, or hang. None comes back by itself, all come back whole by a new start.
"""

import asyncio
import contextlib
import logging
import time
from asyncio.subprocess import Process

from pymongo.errors import PyMongoError

from fhir_server.store.driver import Client, PyMongo

_log = logging.getLogger(__name__)

BEAT = 5.0
"""Seconds between two writes that only ask whether one can write; and how long one may take."""
STILL = 60.0
"""Seconds without such a write after which it is given up: the longest transaction has a deadline of about 20."""


async def end_of(process: Process, uri: str) -> int:
    """The exit status of the daemon that listens at `uri`: of its own accord, or killed after STILL seconds."""
    client = PyMongo().connect(uri)
    waiting = asyncio.ensure_future(process.wait())
    last = time.monotonic()
    try:
        while not (await asyncio.wait({waiting}, timeout=BEAT))[0]:
            if await _beats(client):
                last = time.monotonic()
            elif time.monotonic() - last > STILL:
                _log.error("the embedded database has taken no write for %.0f s; killing it", time.monotonic() - last)
                with contextlib.suppress(ProcessLookupError):
                    process.kill()
                break
        return await waiting
    finally:
        waiting.cancel()
        await client.close()


async def _beats(client: Client) -> bool:
    beats = client.get_database("embedded").get_collection("pulse")
    try:
        async with asyncio.timeout(BEAT):
            await beats.update_one({"_id": "pulse"}, {"$inc": {"beats": 1}}, upsert=True)
    except (PyMongoError, TimeoutError):
        return False
    return True
