"""$validate: is a resource good to be stored, and does it meet profiles; every issue, and nothing is stored.

https://hl7.org/fhir/R4/resource-operation-validate.html
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from fhir_server.fhir import json
from fhir_server.fhir.outcome import Issue, operation_outcome, refuse
from fhir_server.guides import Guides, claims, unknown
from fhir_server.interactions import plausible
from fhir_server.interactions.reply import Reply
from fhir_server.operations.registry import Call
from profiles import structure
from profiles.checker import is_judgeable
from profiles.guides import R4
from profiles.rules import Profile
from profiles.snapshot import BASE

MODES = ("create", "update", "delete", "profile")

Resource = dict[str, Any]


async def validate(call: Call) -> Reply:
    """200 with an OperationOutcome that lists every issue; the resource is good if none is an error.

    FhirError 400 for a wrong mode or nothing to look at, 404 or 410 where the instance in the address is not there.
    """
    mode = call.arguments.text("mode")
    if mode is not None and mode not in MODES:
        text = f"'mode' is one of {', '.join(MODES)}, not '{mode}'."
        raise refuse(400, "value", "invalid-value", text, "mode")
    stored = None
    if call.id is not None:
        found = await call.context.store.read(call.caller, call.predicate, call.type or "", call.id)
        stored = json.parse(found.raw or b"{}")
    if mode == "delete":
        return _deletable(call)
    resource = call.arguments.one("resource")
    if resource is None:
        resource = stored
    if resource is None:
        text = "$validate needs a resource: as the body, or in the parameter 'resource'."
        raise refuse(400, "required", "missing-parameter", text, "resource")
    asked = [each for each in call.arguments.all("profile") if isinstance(each, str)]
    must_support = call.arguments.one("mustSupport") is True
    issues = [
        *_addressed(call, mode, resource),
        *_judged(call.context.guides, resource, asked, must_support=must_support),
    ]
    if resource.get("resourceType") == "Immunization" and not _is_broken(structure.check(resource)):
        doubts = await plausible.issues(call.context, call.caller, call.predicate, resource)
        issues += plausible.weighed(call.context, doubts)
    return _answer(list(dict.fromkeys(issues)), call.language)


def _deletable(call: Call) -> Reply:
    if call.id is None:
        text = "What would be deleted is named in the address: DELETE is validated at [type]/[id]/$validate."
        raise refuse(400, "invalid", "not-supported", text, "mode")
    text = f"{call.type}/{call.id} is there and can be deleted."
    return _answer([Issue("informational", "valid", text, (), "information")])


def _addressed(call: Call, mode: str | None, resource: Resource) -> Iterator[Issue]:
    """What the address and the mode say of the resource."""
    found, resource_id = resource.get("resourceType"), resource.get("id")
    if call.type not in (None, "Resource") and found != call.type:
        text = f"This address takes a {call.type}; the resource is {f'a {found}' if found else 'without a type'}."
        yield Issue("invalid", "wrong-type", text, (str(call.type),))
    place = (f"{found}.id",)
    if mode == "create" and resource_id is not None and call.id is None:
        text = "The server gives a new resource its id; this one is not kept."
        yield Issue("informational", "id-not-kept", text, place, "information")
    if mode == "update" and call.id is None and resource_id is None:
        yield Issue("required", "missing-element", "An update needs the id of what is updated.", place)
    if call.id is not None and mode != "create" and resource_id != call.id:
        told = f"has id '{resource_id}'" if resource_id is not None else "has no id"
        yield Issue("invalid", "wrong-id", f"The address names id '{call.id}' but the resource {told}.", place)


def _judged(guides: Guides, resource: Resource, asked: Sequence[str], *, must_support: bool) -> Iterator[Issue]:
    found = structure.check(resource)
    yield from found
    profiles: list[Profile] = []
    for canonical in dict.fromkeys(asked):
        profile = guides.find(canonical)
        if profile is None:
            yield unknown(canonical, "profile", "error")
        else:
            profiles.append(profile)
    if not is_judgeable(found):
        if profiles or claims(resource):
            text = "Profiles are looked at once the resource has the shape R4 gives it."
            yield Issue("informational", "profiles-not-checked", text, (), "information")
        return
    for place, each in _resources(resource, resource["resourceType"]):
        claimed = profiles if each is resource else []
        for number, canonical in claims(each):
            profile = guides.find(canonical)
            if profile is None:
                yield unknown(canonical, f"{place}.meta.profile[{number}]", "warning")
            elif profile not in claimed:
                claimed = [*claimed, profile]
        if each is resource and not any(profile.guide == R4 for profile in claimed) and not claimed:
            base = guides.find(BASE + each["resourceType"])
            claimed = [base] if base is not None else []
        if claimed:
            judged = guides.issues(each, claimed, must_support=must_support, around=resource)
            yield from _led(judged, each["resourceType"], place)


def _resources(resource: Resource, place: str) -> Iterator[tuple[str, Resource]]:
    """The resource itself, and those in a Bundle's entries, in Parameters and contained, with their places."""
    yield place, resource
    for member in ("entry", "parameter"):
        for number, each in enumerate(resource.get(member, ()) if resource["resourceType"] in _HOLDERS else ()):
            if "resource" in each:
                yield from _resources(each["resource"], f"{place}.{member}[{number}].resource")
    for number, each in enumerate(resource.get("contained", ())):
        yield f"{place}.contained[{number}]", each


_HOLDERS = ("Bundle", "Parameters")


def _led(issues: Iterable[Issue], root: str, place: str) -> Iterator[Issue]:
    """The same issues, their places seen from the resource that was sent."""
    for issue in issues:
        places = tuple(place + each.removeprefix(root) for each in issue.expression)
        yield Issue(issue.code, issue.detail, issue.text, places, issue.severity)


def _is_broken(issues: Iterable[Issue]) -> bool:
    return any(issue.severity == "error" for issue in issues)


def _answer(issues: Sequence[Issue], language: str = "en") -> Reply:
    if not issues:
        issues = [Issue("informational", "valid", "No issues were found.", (), "information")]
    return Reply(200, json.dump(operation_outcome(issues, language)))
