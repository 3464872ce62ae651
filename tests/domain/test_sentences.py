"""Every sentence exists in every language with the same gaps."""

import string
from datetime import date
from importlib.resources import files
from json import loads

import pytest

from fhir_server.domain import sentences

CATALOGUES = {
    language: loads((files("fhir_server.domain") / "data" / "sentences" / f"{language}.json").read_bytes())
    for language in sentences.LANGUAGES
}


def gaps(template: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(template) if name}


FAMILIES = [name for name, family in CATALOGUES["en"].items() if isinstance(family, dict)]


@pytest.mark.parametrize("family", FAMILIES)
def test_the_same_keys_and_gaps_in_both_languages(family: str) -> None:
    english, spanish = CATALOGUES["en"][family], CATALOGUES["es"][family]
    assert english.keys() == spanish.keys()
    for key in english:
        assert gaps(english[key]) == gaps(spanish[key]), key


def test_days_are_written_out() -> None:
    details = {"phase": "Grupo 2", "day": date(2021, 1, 14)}
    assert sentences.sentence("eligibility", "phase-not-open", "en", details) == "“Grupo 2” opens on January 14, 2021."
    assert (
        sentences.sentence("eligibility", "phase-not-open", "es", details)
        == "«Grupo 2» se abre el 14 de enero de 2021."
    )
    assert sentences.day(date(2021, 1, 14), "fr") == "January 14, 2021"
