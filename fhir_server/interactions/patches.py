"""Patch: a change to a resource, as JSON Patch, XML Patch or FHIRPath Patch.

https://hl7.org/fhir/R4/http.html#patch
"""

from base64 import b64decode
from binascii import Error as Base64Error
from collections.abc import Awaitable, Callable
from typing import Any

from fhir_server.caller import Caller, Predicate, permitted
from fhir_server.context import Context
from fhir_server.fhir import fhirpath_patch, json, json_patch, splice, xml_patch
from fhir_server.fhir.outcome import Issue, refuse
from fhir_server.interactions import plausible
from fhir_server.interactions.again import again
from fhir_server.interactions.incoming import accept, entries_of, known_type, require_valid
from fhir_server.interactions.reply import Reply
from fhir_server.interactions.writes import expected_version, reply_to
from fhir_server.store.records import ANY_VERSION, Once, Stored, Update
from fhir_server.store.versions import stale

JSON_PATCH = "application/json-patch+json"
XML_PATCH = "application/xml-patch+xml"
FORMATS = (JSON_PATCH, XML_PATCH, "application/fhir+json", "application/fhir+xml")
"""Media types of patches, as the CapabilityStatement lists them."""

Patch = Callable[[dict[str, Any], int], dict[str, Any]]
"""(resource, most bytes) -> the changed resource, which need not be valid. FhirError 400, 413; 422: a test failed."""


async def patch(
    context: Context,
    caller: Caller,
    predicate: Predicate,
    resource_type: str,
    resource_id: str,
    change: Patch,
    if_match: str | None = None,
    once: Once | None = None,
) -> Reply:
    """200 with the next version.

    FhirError 404, 410; 412 if If-Match names another version; 400 where the patch does not fit the resource, 422 where
    one of its tests fails or its outcome is not valid. Without If-Match the patch is done to whatever version is the
    current one when it is stored.
    """
    known_type(resource_type)
    permitted(predicate, "r", resource_type)
    permitted(predicate, "u", resource_type)

    async def look() -> Stored:
        return await context.store.read(caller, predicate, resource_type, resource_id)

    return await patch_found(context, caller, predicate, look, change, if_match, once)


async def patch_found(
    context: Context,
    caller: Caller,
    predicate: Predicate,
    look: Callable[[], Awaitable[Stored]],
    change: Patch,
    if_match: str | None,
    once: Once | None = None,
) -> Reply:
    """As `patch`, of the resource that `look` finds; it looks again whenever others were faster."""
    expected = expected_version(if_match)

    async def attempt() -> Reply:
        write = changed(context, await look(), change, expected)
        told: tuple[Issue, ...] = ()
        if write.type == "Immunization" or b'"profile"' in write.body:
            resource = json.parse(write.body)
            doubts = await plausible.judge(context, caller, predicate, resource)
            told = (*context.guides.judge(resource), *doubts)
        [committed] = await context.store.commit(caller, predicate, [write], once)
        return reply_to(committed, told)

    return await again(attempt, stale_too=expected in (None, ANY_VERSION))


def changed(context: Context, stored: Stored, change: Patch, expected: int | None = None) -> Update:
    """The write that stores the changed resource in place of this very version. Errors as of `patch`."""
    if stored.raw is None or expected not in (None, ANY_VERSION, stored.version):
        raise stale(stored.type, stored.id, expected, stored.version)
    before = json.parse(stored.raw)
    after = change(before, context.settings.max_resource)
    if (after.get("resourceType"), after.get("id")) != (stored.type, stored.id):
        text = "A patch cannot change the type or the id of a resource."
        raise refuse(400, "invalid", "fixed-element", text, f"{stored.type}.id")
    incoming = accept(context, stored.type, splice.splice(stored.raw, before, after))
    entries = entries_of(context, incoming.resource, stored.id)
    return Update(stored.type, stored.id, incoming.body, entries, stored.version, may_create=False, method="PATCH")


def of_json(body: bytes) -> Patch:
    """The JSON Patch in a body. FhirError 400 for what is none."""
    operations = json_patch.parse(body)
    return lambda resource, limit: json_patch.apply(resource, operations, limit)


def of_xml(body: bytes) -> Patch:
    """The XML Patch in a body. FhirError 400 for what is none."""
    operations = xml_patch.parse(body)
    return lambda resource, limit: xml_patch.apply(resource, operations, limit)


def of_parameters(body: bytes) -> Patch:
    """The FHIRPath Patch in a body, FHIR JSON. FhirError 400 for what is none, 422 where it is not valid."""
    parameters = json.parse(body)
    if parameters.get("resourceType") != "Parameters":
        text = f"A FHIRPath Patch is a Parameters resource; others are sent as {JSON_PATCH} or {XML_PATCH}."
        raise refuse(400, "invalid", "not-a-patch", text)
    return _of_parameters(parameters)


def of_resource(resource: dict[str, Any] | None) -> Patch:
    """The patch in a Bundle's entry: a Parameters resource, or a Binary that holds a JSON or XML Patch. FhirError
    400."""
    if resource is not None and resource.get("resourceType") == "Parameters":
        return _of_parameters(resource)
    match resource:
        case {"resourceType": "Binary", "contentType": str(media_type), "data": str(data)} if (
            kind := media_type.partition(";")[0].strip().lower()
        ) in (JSON_PATCH, XML_PATCH):
            try:
                patch = b64decode(data, validate=True)
            except Base64Error:
                raise refuse(400, "value", "not-a-patch", "The Binary's data are not base64.", "Binary.data") from None
            return of_json(patch) if kind == JSON_PATCH else of_xml(patch)
        case _:
            text = f"A patch in a Bundle is a Parameters resource, or a Binary of {JSON_PATCH} or {XML_PATCH}."
            raise refuse(400, "invalid", "not-a-patch", text, "Bundle.entry.resource")


def _of_parameters(parameters: dict[str, Any]) -> Patch:
    require_valid(parameters)
    operations = fhirpath_patch.parse(parameters)
    return lambda resource, limit: fhirpath_patch.apply(resource, operations)
