"""`fhir-server verify` for programs: --json, revocation lists, standard input."""

import json
import time
from pathlib import Path

from typer.testing import CliRunner

from fhir_server.cli import app
from smart_health_cards import Issuer, RevocationList, issue, png, rid
from tests.smart_health_cards.conftest import fixed_key, immunization


def test_json_with_and_without_a_revocation_list(tmp_path: Path) -> None:
    key, now = fixed_key(0x5EED), int(time.time())
    issuer = Issuer("https://health.example/shc", group_of=lambda dose: "covid-19")
    person = {"resourceType": "Patient", "name": [{"family": "Peña"}], "birthDate": "1950-01-01"}
    name = rid(bytes(32), key.kid, "p1")
    issued = issue(
        issuer, key, person, [immunization()], not_before=now, log=lambda entry: None, rid=lambda group: name
    )
    picture, keys, revoked = tmp_path / "card.png", tmp_path / "jwks.json", tmp_path / "crl.json"
    picture.write_bytes(png(issued.cards[0].jws))
    keys.write_text(json.dumps({"keys": [key.public.jwk(1)]}))
    revoked.write_text(json.dumps(RevocationList(key.kid, 0, {}).revoke(name, now + 1).document()))
    words = ["verify", "--json", "--issuer", issuer.iss, "--jwks", str(keys)]
    accepted = CliRunner().invoke(app, [*words, str(picture)])
    assert accepted.exit_code == 0
    told = json.loads(accepted.stdout)
    assert told["accepted"] is True and told["cards"][0]["content"]["name"] == "Peña"
    codes = {verdict["check"]: verdict["code"] for verdict in told["cards"][0]["verdicts"]}
    assert codes["revocation"] == "list-missing"
    refused = CliRunner().invoke(app, [*words, "--revocations", str(revoked), "-"], input=issued.cards[0].jws)
    assert refused.exit_code == 1
    codes = {verdict["check"]: verdict["code"] for verdict in json.loads(refused.stdout)["cards"][0]["verdicts"]}
    assert codes["revocation"] == "revoked"
    broken = CliRunner().invoke(app, [*words, "--revocations", str(picture), "-"], input="x")
    assert broken.exit_code == 1
