"""National Drug Codes: every spelling to eleven digits, 5-4-2 with hyphens.

https://www.fda.gov/drugs/drug-approvals-and-databases/national-drug-code-directory
"""

import re
from collections.abc import Container

_HYPHENATED = re.compile(r"(\d{4,5})-(\d{3,4})-(\d{1,2})", re.ASCII)
_SHAPES = ((4, 4, 2), (5, 3, 2), (5, 4, 1))
"""The ten-digit forms; each lacks one leading zero of the eleven-digit form in a different segment."""


def normalise(text: str, known: Container[str] = ()) -> str | None:
    """The 5-4-2 form, or None where the text is no NDC.

    Ten digits without hyphens can mean up to three different codes: the one in `known` is taken, and None is
    returned where none or several are.
    """
    text = text.strip()
    parts = _HYPHENATED.fullmatch(text)
    if parts is not None:
        lengths = tuple(map(len, parts.groups()))
        return _join(*parts.groups()) if lengths in (*_SHAPES, (5, 4, 2)) else None
    if not text.isascii() or not text.isdigit():
        return None
    if len(text) == 11:
        return _join(text[:5], text[5:9], text[9:])
    if len(text) != 10:
        return None
    candidates = {_join(text[:a], text[a : a + b], text[a + b :]) for a, b, _ in _SHAPES}
    found = [candidate for candidate in candidates if candidate in known]
    return found[0] if len(found) == 1 else None


def _join(labeler: str, product: str, package: str) -> str:
    return f"{labeler:0>5}-{product:0>4}-{package:0>2}"
