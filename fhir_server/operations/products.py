"""Which vaccine a code means: CVX from CVX, NDC and the systems of other countries' records.

https://www2.cdc.gov/vaccines/iis/iisstandards/vaccines.asp

The codes of SNOMED CT and ATC that European certificates write for COVID-19 vaccines name a kind, not a product; they
stand for the unspecified vaccine (data/vaccine-products.json, after the European Union's value set of vaccines and
the WHO's ATC index).
"""

from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from importlib.resources import files
from typing import Any

from fhir_server.fhir import json
from terminology import codes
from terminology.concept_map import MATCHING
from terminology.library import shipped
from terminology.systems import CVX, NDC, preferred

_UNKNOWN = "999"
"""CVX for a vaccine nobody knows: as good as no code."""


def cvx_of(concept: Mapping[str, Any]) -> str | None:
    """The CVX code a vaccineCode means: a COVID-19 vaccine where one of its codings or translations is, else the first
    that is known. None where none is."""
    found = list(dict.fromkeys(_translated(concept.get("coding", ()))))
    specific = [cvx for cvx in found if codes.is_covid_vaccine(cvx) and not codes.is_unspecified(cvx)]
    covid = [cvx for cvx in found if codes.is_covid_vaccine(cvx)]
    return next(iter([*specific, *covid, *found]), None)


def _translated(codings: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    for coding in codings:
        system, code = preferred(coding.get("system", "")), coding.get("code", "")
        try:
            if system == CVX and code.strip() != _UNKNOWN:
                yield codes.lookup(CVX, code).code
            elif system == NDC:
                yield from codes.product(code).cvx
            else:
                yield from _mapped(system, code)
        except codes.UnknownCodeError:
            continue


def _mapped(system: str, code: str) -> Iterator[str]:
    for url, known in _kinds().items():
        if url == system and code in known:
            yield known[code]
    for elements in _maps().get(system, ()):
        for target in elements.get(code, ()):
            if target.code and target.equivalence in MATCHING:
                yield target.code


@cache
def _kinds() -> Mapping[str, Mapping[str, str]]:
    found: dict[str, dict[str, str]] = json.parse((files(__package__) / "data" / "vaccine-products.json").read_bytes())
    return found


@cache
def _maps() -> Mapping[str, list[Mapping[str, Any]]]:
    """The correspondences that lead to CVX, by source system."""
    found: dict[str, list[Mapping[str, Any]]] = {}
    for one in shipped().maps():
        for group in one.groups:
            if preferred(group.target) == CVX:
                found.setdefault(preferred(group.source), []).append(group.elements)
    return found
