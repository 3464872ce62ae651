"""Cards on one core: signed, verified, drawn a second, by CPU time.

https://hl7.org/fhir/uv/smart-health-cards-and-links/cards-specification.html
"""

import time
from collections.abc import Callable
from typing import Any

from smart_health_cards import Issuer, SigningKey, TrustList, issue, jws, png, prepare, release, verify
from smart_health_cards.fast_qr import matrix as fast

NOW = 1_720_000_000
RUNS = 5


def rows() -> list[tuple[str, float]]:
    """What is measured, and how often a second it is done: the best of RUNS, on a card of two doses."""
    key = SigningKey.generate()
    issuer = Issuer("https://health.example/shc", group_of=lambda dose: "COVID-19")
    person = {
        "resourceType": "Patient",
        "id": "p",
        "name": [{"family": "Li", "given": ["Ana"]}],
        "birthDate": "1990-01-01",
    }
    doses = [_dose("2021-01-29", "EL9261"), _dose("2021-02-19", "EN6200")]
    (draft,) = prepare(issuer, key.kid, person, doses, not_before=NOW).drafts
    card = release(draft, key).jws
    trust = TrustList.from_jwks(issuer.iss, {"keys": [key.public.jwk()]})
    public = key.public

    def check_signature() -> None:
        parts = jws.split(card)
        if not public.verifies(parts.signature, parts.signing_input):
            raise ValueError("the card does not verify")

    def report() -> None:
        if not verify(card, trust, NOW)[0].accepted:
            raise ValueError("the card is not accepted")

    def make() -> None:
        issue(issuer, key, person, doses, not_before=NOW, log=lambda entry: None)

    return [
        ("cards signed, each signature verified (JWS)", _rate(lambda: release(draft, key), 1_000)),
        ("cards issued: planned, checked, packed, signed", _rate(make, 500)),
        ("signatures of cards verified (JWS)", _rate(check_signature, 1_000)),
        ("cards verified, all six verdicts", _rate(report, 500)),
        ("QR code as PNG, qrcode", _rate(lambda: png(card), 20)),
        ("QR code as PNG, zxing-cpp", _rate(lambda: png(card, draw=fast), 100)),
    ]


def table() -> str:
    """The rows as Markdown."""
    lines = ["| cards, on one core | a second |", "|---|--:|"]
    return "\n".join([*lines, *(f"| {name} | {rate:,.0f} |" for name, rate in rows())])


def _rate(act: Callable[[], Any], times: int) -> float:
    best = float("inf")
    for _ in range(RUNS):
        begun = time.process_time()
        for _ in range(times):
            act()
        best = min(best, time.process_time() - begun)
    return times / best


def _dose(day: str, lot: str) -> dict[str, Any]:
    return {
        "resourceType": "Immunization",
        "status": "completed",
        "vaccineCode": {"coding": [{"system": "http://hl7.org/fhir/sid/cvx", "code": "208"}]},
        "patient": {"reference": "Patient/p"},
        "occurrenceDateTime": day,
        "lotNumber": lot,
        "performer": [{"actor": {"display": "Wake County Health"}}],
    }
