"""Clients from npm, each a script of tests/clients/npm that exits 0 when all it did went well.

https://github.com/Vermonster/fhir-kit-client and https://github.com/medplum/medplum
"""

import asyncio
import shutil
from pathlib import Path

import pytest

from tests.conftest import Server

FOLDER = Path(__file__).with_name("npm")

if not (FOLDER / "node_modules").is_dir() or shutil.which("node") is None:
    pytest.skip("the npm clients are not installed; `make test-clients` installs them", allow_module_level=True)


@pytest.mark.parametrize("script", ["fhir-kit-client.mjs", "medplum.mjs"])
async def test_story(server: Server, script: str) -> None:
    running = await asyncio.create_subprocess_exec(
        *("node", script, server.base), cwd=FOLDER, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    said, _ = await asyncio.wait_for(running.communicate(), 60)
    assert running.returncode == 0, said.decode()
