"""`fhir-server verify` for programs: --json, revocation lists, standard input, a signed directory."""

import json
import time
from pathlib import Path

from typer.testing import CliRunner

from fhir_server.cli import app
from smart_health_cards import Issuer, RevocationList, SigningKey, base64url, issue, png, rid, strict_json
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


def signed_directory(folder: Path, iss: str, key: SigningKey, signer: SigningKey) -> dict[str, str]:
    """A directory of one issuer, signed, and its signer's key, as files in a folder; the settings that name them."""
    snapshot = {"issuerInfo": [{"issuer": {"iss": iss, "name": "Example"}, "keys": [key.public.jwk()]}]}
    parts = ({"alg": "ES256", "kid": signer.kid}, snapshot)
    text = ".".join(base64url.encode(strict_json.minify(part)) for part in parts)
    directory, by = folder / "directory.jws", folder / "directory-key.json"
    directory.write_text(f"{text}.{base64url.encode(signer.sign(text.encode()))}")
    by.write_text(json.dumps(signer.public.jwk()))
    return {"FHIR_SERVER_CARD_DIRECTORY": str(directory), "FHIR_SERVER_CARD_DIRECTORY_KEY": str(by)}


def test_a_directory_counts_only_as_its_signer_wrote_it(tmp_path: Path) -> None:
    key, signer = fixed_key(0x5EED), fixed_key(0x516)
    issuer = Issuer("https://health.example/shc", group_of=lambda dose: "covid-19")
    person = {"resourceType": "Patient", "name": [{"family": "Peña"}], "birthDate": "1950-01-01"}
    (card,) = issue(issuer, key, person, [immunization()], not_before=int(time.time()), log=lambda entry: None).cards
    settings = signed_directory(tmp_path, issuer.iss, key, signer)
    words = ["verify", "--data", str(tmp_path), card.jws]
    assert CliRunner().invoke(app, words, env=settings).exit_code == 0
    given = ["--directory", settings["FHIR_SERVER_CARD_DIRECTORY"]]
    assert CliRunner().invoke(app, [*words, *given]).exit_code == 1, "a JWS is no plain snapshot"
    by = ["--directory-key", settings["FHIR_SERVER_CARD_DIRECTORY_KEY"]]
    assert CliRunner().invoke(app, [*words, *given, *by]).exit_code == 0
    signed_directory(tmp_path, issuer.iss, key, key)
    Path(settings["FHIR_SERVER_CARD_DIRECTORY_KEY"]).write_text(json.dumps(signer.public.jwk()))
    refused = CliRunner().invoke(app, words, env=settings)
    assert refused.exit_code == 1 and "not signed with the key" in refused.stderr
