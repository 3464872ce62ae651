"""Invariants: hand-compiled constraints of common types, by the key the specification gives them.

https://hl7.org/fhir/R4/conformance-rules.html#constraints

Each function takes a JSON object that is structurally valid at the path named beside its key, and returns whether the
constraint holds. Sentences and severities come from the generated table, so a key that R4 does not have is an error.
"""

from collections.abc import Callable
from datetime import datetime
from typing import Any

from profiles.definitions import Invariant, invariants

Holds = Callable[[dict[str, Any]], bool]

_NO_VALUE = frozenset({"id", "extension", "url"})
_REQUESTS = ("batch", "transaction", "history")
_RESPONSES = ("batch-response", "transaction-response", "history")
_WITH_TOTAL = ("searchset", "history")


def any_of(*names: str) -> Holds:
    """At least one of the members is there."""
    return lambda value: any(name in value for name in names)


def needs(name: str, other: str) -> Holds:
    """If the member `name` is there, `other` is too."""
    return lambda value: name not in value or other in value


def excludes(name: str, other: str) -> Holds:
    """The two members do not stand together."""
    return lambda value: name not in value or other not in value


def _extension(value: dict[str, Any]) -> bool:
    return ("extension" in value) != (not value.keys() <= _NO_VALUE)


def _period(value: dict[str, Any]) -> bool:
    """Dates of unequal precision are not compared, as FHIRPath does not either."""
    start, end = value.get("start"), value.get("end")
    if start is None or end is None:
        return True
    if "T" in start and "T" in end:
        return _moment(start) <= _moment(end)
    return len(start) != len(end) or bool(start <= end)


def _moment(text: str) -> datetime:
    """A dateTime with a zone; the leap second counts as :59 and digits past microseconds are dropped."""
    return datetime.fromisoformat(text[:17] + text[17:].replace("60", "59", 1) if text[17:19] == "60" else text)


def _no_home(value: dict[str, Any]) -> bool:
    return value.get("use") != "home"


def _parameter(value: dict[str, Any]) -> bool:
    has_value = any(name.startswith(("value", "_value")) for name in value)
    return has_value + ("resource" in value) + ("part" in value) == 1


def _bundle_total(value: dict[str, Any]) -> bool:
    return "total" not in value or value.get("type") in _WITH_TOTAL


def _bundle_search(value: dict[str, Any]) -> bool:
    return value.get("type") == "searchset" or not any("search" in e for e in value.get("entry", ()))


def _bundle_requests(value: dict[str, Any]) -> bool:
    wanted = value.get("type") in _REQUESTS
    return all(("request" in e) == wanted for e in value.get("entry", ()))


def _bundle_responses(value: dict[str, Any]) -> bool:
    wanted = value.get("type") in _RESPONSES
    return all(("response" in e) == wanted for e in value.get("entry", ()))


def _bundle_distinct(value: dict[str, Any]) -> bool:
    if value.get("type") == "history":
        return True
    entries = [e for e in value.get("entry", ()) if "fullUrl" in e]
    return len({(e["fullUrl"], _version(e)) for e in entries}) == len(entries)


def _version(entry: dict[str, Any]) -> str | None:
    version: str | None = entry.get("resource", {}).get("meta", {}).get("versionId")
    return version


def _document_first(resource_type: str, bundle_type: str) -> Holds:
    def holds(value: dict[str, Any]) -> bool:
        first: dict[str, Any] = next(iter(value.get("entry", ())), {})
        return value.get("type") != bundle_type or first.get("resource", {}).get("resourceType") == resource_type

    return holds


def _document_identifier(value: dict[str, Any]) -> bool:
    return value.get("type") != "document" or {"system", "value"} <= value.get("identifier", {}).keys()


COMPILED: dict[tuple[str, str], Holds] = {
    ("att-1", "Attachment"): needs("data", "contentType"),
    ("bdl-1", "Bundle"): _bundle_total,
    ("bdl-10", "Bundle"): lambda value: value.get("type") != "document" or "timestamp" in value,
    ("bdl-11", "Bundle"): _document_first("Composition", "document"),
    ("bdl-12", "Bundle"): _document_first("MessageHeader", "message"),
    ("bdl-2", "Bundle"): _bundle_search,
    ("bdl-3", "Bundle"): _bundle_requests,
    ("bdl-4", "Bundle"): _bundle_responses,
    ("bdl-5", "Bundle.entry"): any_of("resource", "request", "response"),
    ("bdl-7", "Bundle"): _bundle_distinct,
    ("bdl-8", "Bundle.entry"): lambda value: "/_history/" not in value.get("fullUrl", ""),
    ("bdl-9", "Bundle"): _document_identifier,
    ("cpt-2", "ContactPoint"): needs("value", "system"),
    ("ext-1", "Extension"): _extension,
    ("grp-1", "Group"): lambda value: "member" not in value or value.get("actual") is True,
    ("imm-1", "Immunization.education"): any_of("documentType", "reference"),
    ("imr-1", "ImmunizationRecommendation.recommendation"): any_of("vaccineCode", "targetDisease"),
    ("inv-1", "Parameters.parameter"): _parameter,
    ("obs-3", "Observation.referenceRange"): any_of("low", "high", "text"),
    ("org-1", "Organization"): any_of("identifier", "name"),
    ("org-2", "Organization.address"): _no_home,
    ("org-3", "Organization.telecom"): _no_home,
    ("pat-1", "Patient.contact"): any_of("name", "telecom", "address", "organization"),
    ("per-1", "Period"): _period,
    ("qrs-1", "QuestionnaireResponse.item"): excludes("answer", "item"),
    ("qty-3", "Quantity"): needs("code", "system"),
    ("sev-1", "AuditEvent.entity"): excludes("name", "query"),
}
"""(key, path) -> function. Structure itself holds ele-1, dom-2, dom-4, dom-5, ref-1, txt-1 and txt-2."""


def rules(path: str) -> tuple[tuple[Invariant, Holds], ...]:
    """The compiled invariants that the object at a definition path has to meet."""
    table = invariants()
    return tuple((table[key, at], holds) for (key, at), holds in COMPILED.items() if at == path)
