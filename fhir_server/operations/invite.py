"""$invite: codes with which people open their account: for one Patient, or for the members of a roster.

https://hl7.org/fhir/R4/group.html

Codes are answered once and kept as digests. An employer is answered alike for every member, whether or not they have an
account or a record of doses; what its codes open is decided when they are redeemed.
"""

from fhir_server.access import invitations
from fhir_server.caller import to
from fhir_server.fhir import json, references
from fhir_server.fhir.outcome import refuse
from fhir_server.interactions.reply import Reply
from fhir_server.operations import membership
from fhir_server.operations.registry import Call

_NO_STORE = (("cache-control", "no-store"),)
_PAGE = 200
_CARING = frozenset({"provider", "registry", "administrator"})


async def invite(call: Call) -> Reply:
    """200 with an `invitation` for each person; `next` is where to go on (`after`) in a roster.

    FhirError 400 for a wrong argument, 404 or 410 for the Patient or Group, 409 where the one Patient has an account,
    422 where the Group is no roster.
    """
    after = call.arguments.one("after")
    following = None
    if call.type == "Group":
        patients, following = await _members(call, after)
    else:
        if after is not None:
            raise refuse(400, "not-supported", "not-supported", "'after' goes on in a roster.", "after")
        await call.context.store.read(call.caller, call.predicate, "Patient", call.id or "")
        patients = [call.id or ""]
    found = [each for patient in patients if (each := await _invited(call, patient))]
    if not found and call.type == "Patient":
        raise refuse(409, "conflict", "account-exists", "This person has an account already.", "Patient")
    parameters = [*found, *([] if following is None else [{"name": "next", "valueInteger": following}])]
    answer = {"resourceType": "Parameters"} | ({"parameter": parameters} if parameters else {})
    return Reply(200, json.dump(answer), headers=_NO_STORE)


async def _members(call: Call, after: int | None) -> tuple[list[str], int | None]:
    context = call.context
    stored = await context.store.read(call.caller, call.predicate, "Group", call.id or "")
    if not membership.may_be_roster(json.parse(stored.raw or b"{}")):
        text = f"Group/{stored.id} is no roster: that is a Group with actual true and type person."
        raise refuse(422, "business-rule", "not-a-roster", text, "Group.actual")
    page = await context.store.members(call.caller, call.predicate, stored.id, after, _PAGE)
    ids = []
    for each in page.members:
        member = json.parse(each.raw)
        target = references.local(member.get("entity", {}).get("reference", ""), context.settings.base)
        if target is not None and target.type == "Patient" and membership.is_member(member, context.today):
            ids.append(target.id)
    seen = await context.store.read_many(call.caller, to(call.predicate, "r"), [("Patient", id) for id in ids])
    there = {each.id for each in seen}
    return [id for id in ids if id in there], page.next


async def _invited(call: Call, patient: str) -> dict[str, object]:
    """The parameter for one person; empty for who has an account, where the caller may know that."""
    authority = call.context.authority
    caring = bool(call.caller.roles & _CARING)
    if caring and await authority.users.of_patient(patient) is not None:
        return {}
    given = await invitations.give(authority, patient, by_employer=not caring)
    parts = [
        {"name": "patient", "valueReference": {"reference": f"Patient/{patient}"}},
        {"name": "code", "valueString": given.code},
        {"name": "expires", "valueInstant": json.instant(given.expires * 1_000_000)},
        {"name": "page", "valueUrl": f"{call.context.settings.origin}/register/invitation"},
    ]
    return {"name": "invitation", "part": parts}
