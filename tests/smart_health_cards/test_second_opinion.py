"""Our cards as another implementation sees them: shc checks the signature of each."""

import io
import json
import random
import warnings
from collections.abc import Callable
from pathlib import Path

import pytest
import zxingcpp
from PIL import Image
from pyzbar import pyzbar

from smart_health_cards import Card, Issuer, SigningKey, TrustList, fast_qr, issue, numeric, png, qr, rid, verify
from tests.smart_health_cards.conftest import NOW, immunization
from tests.smart_health_cards.random_records import record

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


QR = zxingcpp.BarcodeFormats([zxingcpp.BarcodeFormat.QRCode])


@pytest.mark.parametrize("number", [20, pytest.param(1_000, marks=pytest.mark.long)])
def test_random_cards_verify_with_shc_and_are_read_by_both_readers(
    tmp_path: Path, key: SigningKey, issuer: Issuer, trust: TrustList, number: int, measured: Callable[[str], None]
) -> None:
    jwks = tmp_path / "jwks.json"
    jwks.write_text(json.dumps({"keys": [key.public.jwk()]}))
    chance = random.Random(number)
    for place in range(number):
        person, doses = record(chance)
        (card,) = issue(issuer, key, person, doses, not_before=NOW, log=lambda entry: None).cards
        assert len(card.jws) <= 1195
        assert decode_vc_from_local_issuer(card.jws, str(jwks))["vc"]["credentialSubject"]["fhirBundle"] == card.bundle
        assert verify(card.jws, trust, NOW)[0].accepted
        draw = (qr.matrix, fast_qr.matrix)[place % 2]
        picture = Image.open(io.BytesIO(png(card.jws, draw=draw))).convert("L")
        assert [code.text for code in zxingcpp.read_barcodes(picture, formats=QR)] == [numeric(card.jws)]
        assert [code.data.decode() for code in pyzbar.decode(picture, [pyzbar.ZBarSymbol.QRCODE])] == [
            numeric(card.jws)
        ]
    measured(f"{number:,} cards verified and read by both readers")
