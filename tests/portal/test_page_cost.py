"""https://www.w3.org/TR/webpage-size/

An old phone on a slow line: what a page weighs with all it loads, and what it costs the server.
"""

import asyncio
import re

import httpx
import pytest

from tests.portal import crowd
from tests.portal.conftest import Town
from tests.portal.places import NOBODY, PAGES, PROVIDER, RECIPIENT, a_dose
from tests.processes import below, spent

MILLISECONDS, BYTES = 30, 60_000
CROWDED = 3
"""Times as dear the same work may be where everything else runs on the same two processors."""
TIMES = 8


@pytest.mark.parametrize("login", [NOBODY, RECIPIENT, PROVIDER])
async def test_a_page_is_small_and_cheap(town: Town, login: str) -> None:
    assert town.server.process is not None
    [worker] = [id for id, words in below(town.server.process.pid).items() if words[0] == "fhir-worker"]
    dose = await a_dose(town)
    async with town.visitor(login) as http:
        for path in (path.format(dose=dose) for whose, path in PAGES if whose == login):
            page = await http.get(path)
            assert page.status_code in (200, 400, 404), path
            loaded = set(re.findall(r'(?:src|href)="(/assets/[^"]+)"', page.text))
            assert len(page.content) + sum([await weight(http, each) for each in loaded]) <= BYTES, path
            # What others do on the machine makes the same work dearer: of two measurements the better one counts.
            assert min([await cost(http, path, worker), await cost(http, path, worker)]) <= CROWDED * MILLISECONDS, path


async def test_the_list_of_whom_to_call_costs_its_page(town: Town) -> None:
    """With 300 people, half of whom are due; and so does looking through them again."""
    assert town.server.process is not None
    [worker] = [id for id, words in below(town.server.process.pid).items() if words[0] == "fhir-worker"]
    await crowd.gather(town, 0, 300)
    async with town.visitor(PROVIDER) as http:
        async with asyncio.timeout(60):
            # The worker puts them on the list within some seconds.
            page = (await http.get("/clinic/due")).text
            while page.count('href="tel:') < 10:
                await asyncio.sleep(0.2)
                page = (await http.get("/clinic/due")).text
        assert "The list as of " in page and ">More<" in page
        for path in ("/clinic/due", "/clinic/due?everybody=true"):
            assert await weight(http, path) <= BYTES, path
            assert min([await cost(http, path, worker), await cost(http, path, worker)]) <= CROWDED * MILLISECONDS, path


async def weight(http: httpx.AsyncClient, path: str) -> int:
    return len((await http.get(path)).content)


async def cost(http: httpx.AsyncClient, path: str, worker: int) -> float:
    before = spent(worker)
    for _ in range(TIMES):
        await http.get(path)
    return 1_000 * (spent(worker) - before) / TIMES
