"""Terminology: what ships with the server and what is stored on it, as one.

https://hl7.org/fhir/R4/terminology-service.html

What ships is in memory and wins under its own URL and version. Stored CodeSystems, ValueSets and ConceptMaps are read,
as far as they exist for the caller, where something asked for leads to them.
"""

import re
from collections.abc import Iterable
from typing import Any

from fhir_server.caller import Caller, Predicate
from fhir_server.context import Context
from fhir_server.fhir import json, query
from fhir_server.fhir.condition import Condition
from fhir_server.fhir.outcome import FhirError, refuse
from fhir_server.store.records import Selection
from terminology.errors import (
    CyclicValueSetError,
    TerminologyError,
    TooCostlyError,
    UnknownCodeError,
    UnknownConceptMapError,
    UnknownSystemError,
    UnknownValueSetError,
    UnsupportedFilterError,
)
from terminology.hl7 import Type
from terminology.library import Terminology, shipped

MOST = 100
"""Stored resources that one value set may be made of."""

_VERSIONS = 20
"""Versions of a canonical that are looked at for the newest."""

_ERRORS: dict[type[TerminologyError], tuple[int, str, str]] = {
    UnknownSystemError: (404, "not-found", "unknown-code-system"),
    UnknownCodeError: (404, "not-found", "unknown-code"),
    UnknownValueSetError: (404, "not-found", "unknown-value-set"),
    UnknownConceptMapError: (404, "not-found", "unknown-concept-map"),
    CyclicValueSetError: (422, "processing", "cyclic-value-set"),
    TooCostlyError: (422, "too-costly", "expansion-too-large"),
    UnsupportedFilterError: (422, "not-supported", "unsupported-filter"),
}


def refusal(error: TerminologyError, *expression: str, status: int | None = None) -> FhirError:
    """The FhirError that answers a question terminology cannot: 404 for what is not held, 422 for what cannot be done.

    `status` takes the place of the error's own.
    """
    own, code, detail = _ERRORS[type(error)]
    text = str(error)
    return refuse(status or own, code, detail, f"{text[:1].upper()}{text[1:]}.", *expression)


async def holding(
    context: Context,
    caller: Caller,
    predicate: Predicate,
    wanted: Iterable[tuple[Type, str]],
    given: Iterable[dict[str, Any]] = (),
) -> Terminology:
    """What ships, the resources `given`, and what is stored of all that the `wanted` canonicals and they lead to.

    FhirError 422 `too-costly` where that is too much.
    """
    base = shipped()
    inline = list(given)
    held = base.adding(inline) if inline else base
    waiting = [*wanted, *(each for resource in inline for each in _named(resource))]
    met: set[tuple[Type, str]] = set()
    stored: list[dict[str, Any]] = []
    while waiting:
        kind, canonical = waiting.pop()
        if (kind, canonical) in met:
            continue
        met.add((kind, canonical))
        if _has(held, kind, canonical):
            if kind == "ValueSet":
                waiting += held.parts_of(canonical)
            continue
        found = await _stored(context, caller, predicate, kind, canonical)
        if found is None:
            continue
        if len(stored) == MOST:
            text = f"This leads to more than {MOST} stored code systems, value sets and concept maps."
            raise refuse(422, "too-costly", "expansion-too-large", text)
        stored.append(found)
        waiting += _named(found)
    return base.adding([*inline, *stored]) if stored else held


async def maps_from(context: Context, caller: Caller, predicate: Predicate, system: str) -> list[dict[str, Any]]:
    """The stored concept maps that name that code system as a source or target."""
    found: dict[str, dict[str, Any]] = {}
    for parameter in ("source-system", "target-system"):
        for resource in await _search(context, caller, predicate, "ConceptMap", {parameter: system}, MOST):
            found.setdefault(resource["id"], resource)
    return list(found.values())


def _has(held: Terminology, kind: Type, canonical: str) -> bool:
    match kind:
        case "CodeSystem":
            return held.holds_code_system(canonical)
        case "ValueSet":
            return held.holds_value_set(canonical)
        case _:
            return held.holds_concept_map(canonical)


def _named(resource: dict[str, Any]) -> list[tuple[Type, str]]:
    """What a resource is made of."""
    if resource["resourceType"] == "ConceptMap":
        groups = resource.get("group", ())
        others = [group["unmapped"]["url"] for group in groups if "url" in group.get("unmapped", {})]
        systems = [group[name] for group in groups for name in ("source", "target") if name in group]
        return [*(("ConceptMap", url) for url in others), *(("CodeSystem", url) for url in systems)]
    compose = resource.get("compose", {})
    parts = [*compose.get("include", ()), *compose.get("exclude", ())]
    named = (url for part in parts for url in part.get("valueSet", ()))
    imports: list[tuple[Type, str]] = [("ValueSet", url) for url in named if url is not None]
    return [*imports, *(("CodeSystem", part["system"]) for part in parts if "system" in part)]


async def _stored(
    context: Context, caller: Caller, predicate: Predicate, kind: Type, canonical: str
) -> dict[str, Any] | None:
    """The stored resource of that canonical: of that version, or without one the newest."""
    url, _, version = canonical.partition("|")
    if not url:
        return None
    asked = {"url": url, "version": version} if version else {"url": url}
    found = await _search(context, caller, predicate, kind, asked, _VERSIONS)
    return max(found, key=_age, default=None)


async def _search(
    context: Context, caller: Caller, predicate: Predicate, kind: Type, asked: dict[str, str], limit: int
) -> list[dict[str, Any]]:
    base = context.settings.base
    pairs = [(name, re.sub(r"([\\,|$])", r"\\\1", value)) for name, value in asked.items()]
    where: Condition = query.parse(kind, pairs, base=base).where
    page = await context.store.search(caller, predicate, Selection(kind, where, limit=limit))
    return [json.parse(row.raw) for row in page.rows if row.raw is not None]


def _age(resource: dict[str, Any]) -> tuple[bool, list[tuple[int, str]], str]:
    """Orders versions: active ones last, then by version with numbers compared as such."""
    parts = re.findall(r"\d+|[^\d.]+", resource.get("version", ""))
    return (
        resource.get("status") != "retired",
        [(int(part), "") if part.isdigit() else (-1, part) for part in parts],
        resource.get("meta", {}).get("lastUpdated", ""),
    )
