"""Incoming: a resource as a client sent it, parsed and checked before anything is written.

https://hl7.org/fhir/R4/validation.html
"""

import re
from dataclasses import dataclass
from typing import Any

from fhir_server.context import Context
from fhir_server.fhir import index, json
from fhir_server.fhir.outcome import FhirError, Issue, refuse
from fhir_server.fhir.subset import SUBSETTED
from profiles import structure
from profiles.definitions import RESOURCE_TYPES

_ID = re.compile(r"[A-Za-z0-9\-.]{1,64}")


@dataclass(frozen=True, slots=True)
class Incoming:
    """A valid R4 resource: its compact bytes and, for checking and indexing, its parsed value.

    `issues` are warnings about the profiles it claims.
    """

    type: str
    resource: dict[str, Any]
    body: bytes
    issues: tuple[Issue, ...] = ()


def known_type(resource_type: str) -> str:
    """The type itself; FhirError 404 for a name that is no R4 resource type (case matters)."""
    if resource_type not in RESOURCE_TYPES:
        near = next((name for name in RESOURCE_TYPES if name.lower() == resource_type.lower()), None)
        hint = f" Resource types are case-sensitive: {near}." if near else ""
        raise refuse(404, "not-supported", "unknown-type", f"'{resource_type}' is not a FHIR R4 resource type.{hint}")
    return resource_type


def legal_id(resource_id: str) -> bool:
    """Whether the text can be a FHIR id."""
    return _ID.fullmatch(resource_id) is not None


def accept(context: Context, resource_type: str, body: bytes) -> Incoming:
    """Parse and check a resource sent to a `resource_type` address.

    FhirError 413 too large, 400 malformed JSON or another type, 422 not valid R4 (every problem listed), an excerpt, or
    in breach of a profile it claims.
    """
    limit = context.settings.max_bundle if resource_type == "Bundle" else context.settings.max_resource
    if len(body) > limit:
        raise refuse(
            413, "too-long", "resource-too-large", f"The resource has {len(body)} bytes; at most {limit} are accepted."
        )
    resource = json.parse(body)
    found = resource.get("resourceType")
    if found != resource_type:
        told = f"a {found}" if isinstance(found, str) else "no resourceType"
        raise refuse(
            400, "invalid", "wrong-type", f"This address takes a {resource_type}; the body has {told}.", resource_type
        )
    require_valid(resource)
    require_whole(resource)
    return Incoming(resource_type, resource, json.compact(body), tuple(context.guides.judge(resource)))


def require_valid(resource: dict[str, Any]) -> None:
    """FhirError 422 with every structural problem, if there is one that is an error."""
    issues = structure.check(resource)
    if any(issue.severity in ("error", "fatal") for issue in issues):
        raise FhirError(422, issues)


def require_whole(resource: dict[str, Any]) -> None:
    """FhirError 422 for an excerpt (`_summary`, `_elements`): stored, it would take the place of the whole.

    A Group may say SUBSETTED: its members are stored apart, and a write without them leaves them as they are.
    """
    if resource["resourceType"] != "Group" and SUBSETTED in [
        {"system": tag.get("system"), "code": tag.get("code")} for tag in resource.get("meta", {}).get("tag", ())
    ]:
        text = "The resource says SUBSETTED: it is an excerpt and cannot be stored. Read it whole, then send it whole."
        raise refuse(422, "business-rule", "subsetted", text, f"{resource['resourceType']}.meta.tag")


def entries_of(context: Context, resource: dict[str, Any], resource_id: str) -> index.Entries:
    """Index entries of the resource as it will stand under this id."""
    return index.entries({**resource, "id": resource_id}, context.settings.base)
