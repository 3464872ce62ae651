"""The command line as a person meets it: help, refusals in sentences, verdicts, the doctor."""

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from fhir_server.serve import require_permitted
from fhir_server.settings import Settings
from smart_health_cards import SigningKey
from tests.conftest import Server
from tests.processes import below, living


def run(*words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run `fhir-server WORDS` and wait for its end."""
    command = [sys.executable, "-m", "fhir_server", *words]
    surrounding = {**os.environ, "COLUMNS": "200", **environment}
    return subprocess.run(command, capture_output=True, text=True, env=surrounding, timeout=60)


def test_help_names_every_command() -> None:
    ran = run("--help")
    assert ran.returncode == 0
    for command in ("serve", "demo", "import", "reindex", "verify", "doctor", "keys"):
        assert command in ran.stdout


def test_dev_is_refused_beyond_loopback(tmp_path: Path) -> None:
    ran = run("serve", "--dev", "--host", "0.0.0.0", "--data", str(tmp_path), "--port", "0")
    assert ran.returncode == 1
    assert "only on loopback" in ran.stderr


@pytest.mark.parametrize(
    "address", ["https://vaccines.example/fhir", "http://192.168.1.4:8000/fhir", "http://[::2]/fhir"]
)
def test_dev_is_refused_under_an_address_that_others_use(tmp_path: Path, address: str) -> None:
    ran = run("serve", "--dev", "--data", str(tmp_path), "--port", "0", FHIR_SERVER_BASE_URL=address)
    assert ran.returncode == 1
    told = " ".join(ran.stderr.split())
    assert f"not under {address}" in told
    assert "Leave out --dev, or leave out --base-url" in told
    assert not list(tmp_path.iterdir()), "nothing was begun"


@pytest.mark.parametrize("address", ["http://localhost:8000/fhir", "http://127.0.0.2/fhir", "https://[::1]/fhir", ""])
def test_dev_is_permitted_under_an_address_of_this_machine(address: str) -> None:
    require_permitted(Settings.model_validate({"dev": True, "base_url": address}))


def test_a_start_without_access_log_is_warned_of(caplog: pytest.LogCaptureFixture) -> None:
    for audit, warned in ((False, True), (None, False), (True, False)):
        caplog.clear()
        require_permitted(Settings.model_validate({"audit": audit}))
        assert ("not logged" in caplog.text) == warned


def test_a_wrong_setting_is_named() -> None:
    ran = run("serve", "--dev", "--port", "99999")
    assert ran.returncode == 2
    assert "setting port" in ran.stderr


def test_a_wrong_base_url_is_told_how_to_look() -> None:
    ran = run("serve", "--dev", "--base-url", "ftp://example.org")
    assert ran.returncode == 2
    assert "must look like https://host/fhir" in ran.stderr


def test_a_key_readable_by_others_stops_the_start(tmp_path: Path) -> None:
    keys = tmp_path / "keys"
    keys.mkdir(mode=0o755)
    ran = run("serve", "--dev", "--port", "0", "--data", str(tmp_path))
    assert ran.returncode == 1
    assert "chmod go=" in ran.stderr.replace("\n", " ")


def test_an_unreachable_mongodb_is_told(tmp_path: Path) -> None:
    uri = "mongodb://127.0.0.1:9/?serverSelectionTimeoutMS=300"
    ran = run("serve", "--dev", "--port", "0", "--data", str(tmp_path), MONGODB_URI=uri)
    assert ran.returncode == 1
    assert "database" in ran.stderr
    assert "Traceback" not in ran.stderr


def test_verify_accepts_the_specification_s_example(shared: Path) -> None:
    folder = shared / "health-cards"
    jwks, issuer = folder / "example-jwks.json", "https://spec.smarthealth.cards/examples/issuer"
    card = folder / "example-00-e-file.smart-health-card"
    ran = run("verify", str(card), "--jwks", str(jwks), "--issuer", issuer)
    assert ran.returncode == 0, ran.stdout
    assert "This card proves what it says." in ran.stdout
    assert "Anyperson" in ran.stdout


def test_verify_does_not_trust_an_unknown_issuer(shared: Path, tmp_path: Path) -> None:
    card = shared / "health-cards" / "example-00-d-jws.txt"
    ran = run("verify", card.read_text().strip(), "--data", str(tmp_path))
    assert ran.returncode == 1
    assert "Do not rely on it." in ran.stdout


@pytest.mark.parametrize("text", ["", "shc:/1", "hello", "shc:/" + "5676" * 10])
def test_verify_says_what_is_no_card(text: str, tmp_path: Path) -> None:
    ran = run("verify", text, "--data", str(tmp_path))
    assert ran.returncode == 1
    assert "Do not rely on it." in ran.stdout
    assert "Traceback" not in ran.stderr


def test_keys_are_made_and_listed(tmp_path: Path) -> None:
    assert run("keys", "generate", "--data", str(tmp_path)).returncode == 0
    assert run("keys", "generate", "--data", str(tmp_path)).returncode == 0
    listed = run("keys", "list", "--data", str(tmp_path)).stdout
    assert "active" in listed
    assert "published" in listed
    assert len(SigningKey.generate().kid) == 43


def test_doctor_says_what_it_runs_on(tmp_path: Path) -> None:
    assert run("keys", "generate", "--data", str(tmp_path)).returncode == 0
    ran = run("doctor", "--data", str(tmp_path))
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "embedded" in ran.stdout
    assert "pymongo" in ran.stdout
    assert "not encrypted" in " ".join(ran.stdout.split())


def test_import_without_a_server_is_told(tmp_path: Path) -> None:
    file = tmp_path / "patient.json"
    file.write_text('{"resourceType":"Patient"}')
    ran = run("import", str(file), "--server", "http://127.0.0.1:9/fhir")
    assert ran.returncode == 1
    assert "Is it running?" in ran.stderr


async def test_nothing_outlives_a_killed_server(tmp_path: Path) -> None:
    server = Server(tmp_path, "--workers", "2")
    await server.start()
    assert server.process is not None
    everything = below(server.process.pid)
    called = [words[0] for words in everything.values()]
    assert called.count("fhir-worker") == 2
    await server.stop(signal.SIGKILL)
    for _ in range(200):
        if not living(everything):
            break
        await asyncio.sleep(0.05)
    assert living(everything) == []
