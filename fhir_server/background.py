"""Background: work that a process repeats beside its requests, until it is told to stop.

https://docs.python.org/3/library/asyncio-task.html#task-cancellation
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass


@dataclass
class Background:
    """Repeats `once` in a task of this name between `start` and `close`."""

    name: str
    once: Callable[[], Awaitable[None]]
    _task: asyncio.Task[None] | None = None
    _closing: bool = False

    def start(self) -> None:
        """Begin."""
        self._closing = False
        self._task = asyncio.create_task(self._repeat(), name=self.name)

    async def close(self) -> None:
        """Interrupt what is being done, and return when it has ended. Nothing happens where it was not started."""
        if self._task is None:
            return
        self._closing = True
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        self._task = None

    async def _repeat(self) -> None:
        # Asked each time: an interruption can get lost on its way up, where what it met became another error.
        while not self._closing:
            await self.once()
