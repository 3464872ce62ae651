"""Read and vread.

https://hl7.org/fhir/R4/http.html#read
"""

from fhir_server.caller import Caller, Predicate
from fhir_server.context import Context
from fhir_server.fhir.outcome import refuse
from fhir_server.interactions.incoming import known_type
from fhir_server.interactions.reply import Reply, of_stored


async def read(context: Context, caller: Caller, predicate: Predicate, resource_type: str, resource_id: str) -> Reply:
    """200 with the current version; FhirError 404 unknown, 410 deleted."""
    known_type(resource_type)
    return of_stored(200, await context.store.read(caller, predicate, resource_type, resource_id))


async def vread(
    context: Context, caller: Caller, predicate: Predicate, resource_type: str, resource_id: str, version: str
) -> Reply:
    """200 with that version; FhirError 404 if there never was one, 410 if that version is the deletion."""
    known_type(resource_type)
    if not version.isascii() or not version.isdigit() or len(version) > 18:
        raise refuse(404, "not-found", "unknown-version", f"{resource_type}/{resource_id} has no version '{version}'.")
    return of_stored(200, await context.store.vread(caller, predicate, resource_type, resource_id, int(version)))
