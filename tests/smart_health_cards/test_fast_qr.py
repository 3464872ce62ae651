"""The accelerator: what it draws is read like what qrcode draws, by both readers, in the same version."""

import io
import random

import pytest
import zxingcpp
from PIL import Image
from pyzbar import pyzbar

from smart_health_cards import CardError, fast_qr, numeric, png, qr, svg

ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_."


def texts() -> list[str]:
    chance = random.Random(7)
    return ["".join(chance.choice(ALPHABET) for _ in range(length)) for length in (1, 90, 400, 801, 1195)]


@pytest.mark.parametrize("jws", texts(), ids=len)
def test_both_draw_what_both_readers_read(jws: str) -> None:
    assert len(fast_qr.matrix(numeric(jws))) == len(qr.matrix(numeric(jws)))
    for draw in (qr.matrix, fast_qr.matrix):
        picture = Image.open(io.BytesIO(png(jws, draw=draw))).convert("L")
        assert [code.text for code in zxingcpp.read_barcodes(picture)] == [numeric(jws)]
        assert [code.data.decode() for code in pyzbar.decode(picture)] == [numeric(jws)]


def test_largest_card_stays_in_version_22() -> None:
    jws = texts()[-1]
    assert len(fast_qr.matrix(numeric(jws))) == qr.MAX_MODULES == 4 * 22 + 17
    with pytest.raises(CardError, match="too-large-for-qr"):
        fast_qr.matrix("shc:/" + "56" * 1300)


def test_without_the_accelerator_qrcode_draws(monkeypatch: pytest.MonkeyPatch) -> None:
    text = numeric(texts()[1])
    monkeypatch.setitem(__import__("sys").modules, "zxingcpp", None)
    assert fast_qr.matrix(text) == qr.matrix(text)
    assert svg(texts()[1], draw=fast_qr.matrix) == svg(texts()[1])
