"""The checker: what the server holds against the operation log.

Every acknowledged write stands in the history at its version; what was not acknowledged stands there once or not at
all, in its place; versions have no gaps; a transaction is whole or absent; reads, searches and the system's history
tell the same story.
"""

import httpx

from tests.durability.load import SYSTEM
from tests.durability.log import Log, Operation
from tests.http.answers import everything, pages

Version = tuple[int, str, int]
"""Number, `put` or `delete`, mark (0 for a deletion)."""


async def faults(client: httpx.AsyncClient, log: Log) -> list[str]:
    """Sentences about everything that is not as it must be; none if all is well."""
    found = list(log.unexpected)
    marks: dict[int, set[str]] = {}
    feed = await _feed(client)
    for address, operations in log.operations.items():
        versions = await _versions(client, address)
        for _, _, mark in versions:
            marks.setdefault(mark, set()).add(address)
        found += [f"{address}: {fault}" for fault in _compare(versions, operations)]
        found += [f"{address}: {fault}" for fault in await _reads(client, address, versions)]
        if sorted(feed.get(address, [])) != [number for number, _, _ in versions]:
            found.append(f"{address}: the system's history has versions {feed.get(address)}, its own {versions}")
    for mark, addresses in log.transactions.items():
        present = marks.get(mark, set())
        if present and present != set(addresses):
            found.append(f"transaction {mark} wrote only {sorted(present)} of {addresses}")
    return found


def _compare(versions: list[Version], operations: list[Operation]) -> list[str]:
    found = []
    numbers = [number for number, _, _ in versions]
    if numbers != list(range(1, len(numbers) + 1)):
        found.append(f"versions {numbers} have gaps")
    acknowledged = {operation.version: operation for operation in operations if operation.version}
    remaining = iter(operations)
    for number, kind, mark in versions:
        for operation in remaining:
            # A deletion bears no mark: where one was acknowledged at this version, it is that one.
            if acknowledged.get(number, operation) is operation and _is(operation, number, kind, mark):
                break
            if operation.version:
                found.append(f"{operation} was acknowledged and is not there before version {number}")
        else:
            found.append(f"version {number} ({kind} {mark}) is nothing that was asked for next")
    found += [f"{operation} was acknowledged and is not there" for operation in remaining if operation.version]
    return found


def _is(operation: Operation, number: int, kind: str, mark: int) -> bool:
    same = operation.kind == kind and (kind == "delete" or operation.mark == mark)
    return same and operation.version in (None, number)


async def _versions(client: httpx.AsyncClient, address: str) -> list[Version]:
    """The versions of a resource, oldest first."""
    first = await client.get(f"{address}/_history?_count=200")
    if first.status_code == 404:
        return []
    found: list[Version] = []
    for page in await pages(client, f"{address}/_history?_count=200"):
        for entry in page["entry"]:
            number = int(entry["response"]["etag"][3:-1])
            if entry["request"]["method"] == "DELETE":
                found.append((number, "delete", 0))
            else:
                assert entry["resource"]["meta"]["versionId"] == str(number)
                found.append((number, "put", int(entry["resource"]["identifier"][0]["value"])))
    return found[::-1]


async def _reads(client: httpx.AsyncClient, address: str, versions: list[Version]) -> list[str]:
    """What read and search say of the current version."""
    answer = await client.get(address)
    if not versions or versions[-1][1] == "delete":
        expected = 410 if versions else 404
        return [] if answer.status_code == expected else [f"read answers {answer.status_code}, not {expected}"]
    number, _, mark = versions[-1]
    if answer.status_code != 200 or answer.headers["etag"] != f'W/"{number}"':
        return [f"read answers {answer.status_code} {answer.headers.get('etag')}, not version {number}"]
    if answer.json()["identifier"][0]["value"] != str(mark):
        return [f"read answers mark {answer.json()['identifier'][0]['value']}, not {mark}"]
    id = address.partition("/")[2]
    if id not in await everything(client, f"Patient?identifier={SYSTEM}|{mark}"):
        return [f"a search for mark {mark} does not find it"]
    return []


async def _feed(client: httpx.AsyncClient) -> dict[str, list[int]]:
    """The versions of every Patient in the history of the whole system."""
    found: dict[str, list[int]] = {}
    for page in await pages(client, "_history?_count=1000"):
        for entry in page.get("entry", []):
            address = "/".join(entry["fullUrl"].split("/")[-2:])
            found.setdefault(address, []).append(int(entry["response"]["etag"][3:-1]))
    return found
