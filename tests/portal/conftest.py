"""A card, and a real browser: the system's Chromium, driven by Playwright."""

import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from playwright.async_api import Browser, async_playwright

from tests.http.answers import JSON


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
