"""Pasted: the text of a card as it comes out of messages, documents and readers, in the form that cards have.

https://hl7.org/fhir/uv/smart-health-cards-and-links/cards-specification.html#encoding-chunks-as-qr-codes

Pure. Mail programs break long lines, and people copy what stands around a code, too: none of it says anything against
the card, whose signature is checked all the same.
"""

import re

from fhir_server.http.portal.typed import seen
from smart_health_cards.qr import PREFIX

_MARK = b"\xef\xbb\xbf"
"""Before the text in files that some editors write."""
_CODE = re.compile(r"shc:/(?:\s*[0-9/])+", re.IGNORECASE | re.ASCII)
_JWS = re.compile(r"[\w-]+\.[\w-]+\.[\w-]+", re.ASCII)


def card_text(text: str) -> str:
    """Every `shc:/` code in the text on a line of its own, a broken JWS in one piece; anything else as it stands."""
    told = seen(text).strip()
    if told.startswith("{"):
        return told
    spaced = re.sub(r"\s", " ", told)
    codes = _CODE.findall(spaced)
    if codes:
        return "\n".join(PREFIX + "".join(code[len(PREFIX) :].split()) for code in codes)
    whole = "".join(told.split())
    return whole if _JWS.fullmatch(whole) else told


def card_file(content: bytes) -> bytes:
    """A file that was chosen, without the mark some editors begin it with."""
    return content.removeprefix(_MARK)
