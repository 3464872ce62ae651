"""The specification's own example cards, read and judged with their issuer's published keys."""

import json
from pathlib import Path

import pytest

from smart_health_cards import TrustList, verify

ISS = "https://spec.smarthealth.cards/examples/issuer"
ISSUED, EXPIRED = 1_715_107_764, 1_746_643_764


@pytest.fixture(scope="module")
def spec(examples: Path) -> TrustList:
    return TrustList.from_jwks(ISS, (examples / "example-jwks.json").read_bytes())


@pytest.mark.parametrize("name", ["00", "01", "02", "03"])
@pytest.mark.parametrize("form", ["d-jws.txt", "e-file.smart-health-card", "f-qr-code-numeric-value-0.txt"])
def test_example_verifies(examples: Path, spec: TrustList, name: str, form: str) -> None:
    presented = (examples / f"example-{name}-{form}").read_bytes()
    (report,) = verify(presented, spec, ISSUED)
    if (name, form[0]) == ("02", "f"):  # one of three codes: only the whole set makes a card
        assert report.verdict("format").code == "chunked"
        return
    assert report.accepted
    assert report.bundle == json.loads((examples / f"example-{name}-a-fhirBundle.json").read_bytes())


@pytest.mark.parametrize(
    ("at", "code"), [(ISSUED - 10, "not-yet-valid"), (EXPIRED - 1, "in-force"), (EXPIRED, "expired")]
)
def test_example_03_has_its_time(examples: Path, spec: TrustList, at: int, code: str) -> None:
    (report,) = verify((examples / "example-03-d-jws.txt").read_bytes(), spec, at)
    assert report.verdict("validity").code == code
    assert report.accepted is (code == "in-force")


def test_profile_verdicts(examples: Path, spec: TrustList) -> None:
    codes = {}
    for name in ("00", "01", "02", "03"):
        (report,) = verify((examples / f"example-{name}-d-jws.txt").read_bytes(), spec, ISSUED)
        codes[name] = report.verdict("profile").code
    assert codes == {"00": "minimal-form", "01": "minimal-form", "02": "not-a-vaccination-card", "03": "minimal-form"}


def test_content_of_an_example(examples: Path, spec: TrustList) -> None:
    (report,) = verify((examples / "example-00-d-jws.txt").read_bytes(), spec, ISSUED)
    assert report.content is not None
    assert (report.content.name, report.content.birth_date) == ("John B. Anyperson", "1951-01-20")
    assert [(dose.date, dose.code) for dose in report.content.doses][:2] == [
        ("2021-01-01", "207"),
        ("2021-01-29", "207"),
    ]


def test_revocation_of_an_example(examples: Path) -> None:
    jwks = (examples / "example-jwks.json").read_bytes()
    kid = json.loads(jwks)["keys"][0]["kid"]
    codes = {}
    for entry in ("vwAjHdarZuc", "vwAjHdarZuc.1715107764", "vwAjHdarZuc.1715107763", "MKyCxh7p6uQ"):
        crl = {"kid": kid, "method": "rid", "ctr": 1, "rids": [entry]}
        trust = TrustList.from_jwks(ISS, jwks, revocations=[crl])
        (report,) = verify((examples / "example-03-d-jws.txt").read_bytes(), trust, ISSUED)
        codes[entry] = report.verdict("revocation").code
    assert list(codes.values()) == ["revoked", "revoked", "not-revoked", "not-revoked"]
