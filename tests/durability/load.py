"""The load: clients that write their own resources as fast as they are answered, singly and in transactions."""

import asyncio
import random
from typing import Any

import httpx

from tests.durability.log import Log, Operation
from tests.http.answers import JSON

SYSTEM = "https://durability.example/mark"
PEOPLE = 6
"""Resources a client has."""


class Load:
    """`clients` writers against one base. `run` until `stop` is set; what they asked and heard is in `log`."""

    def __init__(self, base: str, clients: int, seed: int) -> None:
        self.log = Log()
        self.stop = asyncio.Event()
        self._base = base
        self._clients = clients
        self._seed = seed
        self._marks = 0

    async def run(self) -> None:
        """Write until stopped."""
        await asyncio.gather(*(self._write(number) for number in range(self._clients)))

    async def _write(self, number: int) -> None:
        choose = random.Random(self._seed * 1_000 + number)
        own = [f"Patient/load-{number}-{person}" for person in range(PEOPLE)]
        async with httpx.AsyncClient(base_url=self._base + "/", timeout=20) as client:
            while not self.stop.is_set():
                self._marks += 1
                mark = self._marks
                draw = choose.random()
                if draw < 0.6:
                    await self._put(client, choose.choice(own), mark)
                elif draw < 0.7:
                    await self._delete(client, choose.choice(own), mark)
                else:
                    await self._transaction(client, choose.sample(own, 3), mark)

    async def _put(self, client: httpx.AsyncClient, address: str, mark: int) -> None:
        operation = self.log.intend(address, "put", mark)
        answer = await self._send(client, "PUT", address, _body(address, mark))
        if answer is not None:
            _acknowledge(operation, answer.headers["etag"])

    async def _delete(self, client: httpx.AsyncClient, address: str, mark: int) -> None:
        operation = self.log.intend(address, "delete", mark)
        answer = await self._send(client, "DELETE", address, None)
        if answer is not None:
            _acknowledge(operation, answer.headers.get("etag", 'W/"0"'))

    async def _transaction(self, client: httpx.AsyncClient, addresses: list[str], mark: int) -> None:
        operations = [self.log.intend(address, "put", mark) for address in addresses]
        self.log.transactions[mark] = tuple(addresses)
        entries = [{"resource": _body(each, mark), "request": {"method": "PUT", "url": each}} for each in addresses]
        answer = await self._send(
            client, "POST", "", {"resourceType": "Bundle", "type": "transaction", "entry": entries}
        )
        if answer is not None:
            for operation, entry in zip(operations, answer.json()["entry"], strict=True):
                _acknowledge(operation, entry["response"]["etag"])

    async def _send(self, client: httpx.AsyncClient, method: str, address: str, body: Any) -> httpx.Response | None:
        """The answer if it is an acknowledgement; None where nothing is known of the write."""
        try:
            answer = await client.request(method, address, json=body, headers=JSON)
        except httpx.TransportError:
            self.log.uncertain += 1
            await asyncio.sleep(0.05)
            return None
        if answer.is_success:
            self.log.heard()
            return answer
        self.log.uncertain += 1
        if answer.status_code != 503 or "retry-after" not in answer.headers:
            self.log.unexpected.append(f"{method} {address}: {answer.status_code} {answer.text[:300]}")
        await asyncio.sleep(0.05)
        return None


def _acknowledge(operation: Operation, etag: str) -> None:
    operation.version = int(etag[3:-1])


def _body(address: str, mark: int) -> dict[str, Any]:
    resource_type, _, id = address.partition("/")
    return {"resourceType": resource_type, "id": id, "identifier": [{"system": SYSTEM, "value": str(mark)}]}
