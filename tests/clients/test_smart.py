"""SMART clients that others wrote, against a server with authorization: an app from npm, a backend service from PyPI.

https://github.com/smart-on-fhir/client-js and https://github.com/smart-on-fhir/smart-fetch
"""

import asyncio
import json
import os
import shutil
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from fhir_server import administering
from fhir_server.access.clients import registered
from fhir_server.settings import Settings
from fhir_server.store.engine.daemon import free_port
from fhir_server.story import sample
from fhir_server.story.sample import Sample
from fhir_server.story.signing_in import SystemAuth
from tests.conftest import Server
from tests.http.answers import JSON
from tests.oauth.browser import Browser, forms

NPM = Path(__file__).with_name("npm")
FETCH = shutil.which("smart-fetch", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}")

needs_npm = pytest.mark.skipif(
    not (NPM / "node_modules" / "fhirclient").is_dir() or shutil.which("node") is None,
    reason="the npm clients are not installed; `make test-clients` installs them",
)
needs_fetch = pytest.mark.skipif(FETCH is None, reason="smart-fetch is not installed; `make test-clients` installs it")


@pytest.fixture(scope="module")
async def secured(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[tuple[Server, Sample]]:
    """A server with authorization, the sample people and systems, and a person with a dose."""
    if FETCH is None and not (NPM / "node_modules" / "fhirclient").is_dir():
        pytest.skip("neither client is installed; `make test-clients` installs them")
    running = Server(tmp_path_factory.mktemp("secured"), dev=False)
    await running.start()
    taking_part = await sample.settle(Settings.model_validate({"data": running.data, "base_url": running.base}))
    auth = SystemAuth(running.base, "state-registry", taking_part.keys["state-registry"])
    patient = {"resourceType": "Patient", "id": "demo-ruth", "name": [{"family": "Whitfield"}]}
    dose = {
        "resourceType": "Immunization",
        "id": "dose",
        "status": "completed",
        "vaccineCode": {"coding": [{"system": "http://hl7.org/fhir/sid/cvx", "code": "208"}]},
        "patient": {"reference": "Patient/demo-ruth"},
        "occurrenceDateTime": "2021-01-20",
    }
    async with httpx.AsyncClient(base_url=running.base + "/", auth=auth) as registry:
        for resource in (patient, dose):
            address = f"{resource['resourceType']}/{resource['id']}"
            assert (await registry.put(address, json=resource, headers=JSON)).status_code == 201
    yield running, taking_part
    assert await running.stop() == 0


@needs_npm
async def test_fhirclient_launches_reads_and_refreshes(secured: tuple[Server, Sample]) -> None:
    server, _ = secured
    port = free_port()
    origin = f"http://127.0.0.1:{port}"
    scopes = "openid fhirUser launch/patient offline_access patient/*.rs"
    app = {"id": "client-js", "redirect_uris": [f"{origin}/callback"], "scopes": scopes}
    async with administering.opened(Settings.model_validate({"data": server.data, "base_url": server.base})) as context:
        await administering.register(context.authority, registered(app))
    running = await asyncio.create_subprocess_exec(
        *("node", "fhirclient.mjs", server.base, "client-js", str(port)), cwd=NPM, stdout=asyncio.subprocess.PIPE
    )
    try:
        assert running.stdout is not None
        assert await asyncio.wait_for(running.stdout.readline(), 30) == b"ready\n"
        async with httpx.AsyncClient(base_url=server.base.removesuffix("/fhir"), timeout=60) as http:
            browser = Browser(http, sample.PASSWORD)
            sent = await http.get(f"{origin}/launch")
            assert sent.status_code == 302, sent.text
            page = await browser.log_in(await http.get(sent.headers["location"]), "ruth")
            back = await browser.post(forms(page)["consent"], {"decision": "allow"})
            answer = await http.get(back.headers["location"])
        assert answer.status_code == 200, answer.text
        said = answer.json()
    finally:
        running.terminate()
        await running.wait()
    assert (said["patient"], said["again"], said["doses"]) == ("demo-ruth", "demo-ruth", 1)
    assert said["user"] in ("Patient/demo-ruth", f"{server.base}/Patient/demo-ruth")
    assert set(said["granted"].split()) == set(scopes.split())
    assert said["refreshed"] is True


@needs_fetch
async def test_smart_fetch_gets_a_backend_token_and_reads(secured: tuple[Server, Sample], tmp_path: Path) -> None:
    server, taking_part = secured
    key = json.loads((taking_part.folder / "state-registry.jwk").read_text())
    file = tmp_path / "key.jwks"
    file.write_text(json.dumps({"keys": [{**key, "key_ops": ["sign"]}]}))
    command = (str(FETCH), "single", "--fhir-url", server.base, "--smart-client-id", "state-registry")
    running = await asyncio.create_subprocess_exec(
        *(*command, "--smart-key", str(file), "--compact", "Patient/demo-ruth"),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    said, _ = await asyncio.wait_for(running.communicate(), 60)
    assert running.returncode == 0, said.decode()
    assert b'"demo-ruth"' in said
