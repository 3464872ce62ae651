"""Escapes: the separators of search values, and how a value keeps them for itself.

https://hl7.org/fhir/R4/search.html#escaping
"""

import re

_ESCAPED = re.compile(r"\\([\\,|$])")


def split(text: str, separator: str) -> list[str]:
    """The parts of `text` between separators that no backslash precedes; escapes stay as they are."""
    if "\\" not in text:
        return text.split(separator)
    parts, start, position = [], 0, 0
    while position < len(text):
        if text[position] == "\\":
            position += 2
            continue
        if text[position] == separator:
            parts.append(text[start:position])
            start = position + 1
        position += 1
    parts.append(text[start:])
    return parts


def unescape(text: str) -> str:
    r"""`text` with `\,`, `\|`, `\$` and `\\` resolved; a backslash before anything else stands for itself."""
    return _ESCAPED.sub(r"\1", text) if "\\" in text else text
