"""Our cards and revocations as kill-the-clipboard, from npm, sees them: offline, from a folder of files.

https://hl7.org/fhir/uv/smart-health-cards-and-links/cards-specification.html#revocation
"""

import json
import random
import shutil
import subprocess
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import pytest

from smart_health_cards import Issuer, RevocationList, SigningKey, TrustList, issue, rid, verify, write_file
from tests.smart_health_cards.conftest import NOW, fixed_key
from tests.smart_health_cards.random_records import record

NPM = Path(__file__).with_name("npm")
CARDS = 1_000
KEY = fixed_key(0x5EED)
ISSUER = Issuer("https://health.example/shc", group_of=lambda dose: "covid-19")

if not (NPM / "node_modules" / "kill-the-clipboard").is_dir() or shutil.which("node") is None:
    pytest.skip("kill-the-clipboard is not installed; `make test-clients` installs it", allow_module_level=True)


@dataclass(frozen=True)
class Folder:
    """What the script reads: directory.json, and cards under `valid` and `revoked`."""

    path: Path
    revocations: RevocationList

    def __post_init__(self) -> None:
        keys = [KEY.public.jwk(self.revocations.ctr)]
        info = {"issuer": {"iss": ISSUER.iss, "name": "x"}, "keys": keys, "crls": [self.revocations.document()]}
        (self.path / "directory.json").write_text(json.dumps({"issuerInfo": [info]}))
        for kind in ("valid", "revoked"):
            (self.path / kind).mkdir()

    @property
    def trust(self) -> TrustList:
        return TrustList.from_snapshot((self.path / "directory.json").read_bytes())

    def add(self, kind: str, name: str, card: str) -> None:
        (self.path / kind / f"{name}.smart-health-card").write_bytes(write_file([card]))

    def judged(self) -> tuple[int, str]:
        """The exit code of the script, and what it said."""
        done = subprocess.run(
            ["node", "kill-the-clipboard.mjs", self.path], cwd=NPM, capture_output=True, text=True, timeout=120
        )
        return done.returncode, done.stdout + done.stderr


def card(chance: random.Random, subject: str, not_before: int, key: SigningKey = KEY) -> str:
    person, doses = record(chance)
    (made,) = issue(
        ISSUER,
        key,
        person,
        doses,
        not_before=not_before,
        log=lambda entry: None,
        rid=lambda group: rid(bytes(32), KEY.kid, subject),
    ).cards
    return made.jws


def revocations(*subjects: tuple[str, int | None]) -> RevocationList:
    rids: dict[str, float | None] = {rid(bytes(32), KEY.kid, subject): before for subject, before in subjects}
    return RevocationList(KEY.kid, len(rids), rids)


def test_both_verifiers_accept_and_refuse_the_same_cards(tmp_path: Path) -> None:
    folder = Folder(tmp_path, revocations(("for good", None), ("corrected", NOW)))
    trust, chance, verdicts = folder.trust, random.Random(7), Counter[tuple[str, bool]]()
    for number in range(CARDS):
        # A card issued in place of a revoked one is dated a second later: see the next test.
        subject = ("kept", "for good", "corrected", "corrected")[number % 4]
        moment = NOW + (1, -1)[number % 4 == 2]
        made = card(chance, subject, moment)
        (report,) = verify(made, trust, NOW + 60)
        revocation = report.verdict("revocation")
        verdicts[revocation.code, report.accepted] += 1
        folder.add("revoked" if revocation.status == "fail" else "valid", str(number), made)
    assert verdicts == {("not-revoked", True): CARDS // 2, ("revoked", False): CARDS // 2}
    status, said = folder.judged()
    assert status == 0, said
    assert said.split("\n")[:2] == [f"kill-the-clipboard: {CARDS // 2} {kind}" for kind in ("valid", "revoked")]


def test_a_card_of_the_very_moment_of_revocation_is_refused_by_the_other_only(tmp_path: Path) -> None:
    """`rid.t` revokes what was issued before t; kill-the-clipboard also refuses t itself."""
    folder = Folder(tmp_path, revocations(("corrected", NOW)))
    made = card(random.Random(8), "corrected", NOW)
    assert verify(made, folder.trust, NOW)[0].accepted
    folder.add("revoked", "same-moment", made)
    status, said = folder.judged()
    assert status == 0, said


@pytest.mark.parametrize(
    ("kind", "subject", "key", "complaint"),
    [
        pytest.param("valid", "corrected", KEY, "SHCRevokedError", id="revoked-among-valid"),
        pytest.param("revoked", "kept", KEY, "was not refused as revoked", id="valid-among-revoked"),
        pytest.param("valid", "kept", fixed_key(0xBAD), "VerificationError", id="key-not-published"),
    ],
)
def test_the_script_fails_when_the_other_sees_a_card_otherwise(
    tmp_path: Path, kind: str, subject: str, key: SigningKey, complaint: str
) -> None:
    folder = Folder(tmp_path, revocations(("corrected", NOW)))
    folder.add(kind, "wrong", card(random.Random(9), subject, NOW - 1, key))
    status, said = folder.judged()
    assert status == 1
    assert complaint in said
