"""Sentences: what issues say, in the language of whoever reads them.

https://hl7.org/fhir/R4/operationoutcome-definitions.html#OperationOutcome.issue.details

A sentence is written in English where a request is refused. Its translation is found by its shape: a catalogue
(`locales/<language>/LC_MESSAGES/issues.po`) has it with named gaps, `'{name}' has no meaning at this address.`, and
what fills them is taken over, itself translated where it is such a sentence. Adding a language is adding a catalogue.
Only what is not read in English comes here (docs/decisions/0018-language-of-refusals.md).
"""

import re
from collections.abc import Iterator
from contextvars import ContextVar
from functools import cache, lru_cache
from importlib.resources import files
from pathlib import Path

from babel.messages.catalog import Catalog
from babel.messages.pofile import read_po

SOURCE = "en"
"""The language the sentences are written in."""
FOLDER = Path(str(files("fhir_server"))) / "locales"
reader: ContextVar[str] = ContextVar("reader", default=SOURCE)
"""The language of whoever reads the answer to this request, where it may hold sentences beside resources."""

_GAP = re.compile(r"(?<!\{)\{(\w+)\}")
_DEPTH = 3
"""A reason may quote a reason."""


def path(language: str) -> Path:
    """Where the catalogue of a language lies."""
    return FOLDER / language / "LC_MESSAGES" / "issues.po"


def catalogue(language: str) -> Catalog:
    """The catalogue of a language other than the source, as it is on disk."""
    with path(language).open("rb") as file:
        return read_po(file, language)


@cache
def languages() -> tuple[str, ...]:
    """The languages there are, that of the source first."""
    return (SOURCE, *sorted(found.parts[-3] for found in FOLDER.glob("*/LC_MESSAGES/issues.po")))


def said(sentence: str, language: str) -> str:
    """The sentence in this language; itself where its language has no catalogue, or that lacks it."""
    return sentence if language == SOURCE else _said(sentence, language)


@lru_cache(maxsize=512)
def _said(sentence: str, language: str) -> str:
    found, left = _found(sentence, language, _DEPTH)
    if left == len(sentence) and sentence.endswith("."):
        # A reason that stands alone, as a sentence of its own.
        for reason in (sentence[:-1], sentence[0].lower() + sentence[1:-1]):
            text, left = _found(reason, language, _DEPTH)
            if left < len(reason):
                return f"{text[0].upper()}{text[1:]}."
    return found


def _found(sentence: str, language: str, depth: int) -> tuple[str, int]:
    """The sentence in this language, and how many characters of it nobody has said before: as few as may be."""
    plain, shapes = _phrases(language)
    if sentence in plain:
        return plain[sentence], 0
    best, fewest = sentence, len(sentence)
    for shape, translation in shapes:
        match = shape.fullmatch(sentence)
        if match is not None:
            gaps = {name: (text, len(text)) for name, text in match.groupdict().items()}
            if depth:
                gaps = {name: _found(text, language, depth - 1) for name, (text, _) in gaps.items()}
            left = sum(count for _, count in gaps.values())
            if left < fewest:
                best, fewest = translation.format_map({name: text for name, (text, _) in gaps.items()}), left
    return best, fewest


@cache
def _phrases(language: str) -> tuple[dict[str, str], tuple[tuple[re.Pattern[str], str], ...]]:
    """The sentences without gaps, and the shapes of the others."""
    if not path(language).is_file():
        return {}, ()
    plain: dict[str, str] = {}
    shapes: list[tuple[re.Pattern[str], str]] = []
    for message in catalogue(language):
        english, other = str(message.id), str(message.string or "")
        if not english or not other:
            continue
        if english[0] in " ;":
            # It follows another sentence, or what is one.
            english, other = f"{{before}}{english}", f"{{before}}{other}"
        if _GAP.search(english) is None:
            plain[_plain(english)] = _plain(other)
        else:
            shapes.append((re.compile("".join(_pattern(english)), re.DOTALL), other))
    return plain, tuple(shapes)


def _pattern(sentence: str) -> Iterator[str]:
    """The regular expression of a sentence: each gap matches anything, and a second one of its name the same."""
    seen = set()
    for number, part in enumerate(_GAP.split(sentence)):
        if number % 2 == 0:
            yield re.escape(_plain(part))
        elif part in seen:
            yield f"(?P={part})"
        else:
            seen.add(part)
            yield f"(?P<{part}>.*?)"


def _plain(text: str) -> str:
    return text.replace("{{", "{").replace("}}", "}")
