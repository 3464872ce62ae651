"""Read and vread: a resource as it is now, or as one of its versions was.

https://hl7.org/fhir/R4/http.html#read
"""

from collections.abc import Sequence

from fhir_server.caller import Caller, Predicate, concern, permitted
from fhir_server.context import Context
from fhir_server.fhir import subset
from fhir_server.fhir.outcome import refuse
from fhir_server.interactions.incoming import known_type
from fhir_server.interactions.reply import Reply, narrowed, of_stored
from fhir_server.store.records import Stored


async def read(
    context: Context,
    caller: Caller,
    predicate: Predicate,
    resource_type: str,
    resource_id: str,
    pairs: Sequence[tuple[str, str]] = (),
) -> Reply:
    """200 with the current version. `pairs` may hold `_summary` or `_elements`.

    FhirError 404 unknown, 410 deleted, 400 for any other parameter.
    """
    known_type(resource_type)
    permitted(predicate, "r", resource_type)
    asked = subset.asked(resource_type, pairs) if pairs else None
    return _reply(predicate, await context.store.read(caller, predicate, resource_type, resource_id), asked)


async def vread(
    context: Context,
    caller: Caller,
    predicate: Predicate,
    resource_type: str,
    resource_id: str,
    version: str,
    pairs: Sequence[tuple[str, str]] = (),
) -> Reply:
    """200 with that version. FhirError 404 if there never was one, 410 if it is the deletion, 400 as above."""
    known_type(resource_type)
    permitted(predicate, "r", resource_type)
    asked = subset.asked(resource_type, pairs) if pairs else None
    if not version.isascii() or not version.isdigit() or len(version) > 18:
        raise refuse(404, "not-found", "unknown-version", f"{resource_type}/{resource_id} has no version '{version}'.")
    stored = await context.store.vread(caller, predicate, resource_type, resource_id, int(version))
    return _reply(predicate, stored, asked)


def _reply(predicate: Predicate, stored: Stored, asked: subset.Subset | None) -> Reply:
    concern(predicate, stored.patients)
    return of_stored(200, narrowed(stored, asked))
