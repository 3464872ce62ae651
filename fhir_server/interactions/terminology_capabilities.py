"""Terminology capabilities: which code systems are held here, and what can be asked of them.

https://hl7.org/fhir/R4/terminologycapabilities.html

Made from what ships; code systems that users store are served as well, without being listed.
"""

from collections.abc import Iterator
from functools import lru_cache
from typing import Any

from fhir_server import __version__
from fhir_server.fhir import json
from fhir_server.interactions.reply import Reply
from fhir_server.settings import Settings
from terminology.library import Terminology, shipped
from terminology.systems import CVX, MVX, NDC, OWN, RACE_ETHNICITY

EXPANSION = (
    *("url", "valueSet", "valueSetVersion", "context", "filter", "date", "offset", "count", "includeDesignations"),
    *("designation", "includeDefinition", "activeOnly", "excludeNotForUI", "displayLanguage", "exclude-system"),
    *("system-version", "check-system-version", "force-system-version"),
)
"""Parameters of $expand that make a difference."""

_DETAILED = (CVX, MVX, NDC, RACE_ETHNICITY)
_FILTERS = ("=", "in", "not-in", "exists")
_HIERARCHY = ("is-a", "descendent-of", "is-not-a", "generalizes", "=", "in", "not-in")


def statement(settings: Settings, released: str) -> Reply:
    """200 with the TerminologyCapabilities of the server with these settings, last changed on the day `released`."""
    return Reply(200, _statement(settings.base, released))


@lru_cache(maxsize=4)
def _statement(base: str, released: str) -> bytes:
    return json.dump(
        {
            "resourceType": "TerminologyCapabilities",
            "name": "VaccinationTerminology",
            "title": "Terminology of the FHIR server for vaccination",
            "status": "active",
            "date": released,
            "publisher": "The FHIR server for vaccination project",
            "kind": "instance",
            "software": {"name": "FHIR server for vaccination", "version": __version__},
            "implementation": {"description": "Vaccine codes, and what FHIR R4 and US Core bind to", "url": base},
            "codeSystem": list(_systems(shipped())),
            "expansion": {
                "hierarchical": False,
                "paging": True,
                "incomplete": True,
                "parameter": [{"name": name} for name in EXPANSION],
                "textFilter": "Every word of the filter occurs in the code or a name, case and accents aside.",
            },
            "codeSearch": "all",
            "validateCode": {"translations": True},
            "translation": {"needsMap": False},
        }
    )


def _systems(held: Terminology) -> Iterator[dict[str, Any]]:
    for url in sorted(held.code_systems):
        versions = held.code_systems.versions(url)
        listed = [
            {**({"code": version} if version else {}), "isDefault": number == 0}
            for number, version in enumerate(versions)
        ]
        if url in _DETAILED or url.startswith(OWN):
            listed[0] |= _detailed(held, url)
        yield {"uri": url, "version": listed}


def _detailed(held: Terminology, url: str) -> dict[str, Any]:
    """Languages, filters and properties of what is ours to know closely."""
    system = held.code_system(url)
    assert system is not None
    named = {each.language for concept in system.concepts.values() for each in concept.designations}
    found: dict[str, Any] = {"language": ["en", *sorted(named)]}
    properties = [code for code, _ in system.properties]
    found["filter"] = [
        {"code": "concept", "op": list(_HIERARCHY)},
        *({"code": code, "op": list(_FILTERS)} for code in properties),
    ]
    if properties:
        found["property"] = properties
    return found
