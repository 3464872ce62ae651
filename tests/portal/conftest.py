"""A card, and a real browser: the system's Chromium, driven by Playwright."""

import shutil
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest
from playwright.async_api import Browser, async_playwright

from fhir_server.access import second_factor, users
from fhir_server.settings import Settings
from fhir_server.story import sample
from fhir_server.story.scenes import STEPS
from fhir_server.story.teller import Teller
from tests.conftest import Server
from tests.http.answers import JSON
from tests.oauth.browser import forms


@pytest.fixture(scope="session")
async def card(client: httpx.AsyncClient) -> str:
    """A card of this server about two doses of Ana María Peña, as JWS."""
    name = [{"family": "Peña", "given": ["Ana María"]}]
    person = {"resourceType": "Patient", "name": name, "birthDate": "1980-02-03"}
    made = await client.post("Patient", json=person, headers=JSON)
    assert made.status_code == 201, made.text
    for day, lot in (("2021-01-29", "EL9261"), ("2021-02-19", "EN6200")):
        dose = {
            "resourceType": "Immunization",
            "status": "completed",
            "vaccineCode": {"coding": [{"system": "http://hl7.org/fhir/sid/cvx", "code": "208"}]},
            "patient": {"reference": f"Patient/{made.json()['id']}"},
            "occurrenceDateTime": day,
            "primarySource": True,
            "lotNumber": lot,
        }
        assert (await client.post("Immunization", json=dose, headers=JSON)).status_code == 201
    asked = {"resourceType": "Parameters", "parameter": [{"name": "credentialType", "valueUri": "Immunization"}]}
    answer = await client.post(f"Patient/{made.json()['id']}/$health-cards-issue", json=asked, headers=JSON)
    found: list[str] = [part["valueString"] for part in answer.json()["parameter"] if "valueString" in part]
    return found[0]


@pytest.fixture
async def pages(client: httpx.AsyncClient) -> AsyncIterator[httpx.AsyncClient]:
    """An HTTP client at the portal's front page, for browsers that prefer English."""
    origin = str(client.base_url).removesuffix("/fhir/")
    async with httpx.AsyncClient(base_url=origin, timeout=30, headers={"accept-language": "en"}) as pages:
        yield pages


CAMERA = "camera.mjpeg"


@pytest.fixture(scope="session")
async def browser(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[tuple[Browser, Path]]:
    """Chromium, and the file that its camera sees."""
    program = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if program is None:
        pytest.skip("no Chromium on this machine (Debian: apt-get install chromium)")
    seen = tmp_path_factory.mktemp("camera") / CAMERA
    options = [
        "--no-sandbox",
        "--use-fake-ui-for-media-stream",
        "--use-fake-device-for-media-stream",
        f"--use-file-for-fake-video-capture={seen}",
    ]
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=program, args=options)
        yield browser, seen
        await browser.close()


@dataclass(frozen=True)
class Town:
    """A server with authorization on, after the story was told on it: its origin, and a browser for each visitor."""

    origin: str
    teller: Teller
    server: Server
    kept: dict[str, dict[str, str]] = field(default_factory=dict)
    """Cookies of staff who have signed in."""

    @asynccontextmanager
    async def visitor(self, login: str = "", language: str = "en") -> AsyncIterator[httpx.AsyncClient]:
        """A browser without scripts, signed in as one of the sample's people."""
        headers = {"accept-language": language}
        async with httpx.AsyncClient(base_url=self.origin, follow_redirects=True, timeout=30, headers=headers) as http:
            if login in self.kept:
                http.cookies.update(self.kept[login])
            elif login:
                await self.sign_in(http, login)
                if sample.PEOPLE[login].roles & users.STAFF:
                    self.kept[login] = dict(http.cookies)
            yield http

    async def sign_in(self, http: httpx.AsyncClient, login: str, goal: str = "/") -> httpx.Response:
        """The page behind the sign-in."""
        page = await http.get("/portal/login", params={"next": goal})
        form = forms(page)["login"]
        typed = {"username": login, "password": sample.PASSWORD}
        if sample.PEOPLE[login].roles & users.STAFF:
            # A code is good for once; so is the sign-in of each of the staff, whose cookies are kept.
            typed["code"] = second_factor.code_of(sample.TOTP, int(time.time()) // second_factor.STEP)
        return await http.post(form.action, data={**dict(form.fields), **typed})


@pytest.fixture(scope="session")
async def town(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Town]:
    """One for all tests of pages for people who have signed in."""
    async with founded(tmp_path_factory.mktemp("town")) as town:
        yield town


@asynccontextmanager
async def founded(folder: Path) -> AsyncIterator[Town]:
    """A server in this folder, after the story was told on it."""
    running = Server(folder, dev=False)
    await running.start()
    settings = Settings.model_validate({"data": folder, "base_url": running.base})
    async with httpx.AsyncClient(base_url=running.base + "/", timeout=60) as client:
        teller = Teller(client, time.time, await sample.settle(settings))
        for step in STEPS:
            await step(teller)
        yield Town(running.base.removesuffix("/fhir"), teller, running)
    assert await running.stop() == 0
