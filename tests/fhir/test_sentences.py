"""https://hl7.org/fhir/R4/operationoutcome-definitions.html#OperationOutcome.issue.details"""

import copy

import pytest
from babel.messages.catalog import Catalog

from fhir_server.fhir import sentences
from fhir_server.fhir.outcome import Issue, operation_outcome, refuse
from tools import refusals

LANGUAGES = [each for each in sentences.languages() if each != sentences.SOURCE]


@pytest.fixture(scope="module")
def said() -> Catalog:
    """All that the sources refuse with."""
    return refusals.said()


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_refusal_is_said_in_every_language(said: Catalog, language: str) -> None:
    """Add what lacks with `python -m tools.refusals`."""
    assert list(refusals.lacking(language, said)) == []


def test_what_lacks_is_told(said: Catalog) -> None:
    said = copy.deepcopy(said)  # others read it, too
    said.add("Something {new} is refused.")
    assert "not translated: 'Something {new} is refused.'" in refusals.lacking("es", said)


@pytest.mark.parametrize(
    ("english", "spanish"),
    [
        ("There is nothing at this address.", "No hay nada en esta dirección."),
        ("'shoe' has no meaning at this address.", "'shoe' no significa nada en esta dirección."),
        ("There is no Patient/1.", "No hay ningún Patient/1."),
        # A reason inside a sentence, which quotes what was sent.
        (
            "The search parameter date=x is not valid: 'x' is not a date or time that exists.",
            "El parámetro de búsqueda date=x no es válido: 'x' no es una fecha u hora que exista.",
        ),
        ("Patient has no search parameter shoe. It was ignored.", None),
        # What was sent may look like a pattern, a gap, or a sentence of ours.
        ("'{name}' has no meaning at this address.", "'{name}' no significa nada en esta dirección."),
        ("'.*\n(' has no meaning at this address.", "'.*\n(' no significa nada en esta dirección."),
        # A reason that stands alone.
        ("The value set 'urn:x' is not known here.", "El conjunto de valores 'urn:x' no se conoce aquí."),
        # Nobody has said this before: it stays as it is.
        ("Nothing of the kind, whatsoever.", "Nothing of the kind, whatsoever."),
    ],
)
def test_sentences_are_known_by_their_shape(english: str, spanish: str | None) -> None:
    assert sentences.said(english, "en") == english
    if spanish is None:
        assert sentences.said(english, "es").endswith("Se ha pasado por alto.")
    else:
        assert sentences.said(english, "es") == spanish
    assert sentences.said(english, "xx") == english


def test_outcomes_speak_the_readers_language() -> None:
    error = refuse(404, "not-found", "unknown-address", "There is nothing at this address.")
    assert operation_outcome(error.issues)["issue"][0]["details"]["text"] == "There is nothing at this address."
    assert operation_outcome(error.issues, "es")["issue"][0]["details"]["text"] == "No hay nada en esta dirección."
    token = sentences.reader.set("es")
    try:
        assert operation_outcome(error.issues)["issue"][0]["details"]["text"] == "No hay nada en esta dirección."
    finally:
        sentences.reader.reset(token)
    both = Issue("business-rule", "x", "In English.", (), "error", "En español.")
    assert operation_outcome([both], "es")["issue"][0]["details"]["text"] == "En español."
