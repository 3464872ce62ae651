"""Keys on the command line, and what a running server makes of them; issuers of their own."""

import json
import time
from pathlib import Path

import httpx
import pytest
from typer.testing import CliRunner, Result

from fhir_server.commands import keys, terminal
from smart_health_cards import Issuer, issue
from tests.conftest import Server
from tests.health_cards.conftest import People, dose
from tests.health_cards.test_issue import content
from tests.health_cards.test_verify_command import signed_directory
from tests.smart_health_cards.conftest import fixed_key, immunization

terminal.out.width = 200


def run(*words: str, **environment: str) -> Result:
    """`fhir-server keys WORDS`, within this process."""
    return CliRunner().invoke(keys.app, words, env=environment)


def kids(data: Path, *more: str) -> dict[str, str]:
    """The state of each key by its kid."""
    listed = run("list", "--data", str(data), *more).stdout
    rows = [line.split("│") for line in listed.splitlines() if line.startswith("│")]
    return {row[1].strip(): row[2].strip() for row in rows}


def test_the_life_of_a_key(tmp_path: Path) -> None:
    data = ("--data", str(tmp_path))
    assert run("rotate", *data).exit_code == 0
    (first,) = kids(tmp_path)
    assert run("rotate", *data, "--publish-ahead", "48").exit_code == 0
    states = kids(tmp_path)
    assert states.pop(first) == "active" and list(states.values()) == ["published"]
    ended = run("compromise", first, *data)
    assert "no longer verify" in ended.stdout and "no active key" in ended.stdout
    assert kids(tmp_path)[first] == "compromised"
    assert run("retire", *states, *data).exit_code == 0
    assert not list((tmp_path / "keys" / "cards").glob("*.pem"))
    for command in ("retire", "compromise"):
        for name in ("nobody", "-aoAz_jR9dXpFW60SuUwR3T2GrX7Pz0p5KKJ3LQAEVo"):
            unknown = run(command, name, *data)
            assert unknown.exit_code == 1 and "no such key" in unknown.stderr
    hasty = run("generate", *data, "--publish-ahead", "0.5")
    assert hasty.exit_code == 2


def test_encrypted_under_a_passphrase_from_a_private_file(tmp_path: Path) -> None:
    data, secret = tmp_path / "data", tmp_path / "passphrase"
    secret.write_text("correct horse\n")
    secret.chmod(0o644)
    refused = run("generate", "--data", str(data), FHIR_SERVER_CARD_PASSPHRASE=str(secret))
    assert refused.exit_code == 1 and "must not be accessible to others" in refused.stderr
    secret.chmod(0o600)
    made = run("generate", "--data", str(data), FHIR_SERVER_CARD_PASSPHRASE=str(secret))
    assert made.exit_code == 0, made.stderr
    (pem,) = (data / "keys" / "cards").glob("*.pem")
    assert b"ENCRYPTED" in pem.read_bytes() and pem.stat().st_mode & 0o777 == 0o600


async def test_a_running_server_follows_the_folder(own_server: Server) -> None:
    await own_server.start()
    async with httpx.AsyncClient(base_url=own_server.base + "/", timeout=30) as client:
        people = People(client, own_server.base.removesuffix("/fhir"))
        patient, _ = await people.person(dose(""))
        (card,) = await people.issue(patient)
        (first,) = kids(own_server.data)
        assert run("rotate", "--data", str(own_server.data)).exit_code == 0
        published, _ = await people.published()
        assert {key["kid"] for key in published["keys"]} == set(kids(own_server.data)) and len(published["keys"]) == 2
        assert run("compromise", first, "--data", str(own_server.data)).exit_code == 0
        published, _ = await people.published()
        assert first not in {key["kid"] for key in published["keys"]}
        answer = await client.get(f"Patient/{patient}/$health-cards-issue?credentialType=Immunization")
        assert answer.status_code == 503
        assert answer.json()["issue"][0]["details"]["coding"][0]["code"] == "no-card-key"
        assert card


async def test_what_an_issuer_publishes_is_for_everybody_s_scripts_and_caches(people: People) -> None:
    patient, _ = await people.person(dose(""))
    assert await people.issue(patient)
    body = {"resourceType": "Parameters", "parameter": [{"name": "reason", "valueString": "lost"}]}
    assert (await people.client.post(f"Patient/{patient}/$health-cards-revoke", json=body)).is_success
    _, lists = await people.published()
    addresses = {f"crl/{kid}.json": 60 for kid in lists} | {"jwks.json": 3_600}
    assert len(addresses) > 1
    for name, max_age in addresses.items():
        address = f"{people.origin}/shc/.well-known/{name}"
        for origin in ({}, {"origin": "https://verifier.example"}):
            answer = await people.client.get(address, headers=origin)
            # Said twice, browsers take neither.
            assert answer.headers.get_list("access-control-allow-origin") == ["*"]
            assert answer.headers["cache-control"] == f"public, max-age={max_age}"
        tag = answer.headers["etag"]
        for known in (tag, f"W/{tag}", f'"other", {tag}', "*"):
            assert (await people.client.get(address, headers={"if-none-match": known})).status_code == 304, known
        assert (await people.client.get(address, headers={"if-none-match": '"other"'})).status_code == 200


async def test_organizations_issue_in_their_own_name_and_others_are_trusted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    secret = tmp_path / "passphrase"
    secret.write_text("correct horse\n")
    secret.chmod(0o600)
    monkeypatch.setenv("FHIR_SERVER_CARD_TENANTS", json.dumps(["clinic-1", "clinic-2"]))
    monkeypatch.setenv("FHIR_SERVER_CARD_PASSPHRASE", str(secret))
    elsewhere = Issuer("https://health.example/shc", group_of=lambda dose: "covid-19")
    for name, value in signed_directory(tmp_path, elsewhere.iss, fixed_key(0x5EED), fixed_key(0x516)).items():
        monkeypatch.setenv(name, value)
    running = Server(tmp_path / "data")
    await running.start()
    try:
        async with httpx.AsyncClient(base_url=running.base + "/", timeout=30) as client:
            people = People(client, running.base.removesuffix("/fhir"))
            issued = {}
            for number, manager in enumerate(("clinic-1", "clinic-2", "somebody")):
                await client.put(f"Organization/{manager}", json={"resourceType": "Organization", "id": manager})
                organization = {"managingOrganization": {"reference": f"Organization/{manager}"}}
                patient, (given,) = await people.person(dose(""), **organization)
                (card,) = await people.issue(patient)
                issued[content(card)["iss"].removeprefix(people.origin)] = (card, patient, given)
                assert len(issued) == number + 1
            assert set(issued) == {"/shc", "/shc/clinic-1", "/shc/clinic-2"}
            sets = [(await people.published(people.origin + iss))[0]["keys"] for iss in issued]
            assert len({key["kid"] for found in sets for key in found}) == 3
            person = {"resourceType": "Patient", "name": [{"family": "Peña"}]}
            (other,) = issue(
                elsewhere, fixed_key(0x5EED), person, [immunization()], not_before=int(time.time()), log=print
            ).cards
            for card in (*(card for card, _, _ in issued.values()), other.jws):
                parameters = {"parameter": [{"name": "credential", "valueString": card}]}
                body = {"resourceType": "Parameters", **parameters}
                answer = (await client.post("$health-cards-verify", json=body)).json()
                assert answer["parameter"][0]["valueBoolean"] is True
            assert (await client.get(f"{people.origin}/shc/clinic-3/.well-known/jwks.json")).status_code == 404
    finally:
        assert await running.stop() == 0
