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

from smart_health_cards import Card, Issuer, SigningKey, TrustList, fast_qr, issue, numeric, png, rid, verify
from tests.smart_health_cards.conftest import NOW, immunization

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
LETTERS = "abcdefghijklmnñopqrstuvwxyzáéíóúüÅøßžŁẽ'- "


@pytest.mark.parametrize("number", [20, pytest.param(1_000, marks=pytest.mark.long)])
def test_random_cards_verify_with_shc_and_are_read_by_both_readers(
    tmp_path: Path, key: SigningKey, issuer: Issuer, trust: TrustList, number: int
) -> None:
    jwks = tmp_path / "jwks.json"
    jwks.write_text(json.dumps({"keys": [key.public.jwk()]}))
    chance = random.Random(number)

    def word(most: int) -> str:
        return "".join(chance.choice(LETTERS) for _ in range(chance.randint(1, most))).strip() or "x"

    for _ in range(number):
        person = {
            "resourceType": "Patient",
            "name": [{"family": word(30), "given": [word(20) for _ in range(chance.randint(1, 3))]}],
            "birthDate": f"{chance.randint(1920, 2020)}-{chance.randint(1, 12):02}-{chance.randint(1, 28):02}",
        }
        doses = [
            immunization(
                f"{chance.randint(2000, 2023)}-{chance.randint(1, 12):02}-{chance.randint(1, 28):02}",
                lot=f"{chance.getrandbits(40):x}",
                code=str(chance.choice((207, 208, 212, 213, 302))),
                performer=[{"actor": {"display": word(40)}}],
            )
            for _ in range(chance.randint(1, 14))
        ]
        (card,) = issue(issuer, key, person, doses, not_before=NOW, log=lambda entry: None).cards
        assert len(card.jws) <= 1195
        assert decode_vc_from_local_issuer(card.jws, str(jwks))["vc"]["credentialSubject"]["fhirBundle"] == card.bundle
        assert verify(card.jws, trust, NOW)[0].accepted
        picture = Image.open(io.BytesIO(png(card.jws, draw=fast_qr.matrix))).convert("L")
        assert [code.text for code in zxingcpp.read_barcodes(picture, formats=QR)] == [numeric(card.jws)]
        assert [code.data.decode() for code in pyzbar.decode(picture, [pyzbar.ZBarSymbol.QRCODE])] == [
            numeric(card.jws)
        ]
