"""What a holder presents - a text, a file, a link, a picture - and the JWS in it.

https://hl7.org/fhir/uv/smart-health-cards-and-links/cards-specification.html#presenting-health-cards-to-a-verifier
"""

from collections.abc import Sequence

from smart_health_cards import file, picture, qr
from smart_health_cards.error import CardError

__all__ = ["MAX_CARDS", "cards"]

MAX_CARDS = 100
"""That are looked at at once: each is unpacked, and its signature checked."""


def cards(data: bytes | str, *, chunks: bool = False) -> list[str | CardError]:
    """The JWS presented, at least one; nothing is said about their worth.

    Takes a JWS, `shc:/` text (one a line), the content of a `.smart-health-card` file, a deep link, or a PNG or
    JPEG. `chunks` accepts a card spread over several QR codes, which is deprecated. CardError is raised when there is
    no card, and stands in the place of a QR code that is unreadable among others.
    """
    if isinstance(data, bytes):
        if picture.is_picture(data):
            return _scanned(picture.read(data), chunks=chunks)
        data = _text(data)
    if len(data) > file.MAX_BYTES:
        raise CardError("presentation-too-large", "The text is larger than 1 MB.")
    text = data.strip()
    if not text:
        raise CardError("presentation-empty", "There is nothing to verify.")
    if text.startswith(qr.PREFIX):
        return _scanned(text.split(), chunks=chunks)
    if text.startswith("shlink:/") or "#shlink:/" in text:
        raise CardError("link-not-card", "This is a SMART Health Link. It leads to cards, but is none itself.")
    if text.startswith("https://"):
        return _within(file.read_deep_link(text))
    if text.startswith("{"):
        return _within(file.read(text.encode("utf-8", "surrogatepass")))
    return [text]


def _text(data: bytes) -> str:
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        raise CardError("presentation-unknown", "This is neither text nor a PNG or JPEG picture.") from None
    if text.startswith("\ufeff"):
        raise CardError("json-bom", "The text begins with a byte order mark.")
    return text


def _scanned(texts: Sequence[str], *, chunks: bool) -> list[str | CardError]:
    ours = [text for text in texts if text.startswith(qr.PREFIX)]
    if len(ours) > MAX_CARDS:
        raise _too_many()
    if not ours:
        if any("shlink:/" in text for text in texts):
            raise CardError("link-not-card", "This is a SMART Health Link. It leads to cards, but is none itself.")
        raise CardError("picture-without-card", "There is no QR code of a SMART Health Card in it.")
    if chunks and all("/" in text.removeprefix(qr.PREFIX) for text in ours):
        return [qr.join(ours)]
    return [_parsed(text) for text in ours]


def _within(found: Sequence[str]) -> list[str | CardError]:
    if len(found) > MAX_CARDS:
        raise _too_many()
    return [*found]


def _too_many() -> CardError:
    return CardError("presentation-too-large", f"These are more than {MAX_CARDS} cards.")


def _parsed(text: str) -> str | CardError:
    try:
        return qr.parse(text)
    except CardError as error:
        return error
