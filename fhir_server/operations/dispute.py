"""$dispute: a person says that a dose on their record is wrong: a Task for those who submitted it, and for stewards.

https://hl7.org/fhir/R4/task.html

Nothing of the dose changes by it. Saying the same twice of a version leaves one Task.
"""

import hashlib

from fhir_server.caller import Access
from fhir_server.fhir import json, references
from fhir_server.fhir.outcome import FhirError, refuse
from fhir_server.interactions.incoming import accept, entries_of
from fhir_server.interactions.reply import Reply
from fhir_server.operations.enrolment import only
from fhir_server.operations.registry import Call
from fhir_server.store.records import Create, Stored

CODE = {"system": "https://fhir-server.example/fhir/CodeSystem/audit", "code": "disputed-dose"}
_LONGEST = 1_000


async def dispute(call: Call) -> Reply:
    """200 with the id of the Task.

    FhirError 400 without a reason or for one of more than 1,000 characters, 404 or 410 for the Immunization.
    """
    context = call.context
    stored = await context.store.read(call.caller, call.predicate, "Immunization", call.id or "")
    reason = (call.arguments.text("reason") or "").strip()
    if not 0 < len(reason) <= _LONGEST:
        text = f"'reason' says in up to {_LONGEST} characters what is wrong."
        raise refuse(400, "value", "invalid-value", text, "reason")
    dose = json.parse(stored.raw or b"{}")
    told = hashlib.sha256(f"{stored.id}|{stored.version}|{call.caller.subject}|{reason}".encode())
    id = told.hexdigest()[:40]
    task = {
        "resourceType": "Task",
        "status": "requested",
        "intent": "proposal",
        "code": {"coding": [CODE]},
        "description": reason,
        "focus": {"reference": f"Immunization/{stored.id}"},
        "for": {"reference": dose["patient"]["reference"]},
        "requester": {"reference": dose["patient"]["reference"]},
        "authoredOn": json.instant(context.clock()),
        **_owner(call, stored),
    }
    incoming = accept(context, "Task", json.dump(task))
    create = Create("Task", id, incoming.body, entries_of(context, incoming.resource, id))
    narrow = isinstance(call.predicate, Access)
    predicate = only(call.caller, "c", "Task", id) if narrow else call.predicate
    try:
        await context.store.commit(call.caller, predicate, [create])
    except FhirError as error:
        if error.status != 409:
            raise
    parameters = [{"name": "task", "valueReference": {"reference": f"Task/{id}"}}]
    return Reply(200, json.dump({"resourceType": "Parameters", "parameter": parameters}))


def _owner(call: Call, stored: Stored) -> dict[str, object]:
    """The organization that gave the dose, where the record names one."""
    dose = json.parse(stored.raw or b"{}")
    for performer in dose.get("performer", ()):
        found = references.local(performer.get("actor", {}).get("reference", ""), call.context.settings.base)
        if found is not None and found.type == "Organization":
            return {"owner": {"reference": f"Organization/{found.id}"}}
    return {}
