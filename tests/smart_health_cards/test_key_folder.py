from pathlib import Path

import pytest

from smart_health_cards import CardError, Issuer, KeyFolder, TrustList, issue, verify
from tests.smart_health_cards.conftest import NOW, immunization

DAY = 86_400


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "keys"


def test_generated_key_is_private_published_and_signs(folder: Path) -> None:
    keys = KeyFolder(folder)
    record = keys.generate(NOW)
    assert folder.stat().st_mode & 0o777 == 0o700
    assert (folder / f"{record.kid}.pem").stat().st_mode & 0o777 == 0o600
    assert keys.signing_key(NOW).kid == record.kid
    assert [key["kid"] for key in keys.jwks()["keys"]] == [record.kid]
    assert "d" not in keys.jwks()["keys"][0]
    assert not [path for path in folder.iterdir() if path.name.startswith(".")]


def test_another_process_reads_the_same_keys(folder: Path) -> None:
    record = KeyFolder(folder).generate(NOW)
    assert KeyFolder(folder).signing_key(NOW).kid == record.kid


def test_a_new_key_is_published_before_it_signs(folder: Path) -> None:
    keys = KeyFolder(folder)
    first = keys.generate(NOW)
    second = keys.generate(NOW + DAY, publish_ahead=DAY)
    assert [record.kid for record in keys.records()] == [first.kid, second.kid]
    assert second.state(NOW + DAY) == "published"
    assert {key["kid"] for key in keys.jwks()["keys"]} == {first.kid, second.kid}
    assert keys.signing_key(NOW + DAY).kid == first.kid
    assert keys.signing_key(NOW + 2 * DAY).kid == second.kid
    assert second.state(NOW + 2 * DAY) == "active"


def test_retired_key_loses_its_private_part_and_stays_published(folder: Path) -> None:
    keys = KeyFolder(folder)
    record = keys.generate(NOW)
    assert keys.retire(record.kid, NOW + DAY).state(NOW + DAY) == "retired"
    assert not (folder / f"{record.kid}.pem").exists()
    assert [key["kid"] for key in keys.jwks()["keys"]] == [record.kid]
    with pytest.raises(CardError, match="no-signing-key"):
        keys.signing_key(NOW + DAY)


def test_compromised_key_is_withdrawn(folder: Path) -> None:
    keys = KeyFolder(folder)
    record = keys.generate(NOW)
    assert keys.compromise(record.kid, NOW).state(NOW) == "compromised"
    assert keys.jwks() == {"keys": []}
    with pytest.raises(CardError, match="key-unknown"):
        keys.retire("other", NOW)


def test_revocation_counter_is_published_with_its_key(folder: Path) -> None:
    keys = KeyFolder(folder)
    first, second = keys.generate(NOW), keys.generate(NOW + 1)
    published = {key["kid"]: key.get("crlVersion") for key in keys.jwks({first.kid: 3})["keys"]}
    assert published == {first.kid: 3, second.kid: None}


def test_passphrase_encrypts_at_rest(folder: Path) -> None:
    record = KeyFolder(folder, b"secret").generate(NOW)
    assert b"ENCRYPTED" in (folder / f"{record.kid}.pem").read_bytes()
    assert KeyFolder(folder, b"secret").signing_key(NOW).kid == record.kid
    with pytest.raises(CardError, match="key-passphrase"):
        KeyFolder(folder).signing_key(NOW)


def test_folder_that_others_may_enter_is_refused(folder: Path) -> None:
    KeyFolder(folder)
    folder.chmod(0o750)
    with pytest.raises(CardError, match="must be 0700"):
        KeyFolder(folder)


def test_private_key_that_others_may_read_is_refused(folder: Path) -> None:
    record = KeyFolder(folder).generate(NOW)
    (folder / f"{record.kid}.pem").chmod(0o640)
    with pytest.raises(CardError, match="must be 0600"):
        KeyFolder(folder).signing_key(NOW)


def test_damaged_folder_is_reported(folder: Path) -> None:
    keys = KeyFolder(folder)
    first, second = keys.generate(NOW), keys.generate(NOW + 1)
    (folder / f"{second.kid}.pem").write_bytes((folder / f"{first.kid}.pem").read_bytes())
    with pytest.raises(CardError, match="another key"):
        KeyFolder(folder).signing_key(NOW + 1)
    (folder / f"{second.kid}.pem").unlink()
    with pytest.raises(CardError, match="cannot be read"):
        KeyFolder(folder).signing_key(NOW + 1)
    (folder / f"{second.kid}.json").write_text("{")
    with pytest.raises(CardError, match="key record"):
        keys.records()


