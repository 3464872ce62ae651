"""https://www.gnu.org/software/gettext/manual/html_node/PO-Files.html

Every sentence is said in every language, dates are written as CLDR has it, and a header's preference is understood.
"""

import copy
from datetime import date, datetime

import pytest
from babel.messages.catalog import Catalog

from fhir_server import languages
from tools import messages


@pytest.fixture(scope="module")
def said() -> Catalog:
    """All that the sources say."""
    return messages.said()


@pytest.mark.parametrize("language", [each for each in languages.languages() if each != languages.SOURCE])
def test_every_sentence_is_said(said: Catalog, language: str) -> None:
    assert list(messages.lacking(language, said)) == []


def test_what_lacks_is_told(said: Catalog) -> None:
    said = copy.deepcopy(said)  # others read it, too
    said.add("Something new")
    assert list(messages.lacking("es", said)) == ["not translated: 'Something new'"]
    said.delete("Something new")
    said.delete("Check a card")
    assert list(messages.lacking("es", said)) == ["said nowhere: 'Check a card'"]


def test_sentences_with_days() -> None:
    assert languages.say("Check a card", "es") == "Comprobar una tarjeta"
    assert languages.say("Check a card", "fr") == "Check a card"
    assert languages.say("From {day} on", "es", {"day": date(2021, 1, 4)}) == "From 4 de enero de 2021 on"
    assert languages.day(date(2021, 1, 4), "en") == "January 4, 2021"
    assert languages.hour(datetime(2021, 1, 4, 14, 30), "en").replace("\u202f", " ") == "2:30 PM"
    assert languages.hour(datetime(2021, 1, 4, 14, 30), "es") == "14:30"
    assert [languages.own_name(language) for language in languages.languages()] == ["English", "español"]


@pytest.mark.parametrize(
    ("header", "language"),
    [
        ("", "en"),
        ("es", "es"),
        ("es-MX,es;q=0.9,en;q=0.8", "es"),
        ("fr,es;q=0.2", "es"),
        ("en;q=0.5, es;q=0.7", "es"),
        ("de", "en"),
        ("es;q=high", "en"),
        ("es;q=0", "en"),
        ("en; q=0.2 , es ; q=0.9", "es"),
    ],
)
def test_what_a_browser_prefers(header: str, language: str) -> None:
    assert languages.preferred(header) == language
