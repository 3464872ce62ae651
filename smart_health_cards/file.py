"""The `.smart-health-card` file and the deep link that carries the same JSON.

https://hl7.org/fhir/uv/smart-health-cards-and-links/cards-specification.html#via-file-download
"""

from collections.abc import Sequence
from urllib.parse import quote, unquote

from smart_health_cards import strict_json
from smart_health_cards.error import CardError

__all__ = ["EXTENSION", "MAX_BYTES", "MEDIA_TYPE", "deep_link", "read", "read_deep_link", "write"]

MEDIA_TYPE = "application/smart-health-card"
EXTENSION = ".smart-health-card"
MAX_BYTES = 1024 * 1024
"""A larger file is refused unread."""


def write(cards: Sequence[str]) -> bytes:
    """The file that holds these JWS."""
    return strict_json.minify({"verifiableCredential": list(cards)})


def read(data: bytes) -> list[str]:
    """The JWS in a file, as they stand there; CardError when it is no such file. Unknown members are ignored."""
    if len(data) > MAX_BYTES:
        raise CardError("file-too-large", "The file is larger than 1 MB.")
    cards = strict_json.parse(data, "The file").get("verifiableCredential")
    if not isinstance(cards, list) or not cards or not all(isinstance(card, str) for card in cards):
        raise CardError("file-no-cards", "The file holds no list of cards (verifiableCredential).")
    return cards


def deep_link(base: str, cards: Sequence[str]) -> str:
    """A link that hands the cards to an app: they stand in the fragment, which no browser sends to a server."""
    if not base.startswith("https://") or "#" in base:
        raise CardError("deep-link-base", "A deep link starts with an https address without a fragment.")
    return f"{base}#{quote(write(cards), safe='')}"


def read_deep_link(link: str) -> list[str]:
    """The JWS in a deep link; CardError when its fragment holds none."""
    return read(unquote(link.partition("#")[2]).encode("utf-8", "surrogatepass"))