def test_rid_secret_is_made_once_and_kept_private(folder: Path) -> None:
    secret = KeyFolder(folder).rid_secret()
    assert len(secret) == 32
    assert KeyFolder(folder).rid_secret() == secret
    (folder / "rid.secret").chmod(0o644)
    with pytest.raises(CardError, match="key-folder-permissions"):
        KeyFolder(folder).rid_secret()


def test_the_first_of_two_processes_makes_the_secret(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first, late = KeyFolder(folder), KeyFolder(folder)
    secret = first.rid_secret()
    exists = Path.exists
    monkeypatch.setattr(Path, "exists", lambda path: path.name != "rid.secret" and exists(path))
    assert late.rid_secret() == secret
    assert sorted(path.name for path in folder.iterdir()) == ["rid.secret"]


def test_rotation_keeps_one_signing_and_retires_who_was_succeeded(folder: Path) -> None:
    keys = KeyFolder(folder)
    first, none = keys.rotate(NOW, 3_600)
    assert (first.active_from, none) == (NOW, [])
    second, none = keys.rotate(NOW + DAY, 3_600)
    assert none == [] and keys.signing_key(NOW + DAY).kid == first.kid
    third, retired = keys.rotate(NOW + 2 * DAY, 3_600)
    assert [record.kid for record in retired] == [first.kid]
    assert keys.signing_key(NOW + 2 * DAY).kid == second.kid
    assert {path.stem for path in folder.glob("*.pem")} == {second.kid, third.kid}


def test_ten_rotations_leave_all_of_two_thousand_cards_verifying(folder: Path, issuer: Issuer) -> None:
    keys = KeyFolder(folder)
    keys.rotate(NOW, 3_600)
    person = {"resourceType": "Patient", "id": "p1", "name": [{"family": "Li"}], "birthDate": "1990-01-01"}
    cards: list[tuple[str, int]] = []
    for year in range(1, 11):
        at = NOW + year * 365 * DAY
        for number in range(200):
            # Some are signed by the old key while the new one is published already, some after it has taken over.
            if number == 100:
                keys.rotate(at, 3_600)
            moment = at + number * 60
            one = immunization("2021-01-29", lot=f"{year}-{number}")
            issued = issue(issuer, keys.signing_key(moment), person, [one], not_before=moment, log=lambda entry: None)
            cards.append((issued.cards[0].jws, moment))
    trust = TrustList.from_jwks(issuer.iss, KeyFolder(folder).jwks())
    assert len({verify(card, trust, at)[0].verdict("signature").code for card, at in cards}) == 1
    assert all(verify(card, trust, at)[0].accepted for card, at in cards)
    assert len(trust.issuers[issuer.iss].keys) == 11
    assert len(list(folder.glob("*.pem"))) == 2


def test_a_key_ended_by_another_process_signs_no_more(folder: Path) -> None:
    keys = KeyFolder(folder)
    first = keys.generate(NOW)
    assert keys.signing_key(NOW).kid == first.kid
    second = KeyFolder(folder).generate(NOW)
    KeyFolder(folder).compromise(first.kid, NOW)
    assert keys.signing_key(NOW).kid == second.kid
    assert [key["kid"] for key in keys.jwks()["keys"]] == [second.kid]


def test_keys_are_encrypted_later(folder: Path) -> None:
    record = KeyFolder(folder).generate(NOW)
    protected = KeyFolder(folder, b"correct horse")
    with pytest.raises(CardError, match="key-passphrase"):
        protected.signing_key(NOW)
    assert protected.encrypt(None) == 1
    assert protected.encrypt(None) == 1
    assert protected.signing_key(NOW).kid == record.kid
    assert b"ENCRYPTED" in (folder / f"{record.kid}.pem").read_bytes()
    assert KeyFolder(folder, b"battery staple").encrypt(b"correct horse") == 1
    with pytest.raises(CardError, match="key-unreadable"):
        KeyFolder(folder, b"correct horse").signing_key(NOW)
