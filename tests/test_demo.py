"""The demo: the whole story, played once over HTTP on a database of its own."""

import re
import subprocess
import sys

import pytest


@pytest.mark.slow
def test_the_story_is_told_to_its_end() -> None:
    command = [sys.executable, "-m", "fhir_server", "demo", "--check"]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    lines = [line for line in ran.stdout.splitlines() if line.startswith("✓")]
    assert len(lines) == 16
    assert all(re.search(r"\(\d+ ms\)$", line) for line in lines)
