"""$expand: the codes of a value set, page by page.

https://hl7.org/fhir/R4/valueset-operation-expand.html
"""

from collections.abc import Iterable, Iterator
from typing import Any
from uuid import uuid4

from fhir_server.fhir import json
from fhir_server.fhir.outcome import refuse
from fhir_server.interactions.reply import Reply
from fhir_server.interactions.terminology import holding, refusal
from fhir_server.operations.registry import Call
from fhir_server.operations.terminology.asked import Resource, day, language, subject
from fhir_server.operations.terminology.context import bound_value_set
from terminology import published, value_set
from terminology.errors import CyclicValueSetError, TerminologyError, TooCostlyError, UnknownValueSetError
from terminology.expansion import Entry, folded
from terminology.library import Terminology
from terminology.value_set import ValueSet

_TOLD = (
    *(("filter", "String"), ("date", "DateTime"), ("offset", "Integer"), ("count", "Integer")),
    *(("includeDesignations", "Boolean"), ("activeOnly", "Boolean"), ("excludeNotForUI", "Boolean")),
    *(("displayLanguage", "Code"), ("exclude-system", "Uri")),
)
"""Parameters that the expansion says it was made with."""
_UNCLOSED = "http://hl7.org/fhir/StructureDefinition/valueset-unclosed"
_METADATA = ("url", "version", "name", "title", "status", "experimental", "publisher", "description", "copyright")


async def expand(call: Call) -> Reply:
    """200 with the value set and its expansion.

    FhirError 404 for a value set that is not known, 400 where none is named or a number is negative, 422 where it is
    cyclic, has more than 10,000 codes, or none that is held here. Where some are not held, the expansion says that it
    is unclosed, and for which code systems or value sets.
    """
    resource, canonical = await subject(call, "ValueSet", "valueSet", "valueSetVersion")
    if not canonical and resource is None:
        canonical = bound_value_set(call)
    given = [resource] if resource is not None else []
    held = await holding(call.context, call.caller, call.predicate, [("ValueSet", canonical)], given)
    chosen = value_set.of_resource(resource) if resource is not None else held.value_set(canonical)
    if chosen is None or (resource is None and not held.holds_value_set(canonical)):
        raise refusal(UnknownValueSetError(f"the value set '{canonical}' is not known here"), "url")
    offset, count = _number(call, "offset") or 0, _number(call, "count")
    _require_versions(call, held, chosen)
    try:
        missing = held.expand(chosen).missing
        found = _wanted(call, held, chosen)
    except (CyclicValueSetError, TooCostlyError) as error:
        raise refusal(error, "url") from None
    except TerminologyError as error:
        told = type(error)(f"the value set {chosen.url or 'given'} cannot be listed: {error}")
        raise refusal(told, "url", status=422) from None
    page = found[offset : offset + count] if count is not None else found[offset:]
    made = {
        "extension": [{"url": _UNCLOSED, "valueBoolean": True}] if missing else [],
        "identifier": f"urn:uuid:{uuid4()}",
        "timestamp": json.instant(call.context.clock()),
        "total": len(found),
        "offset": offset,
        "parameter": [*_told(call, page), *({"name": "not-held", "valueUri": each} for each in missing)],
        "contains": list(_contained(call, page)),
    }
    answer = _about(call, resource, chosen)
    answer["expansion"] = {name: value for name, value in made.items() if value not in ([], None)}
    return Reply(200, json.dump(answer))


def _wanted(call: Call, held: Terminology, chosen: ValueSet) -> list[Entry]:
    """The entries that the request's own conditions leave."""
    arguments = call.arguments
    entries = held.expand(chosen).entries
    found = list(entries.values())
    words = folded(arguments.text("filter") or "").split()
    if words:
        first, *others = words
        texts = held.texts(chosen).items()
        found = [entries[key] for key, text in texts if first in text and all(word in text for word in others)]
    if arguments.one("activeOnly"):
        on = day(call)
        found = [entry for entry in found if entry.concept.is_active(on)]
    if arguments.one("excludeNotForUI"):
        found = [entry for entry in found if not entry.concept.abstract]
    without = {held.preferred(each.partition("|")[0]) for each in arguments.all("exclude-system")}
    return [entry for entry in found if entry.system not in without] if without else found


def _number(call: Call, name: str) -> int | None:
    number: int | None = call.arguments.one(name)
    if number is not None and number < 0:
        raise refuse(400, "value", "invalid-value", f"'{name}' is not negative; it is {number}.", name)
    return number


def _require_versions(call: Call, held: Terminology, chosen: ValueSet) -> None:
    """FhirError 422 where a code system would have to be of another version than the one held."""
    used = held.systems_in(chosen)
    for name in ("system-version", "check-system-version", "force-system-version"):
        for canonical in call.arguments.all(name):
            url = canonical.partition("|")[0]
            if url in used and held.code_system(url) is not None and not held.holds_code_system(canonical):
                system = held.code_system(url)
                version = system.version if system is not None else ""
                text = f"Of {url} the version {version} is held here, not the one asked for by '{name}'."
                raise refuse(422, "not-found", "unknown-code-system", text, name)


def _about(call: Call, resource: Resource | None, chosen: ValueSet) -> dict[str, Any]:
    """The value set that is expanded, with its definition where that is wanted."""
    defined = bool(call.arguments.one("includeDefinition"))
    about = resource or chosen.resource or (published.value_set(chosen) if defined else published.about(chosen))
    answer: dict[str, Any] = {"resourceType": "ValueSet"}
    if call.id is not None:
        answer["id"] = call.id
    answer |= {"status": "active"} | {name: about[name] for name in _METADATA if name in about}
    if defined and "compose" in about:
        answer["compose"] = about["compose"]
    return answer


def _told(call: Call, page: Iterable[Entry]) -> Iterator[dict[str, Any]]:
    for name, kind in _TOLD:
        for value in call.arguments.all(name):
            yield {"name": name, f"value{kind}": value}
    for used in dict.fromkeys(f"{entry.system}|{entry.version}" for entry in page if entry.version):
        yield {"name": "version", "valueUri": used}


def _contained(call: Call, page: Iterable[Entry]) -> Iterator[dict[str, Any]]:
    tongue, on = language(call), day(call)
    with_designations = bool(call.arguments.one("includeDesignations"))
    wanted = [each.rpartition("|")[2] for each in call.arguments.all("designation")]
    for entry in page:
        concept = entry.concept
        found: dict[str, Any] = {"system": entry.system} if entry.system else {}
        found |= {"code": concept.code, "display": concept.named(tongue)}
        if concept.abstract:
            found["abstract"] = True
        if not concept.is_active(on):
            found["inactive"] = True
        if with_designations:
            kept = [each for each in concept.designations if not wanted or each.language in wanted]
            if kept:
                found["designation"] = published.designations(kept)
        yield found
