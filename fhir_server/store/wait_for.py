"""wait_for: that of Python 3.12 for the driver's locks, which that of 3.11 can leave locked for ever.

https://docs.python.org/3/whatsnew/3.12.html#asyncio

PyMongo waits for a server to be found with `wait_for(condition.wait(), ...)`, holding the condition's lock before and
after. In 3.11 that runs in a task of its own; whoever is cancelled twice (a deadline, and what follows it) goes on
before that task has the lock back, releases a lock that is not theirs, and the task keeps it: no call of this process
reaches the database again. In 3.12 it runs in place, where the condition sees to it. Seen with pymongo 4.20.
"""

import asyncio
import sys
from collections.abc import Coroutine
from typing import TypeVar

import pymongo.lock

Result = TypeVar("Result")


async def wait_for(awaited: Coroutine[object, object, Result], seconds: float | None) -> Result:
    """What it gives, in this very task; TimeoutError after so many seconds."""
    async with asyncio.timeout(seconds):
        return await awaited


def install() -> None:
    """Have the driver use it, where it is needed. Safe to repeat."""
    if sys.version_info < (3, 12):
        vars(pymongo.lock)["wait_for"] = wait_for
