"""The operation log: what a load client asked for and was told, kept outside the server.

Every resource has one writer, so the log of a resource is the order in which its versions must stand.
"""

import asyncio
from collections import defaultdict
from dataclasses import dataclass, field
from typing import Literal

Kind = Literal["put", "delete"]


@dataclass(slots=True)
class Operation:
    """One write. `mark` is unique to the request it belongs to. `version` is what was acknowledged (0: acknowledged
    that nothing had to change); None when no answer came, or one that promises nothing (503)."""

    kind: Kind
    mark: int
    version: int | None = None


@dataclass(slots=True)
class Log:
    """Operations by resource (`Patient/1`), and which resources each transaction was to write."""

    operations: dict[str, list[Operation]] = field(default_factory=lambda: defaultdict(list))
    transactions: dict[int, tuple[str, ...]] = field(default_factory=dict)
    acknowledged: int = 0
    uncertain: int = 0
    unexpected: list[str] = field(default_factory=list)
    _more: asyncio.Event = field(default_factory=asyncio.Event)

    def intend(self, address: str, kind: Kind, mark: int) -> Operation:
        """Note an operation before it is sent."""
        operation = Operation(kind, mark)
        self.operations[address].append(operation)
        return operation

    def heard(self) -> None:
        """Count an acknowledgement."""
        self.acknowledged += 1
        self._more.set()

    async def reached(self, count: int) -> None:
        """Wait until this many requests have been acknowledged."""
        while self.acknowledged < count:
            self._more.clear()
            await self._more.wait()
