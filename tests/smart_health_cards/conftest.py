"""A fixed key, issuer, person and clock for the tests of the cards."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from smart_health_cards import Card, Issuer, SigningKey, TrustList, issue

NOW = 1_720_000_000  # 2024-07-03
EXAMPLES = Path(__file__).parents[2].parent / "shared" / "data" / "health-cards"


def fixed_key(secret: int) -> SigningKey:
    return SigningKey(ec.derive_private_key(secret, ec.SECP256R1()))


def immunization(day: str = "2021-01-29", *, lot: str = "0000007", code: str = "208", **more: Any) -> dict[str, Any]:
    return {
        "resourceType": "Immunization",
        "id": f"dose-{day}",
        "meta": {"versionId": "1", "security": [{"system": "http://example.org/labels", "code": "R"}]},
        "text": {"status": "generated", "div": "<div>dose</div>"},
        "status": "completed",
        "vaccineCode": {
            "text": "a vaccine",
            "coding": [
                {"system": "http://hl7.org/fhir/sid/ndc", "code": "59267-1000-01"},
                {"system": "http://hl7.org/fhir/sid/cvx", "code": code, "display": "a vaccine"},
            ],
        },
        "patient": {"reference": "Patient/p1", "display": "John"},
        "occurrenceDateTime": f"{day}T10:00:00-05:00",
        "primarySource": True,
        "lotNumber": lot,
        "manufacturer": {"display": "Pfizer Inc"},
        "protocolApplied": [{"doseNumberPositiveInt": 1}],
        "performer": [{"actor": {"reference": "Organization/o1", "display": "ABC General Hospital"}}],
        **more,
    }


@pytest.fixture(scope="session")
def examples() -> Path:
    if not EXAMPLES.is_dir():
        pytest.skip("the specification's example cards are not at hand (../shared/data/health-cards)")
    return EXAMPLES


@pytest.fixture(scope="session")
def key() -> SigningKey:
    return fixed_key(0x5EED)


@pytest.fixture(scope="session")
def issuer() -> Issuer:
    return Issuer("https://health.example/shc", group_of=lambda dose: "covid-19")


@pytest.fixture
def patient() -> dict[str, Any]:
    return {
        "resourceType": "Patient",
        "id": "p1",
        "identifier": [{"system": "urn:mrn", "value": "1"}],
        "name": [
            {"use": "old", "family": "Formerly"},
            {"use": "official", "family": "Anyperson", "given": ["John", "B."], "text": "John B. Anyperson"},
        ],
        "gender": "male",
        "birthDate": "1951-01-20",
        "telecom": [{"system": "phone", "value": "555"}],
    }


@pytest.fixture
def issue_one(key: SigningKey, issuer: Issuer, patient: dict[str, Any]) -> Callable[..., Card]:
    def make(*doses: dict[str, Any], **terms: Any) -> Card:
        terms = {"not_before": NOW, "log": lambda entry: None, **terms}
        (card,) = issue(issuer, key, patient, doses or (immunization(),), **terms).cards
        return card

    return make


@pytest.fixture(scope="session")
def trust(issuer: Issuer, key: SigningKey) -> TrustList:
    return TrustList.from_jwks(issuer.iss, {"keys": [key.public.jwk()]}, name="Example Health")
