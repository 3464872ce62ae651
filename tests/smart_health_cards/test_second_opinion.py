"""Our cards as another implementation sees them: shc checks the signature of each."""

import json
import warnings
from collections.abc import Callable
from pathlib import Path

from smart_health_cards import Card, SigningKey, rid
from tests.smart_health_cards.conftest import immunization

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # python-jose, which shc rests on, warns on import
    from shc.utils import decode_vc_from_local_issuer


def test_shc_verifies_our_cards(tmp_path: Path, key: SigningKey, issue_one: Callable[..., Card]) -> None:
    jwks = tmp_path / "jwks.json"
    jwks.write_text(json.dumps({"keys": [key.public.jwk(1)]}))
    for n in range(1, 8):
        doses = [immunization(f"2021-01-{day:02d}") for day in range(1, n + 1)]
        card = issue_one(*doses, rid=lambda group: rid(bytes(32), key.kid, group))
        claims = decode_vc_from_local_issuer(card.jws, str(jwks))
        assert claims["vc"]["credentialSubject"]["fhirBundle"] == card.bundle
        assert len(card.bundle["entry"]) == n + 1
