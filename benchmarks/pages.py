"""Pages: CPU-milliseconds of every page for people, and what it weighs with all that it loads.

https://www.w3.org/TR/webpage-size/

On a server with authorization on, after the story of the demo and with some people more: a page asks the API of its
own process as its visitor, so that it costs what its requests cost, with their entries in the access log. The list of
people to call is measured for clinics of several sizes.
"""

import asyncio
import re
import tempfile
from pathlib import Path

import httpx

from benchmarks.load import children, cpu
from tests.portal import crowd
from tests.portal.conftest import founded
from tests.portal.places import NOBODY, PAGES, PROVIDER, RECIPIENT, a_dose

SIZES = (60, 300, 1_000)
"""People of the clinic, besides those of the story; all pages are measured with the fewest."""
CALLED = ("/clinic/due", "/clinic/due?everybody=true")
SETTLES_SECONDS = 45
"""After so many writes: by then they are on the call list, and what is done later about them is done."""
WARM, TIMES = 5, 60


async def rows() -> list[tuple[str, float, float, int]]:
    """Page, milliseconds of the server, of the database, and bytes."""
    with tempfile.TemporaryDirectory(prefix="fhir-server-pages-") as folder:
        async with founded(Path(folder)) as town:
            await crowd.gather(town, 0, SIZES[0])
            await asyncio.sleep(SETTLES_SECONDS)
            assert town.server.process is not None
            below = children(town.server.process.pid)
            server = [id for id, words in below.items() if words.startswith("fhir-worker ")]
            database = [id for id, words in below.items() if "--storage-path" in words]
            dose, found = await a_dose(town), []
            for login in (NOBODY, RECIPIENT, PROVIDER):
                async with town.visitor(login) as http:
                    for path in (path.format(dose=dose) for whose, path in PAGES if whose == login):
                        own, stored = await _cost(http, path, server, database)
                        found.append((f"`{path.replace(dose, '…')}`", own, stored, await weight(http, path)))
            for before, size in zip((0, *SIZES), SIZES, strict=False):
                await crowd.gather(town, before, size)
                await asyncio.sleep(SETTLES_SECONDS)
                async with town.visitor(PROVIDER) as http:
                    for path in CALLED:
                        own, stored = await _cost(http, path, server, database)
                        found.append((f"`{path}`, {size:,} people", own, stored, await weight(http, path)))
            return found


async def table() -> str:
    """The rows as Markdown."""
    lines = ["| page | server | database | together | bytes |", "|---|--:|--:|--:|--:|"]
    for path, own, stored, size in await rows():
        lines.append(f"| {path} | {own:.1f} | {stored:.1f} | **{own + stored:.1f}** | {size:,} |")
    return "\n".join(lines)


async def weight(http: httpx.AsyncClient, path: str) -> int:
    """Bytes of the page and of the style and scripts that it loads."""
    page = await http.get(path)
    loaded = set(re.findall(r'(?:src|href)="(/assets/[^"]+)"', page.text))
    return len(page.content) + sum([len((await http.get(each)).content) for each in loaded])


async def _cost(http: httpx.AsyncClient, path: str, server: list[int], database: list[int]) -> tuple[float, float]:
    for _ in range(WARM):
        await http.get(path)
    own, stored = cpu(server), cpu(database)
    for _ in range(TIMES):
        await http.get(path)
    return 1_000 * (cpu(server) - own) / TIMES, 1_000 * (cpu(database) - stored) / TIMES


if __name__ == "__main__":
    print(asyncio.run(table()))
