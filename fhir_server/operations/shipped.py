"""Shipped: the resources that come with the product, stored at first boot like everybody else's.

https://hl7.org/fhir/R4/resourcelist.html

Definitions of ours are refreshed when a new version changed them. Policy (phases, questionnaires) is the user's from
its first day on: it is stored once, and neither changed nor brought back after it was changed or deleted.
"""

from collections.abc import Iterable, Iterator
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Any

from fhir_server import __version__
from fhir_server.caller import Caller, Predicate
from fhir_server.context import Context
from fhir_server.fhir import index, json
from fhir_server.fhir.outcome import FhirError
from fhir_server.operations.registry import Registry
from fhir_server.operations.vocabulary import BASE
from fhir_server.store.records import Update
from terminology import library, published

_OURS = frozenset(
    {
        *("OperationDefinition", "CodeSystem", "ValueSet", "ConceptMap", "StructureDefinition", "SearchParameter"),
        *("Measure", "ImplementationGuide"),
    }
)


async def load(context: Context, caller: Caller, predicate: Predicate, registry: Registry) -> None:
    """Store what is missing, refresh what is ours."""
    definitions = [registry.definition_of(row) for row in registry.rows]
    writes = []
    found = [*definitions, *resources(), *published.resources(library.shipped())]
    for resource in [*found, guide(found)]:
        body = json.dump(resource)
        if await _is_wanted(context, caller, predicate, resource):
            entries = index.entries(resource, context.settings.base)
            writes.append(Update(resource["resourceType"], resource["id"], body, entries))
    if writes:
        await context.store.commit(caller, predicate, writes)


def resources() -> Iterator[dict[str, Any]]:
    """Every resource in operations/data: single ones, and those inside collection Bundles; tables are passed over."""
    for path in _walk(files(__package__) / "data"):
        found = json.parse(path.read_bytes())
        match found.get("resourceType"):
            case None:
                continue
            case "Bundle":
                yield from (entry["resource"] for entry in found["entry"])
            case _:
                yield found


def guide(listed: Iterable[dict[str, Any]]) -> dict[str, Any]:
    """The ImplementationGuide that lists what is published: definitions of ours, and questionnaires."""
    rows = sorted(
        (f"{each['resourceType']}/{each['id']}", str(each.get("title") or each.get("name", each["id"])))
        for each in listed
        if each["resourceType"] in _OURS | {"Questionnaire"}
    )
    return {
        "resourceType": "ImplementationGuide",
        "id": "fhir-server",
        "url": f"{BASE}/ImplementationGuide/fhir-server",
        "version": __version__,
        "name": "FhirServer",
        "title": "What this server publishes",
        "status": "active",
        "experimental": False,
        "publisher": "FHIR server for vaccination",
        "description": "Profiles, extensions, codes, operations, measures and questionnaires of this server.",
        "packageId": "fhir-server",
        "fhirVersion": ["4.0.1"],
        "definition": {"resource": [{"reference": {"reference": reference}, "name": name} for reference, name in rows]},
    }


async def _is_wanted(context: Context, caller: Caller, predicate: Predicate, resource: dict[str, Any]) -> bool:
    try:
        stored = await context.store.read(caller, predicate, resource["resourceType"], resource["id"])
    except FhirError as error:
        if error.status == 404:
            return True
        if error.status == 410:
            return resource["resourceType"] in _OURS
        raise
    return resource["resourceType"] in _OURS and _content(json.parse(stored.raw or b"{}")) != _content(resource)


def _content(resource: dict[str, Any]) -> dict[str, Any]:
    meta = {name: value for name, value in resource.get("meta", {}).items() if name not in ("versionId", "lastUpdated")}
    return {**resource, "meta": meta}


def _walk(folder: Traversable) -> Iterator[Traversable]:
    for path in sorted(folder.iterdir(), key=lambda path: path.name):
        if path.is_dir():
            yield from _walk(path)
        elif path.name.endswith(".json"):
            yield path
