"""The QR code of a card: the `shc:/` text, its PNG and its SVG.

https://hl7.org/fhir/uv/smart-health-cards-and-links/cards-specification.html#encoding-qrs

Drawing costs milliseconds and signing microseconds: draw when somebody looks, and keep the picture by its content.
"""

import re
import struct
import zlib
from collections.abc import Callable, Sequence
from xml.sax.saxutils import escape

import qrcode
from qrcode.constants import ERROR_CORRECT_L
from qrcode.util import MODE_8BIT_BYTE, MODE_NUMBER, QRData

from smart_health_cards.error import CardError
from smart_health_cards.jws import MAX_QR_CHARACTERS

__all__ = ["PREFIX", "join", "matrix", "numeric", "parse", "png", "svg"]

PREFIX = "shc:/"
QUIET_ZONE = 4
"""Modules of white that the QR standard wants on every side."""

MAX_MODULES = 105
"""Modules on a side of version 22, the largest a card may need."""

Draw = Callable[[str], Sequence[Sequence[bool]]]

_LOWEST = ord("-")  # the first character of the base64url alphabet and the dot, in ASCII order
_CHARACTERS = ord("z") - _LOWEST + 1
_TO_DIGITS = {_LOWEST + n: f"{n:02d}" for n in range(_CHARACTERS)}
_DIGITS = re.compile(r"(?:[0-9]{2})+")
_CHUNK = re.compile(r"([1-9][0-9]?)/([1-9][0-9]?)/((?:[0-9]{2})+)")
_MAX_VERSION = 22
_MOST_DIGITS = 7_089
"""Of the largest QR code there is, version 40-L."""
_MASK = 0
"""Any of the eight masks is read by every reader, for the code itself says which one it has. The encoder's search
for the least penalised one takes four fifths of the drawing time and buys nothing here: it exists to break up even
areas, and compressed, signed data has none."""


def numeric(jws: str) -> str:
    """`shc:/` and two digits for every character. CardError `too-large-for-qr` above 1195 characters."""
    if len(jws) > MAX_QR_CHARACTERS:
        text = f"The card has {len(jws)} characters; one QR code of version {_MAX_VERSION} holds {MAX_QR_CHARACTERS}."
        raise CardError("too-large-for-qr", text)
    digits = jws.translate(_TO_DIGITS)
    if len(digits) != 2 * len(jws):
        raise CardError("not-a-jws", "The text has characters that no card has.")
    return PREFIX + digits


def parse(text: str) -> str:
    """The JWS in the text of one QR code.

    CardError `chunked` for a part of several, `numeric-digits` or `numeric-range` when the digits are none of ours.
    """
    digits = text.removeprefix(PREFIX)
    if _CHUNK.fullmatch(digits):
        raise CardError("chunked", "This QR code is one of several that make up a card, a form no longer in use.")
    return _characters(digits)


def join(texts: Sequence[str]) -> str:
    """The JWS in the texts of the QR codes it was spread over, in any order: deprecated, read but never written.

    CardError `chunk-malformed`, or `chunk-missing` when they are not exactly the parts of one card.
    """
    chunks = [_CHUNK.fullmatch(text.removeprefix(PREFIX)) for text in texts]
    parts: dict[int, str] = {}
    for chunk in chunks:
        if chunk is None:
            raise CardError("chunk-malformed", "One of the QR codes is not a part of a card.")
        parts[int(chunk[1])] = chunk[3]
    totals = {int(chunk[2]) for chunk in chunks if chunk is not None}
    if len(totals) != 1 or len(parts) != len(texts) or parts.keys() != set(range(1, totals.pop() + 1)):
        raise CardError("chunk-missing", "The QR codes are not all the parts of one card.")
    return "".join(_characters(parts[number]) for number in sorted(parts))


def matrix(text: str) -> list[list[bool]]:
    """The modules of the QR code, True for dark, without quiet zone: level L, at most version 22.

    `text` is what `numeric` gives; it makes two segments, `shc:/` as bytes and the digits as a number.
    """
    code = qrcode.QRCode(error_correction=ERROR_CORRECT_L, border=0, mask_pattern=_MASK)
    code.add_data(QRData(PREFIX.encode(), MODE_8BIT_BYTE))
    code.add_data(QRData(text.removeprefix(PREFIX).encode(), MODE_NUMBER))
    if code.version > _MAX_VERSION:
        raise CardError("too-large-for-qr", f"The card needs a QR code of version {code.version}.")
    code.make(fit=False)
    return [[bool(module) for module in row] for row in code.modules]


def png(jws: str, *, scale: int = 6, draw: Draw = matrix) -> bytes:
    """The QR code as a PNG of one bit a pixel, `scale` pixels a module. The same card gives the same bytes."""
    return draw_png(draw(numeric(jws)), scale)


def draw_png(dark: Sequence[Sequence[bool]], scale: int) -> bytes:
    """Modules, True for dark, as a PNG with its quiet zone. CardError `scale-out-of-range`."""
    if not 1 <= scale <= 50:
        raise CardError("scale-out-of-range", "A module is drawn 1 to 50 pixels wide.")
    side = (len(dark) + 2 * QUIET_ZONE) * scale
    quiet, pixels = "1" * (QUIET_ZONE * scale), ("1" * scale, "0" * scale)
    white = _row("1" * side)
    rows = [_row(quiet + "".join([pixels[module] for module in row]) + quiet) for row in dark]
    lines = [white * (QUIET_ZONE * scale), *(row * scale for row in rows), white * (QUIET_ZONE * scale)]
    header = struct.pack(">IIBBBBB", side, side, 1, 0, 0, 0, 0)
    chunks = (_chunk(b"IHDR", header), _chunk(b"IDAT", zlib.compress(b"".join(lines), 1)), _chunk(b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


def svg(jws: str, *, title: str = "SMART Health Card", draw: Draw = matrix) -> bytes:
    """The QR code as an SVG that fills its place, with crisp edges; `title` is what a screen reader says."""
    dark = draw(numeric(jws))
    side = len(dark) + 2 * QUIET_ZONE
    path = "".join(_runs(row, line) for line, row in enumerate(dark, start=QUIET_ZONE))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {side} {side}" role="img" shape-rendering="crispEdges">'
        f"<title>{escape(title)}</title>"
        f'<path fill="#fff" d="M0 0h{side}v{side}H0z"/><path d="{path}"/></svg>'
    ).encode()


def _characters(digits: str) -> str:
    if len(digits) > _MOST_DIGITS or not _DIGITS.fullmatch(digits):
        raise CardError(
            "numeric-digits",
            "After shc:/ there must be digits only, an even number of them, and as many as a QR code holds.",
        )
    values = [int(digits[n : n + 2]) for n in range(0, len(digits), 2)]
    if max(values) >= _CHARACTERS:
        raise CardError("numeric-range", "A pair of digits stands for no character that a card has.")
    return "".join(chr(value + _LOWEST) for value in values)


def _row(bits: str) -> bytes:
    padded = bits + "0" * (-len(bits) % 8)
    return b"\0" + int(padded, 2).to_bytes(len(padded) // 8, "big")


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def _runs(row: Sequence[bool], line: int) -> str:
    """The dark modules of a row as rectangles: one for each run of neighbours."""
    bits = "".join("1" if module else "0" for module in row)
    return "".join(
        f"M{run.start() + QUIET_ZONE} {line}h{len(run[0])}v1h-{len(run[0])}z" for run in re.finditer("1+", bits)
    )
