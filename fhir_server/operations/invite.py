"""$invite: codes with which people open their account, or act for a child: for a Patient, or a roster's members.

https://hl7.org/fhir/R4/group.html

Codes are answered once and kept as digests, and only to those who treat people or keep the registry: an employer, who
knows its people's birth dates, could open a record in its person's place (decision 33).
"""

from datetime import date

from fhir_server.access import invitations, users
from fhir_server.caller import to
from fhir_server.fhir import json, references
from fhir_server.fhir.outcome import refuse
from fhir_server.interactions.reply import Reply
from fhir_server.operations import membership
from fhir_server.operations.registry import Call

_NO_STORE = (("cache-control", "no-store"),)
_PAGE = 200
_PROXY = "proxy"
_DAY = len("YYYY-MM-DD")


async def invite(call: Call) -> Reply:
    """200 with an `invitation` for each person; `next` is where to go on (`after`) in a roster.

    FhirError 400 for a wrong argument, 404 or 410 for the Patient or Group, 409 where the one Patient has an account,
    422 where the Group is no roster, or the Patient no child.
    """
    after, wanted = call.arguments.one("after"), call.arguments.text("as")
    if wanted not in (None, "patient", _PROXY):
        raise refuse(400, "value", "invalid-value", f"'as' is patient or proxy, not '{wanted}'.", "as")
    following = None
    if call.type == "Group":
        if wanted == _PROXY:
            raise refuse(400, "not-supported", "not-supported", "A proxy acts for one Patient, not for a roster.", "as")
        patients, following = await _members(call, after)
    else:
        if after is not None:
            raise refuse(400, "not-supported", "not-supported", "'after' goes on in a roster.", "after")
        stored = await call.context.store.read(call.caller, call.predicate, "Patient", call.id or "")
        if wanted == _PROXY:
            _require_child(call, json.parse(stored.raw or b"{}").get("birthDate", ""))
        patients = [stored.id]
    found = [each for patient in patients if (each := await _invited(call, patient, proxy=wanted == _PROXY))]
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


def _require_child(call: Call, born: str) -> None:
    """FhirError 422 unless this is the whole birth date of somebody who is not 18 yet."""
    if len(born) != _DAY or users.adult_on(date.fromisoformat(born)) <= call.context.clock():
        text = "A proxy acts for a child under 18, by the whole birth date on record."
        raise refuse(422, "business-rule", "not-a-child", text, "Patient.birthDate")


async def _invited(call: Call, patient: str, *, proxy: bool) -> dict[str, object]:
    """The parameter for one person; empty for who has an account."""
    authority = call.context.authority
    if not proxy and await authority.users.of_patient(patient) is not None:
        return {}
    given = await invitations.give(authority, patient, proxy=proxy)
    parts = [
        {"name": "patient", "valueReference": {"reference": f"Patient/{patient}"}},
        {"name": "code", "valueString": given.code},
        {"name": "expires", "valueInstant": json.instant(given.expires * 1_000_000)},
        {"name": "page", "valueUrl": f"{call.context.settings.origin}/register/invitation"},
    ]
    return {"name": "invitation", "part": parts}
