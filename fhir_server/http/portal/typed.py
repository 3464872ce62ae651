"""Typed: what people type and paste, without what nobody sees in it.

https://www.unicode.org/reports/tr36/#Bidirectional_Text_Spoofing

Address books and PDFs hand over marks of direction and of width with a name or a number. Who pasted them cannot see
them, let alone delete them; so they are left out, not complained of.
"""

import re
import unicodedata

_UNSEEN = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\xad\u200b\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\ufffe\uffff]"
)
"""Control characters but for tab and ends of lines, marks that turn the direction of others, and marks without width.
Joiners stay: words of some languages are spelled with them."""
_VISIBLE = frozenset("LMNPS")
"""First letters of the categories of what leaves ink."""


def seen(text: str) -> str:
    """The text without what cannot be seen; empty where nothing is left to see."""
    left = _UNSEEN.sub("", text)
    return left if any(unicodedata.category(character)[0] in _VISIBLE for character in left) else ""


def line(text: str) -> str:
    """The text as one line: without spaces around it, and one between words."""
    return " ".join(seen(text).split())
