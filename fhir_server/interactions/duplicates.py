"""Duplicates: what a conditional create made although somebody else's resource matched, unseen; for a steward to merge.

https://hl7.org/fhir/R4/http.html#ccreate

A condition sees what its caller sees: to answer with the hidden match, or to refuse, would tell that it is there.
"""

import hashlib
from collections.abc import Sequence

from fhir_server.caller import SERVER, Access, Predicate, allow_all
from fhir_server.context import Context
from fhir_server.fhir import index, json
from fhir_server.fhir.condition import All, Ids, Not
from fhir_server.fhir.outcome import FhirError
from fhir_server.store.records import Committed, Create, Delete, Selection, Write

_CODE = {"system": "https://fhir-server.example/fhir/CodeSystem/audit", "code": "possible-duplicate"}


async def queue(
    context: Context, predicate: Predicate, writes: Sequence[Write], committed: Sequence[Committed]
) -> None:
    """Leave stewards a Task for every resource just created that has a match its caller may not see."""
    if not isinstance(predicate, Access):
        return
    for write, outcome in zip(writes, committed, strict=True):
        if isinstance(write, Delete) or write.unless is None or outcome.effect != "created":
            continue
        others = All((write.unless.where, Not(Ids((write.id,)))))
        page = await context.store.search(SERVER, allow_all, Selection(write.type, others, limit=1))
        for row in page.rows:
            await tell(context, f"{write.type}/{write.id}", f"{row.type}/{row.id}")


async def tell(context: Context, made: str, hidden: str) -> None:
    """Leave stewards a Task: what was `made` (`Patient/1`) may be what was there, `hidden` from who made it. Once."""
    id = hashlib.sha256(f"{made}|{hidden}".encode()).hexdigest()[:40]
    task = {
        "resourceType": "Task",
        "id": id,
        "status": "requested",
        "intent": "order",
        "code": {"coding": [_CODE]},
        "focus": {"reference": made},
        "authoredOn": json.instant(context.clock()),
        "input": [{"type": {"text": "match"}, "valueReference": {"reference": hidden}}],
    }
    entries = index.entries(task, context.settings.base)
    try:
        await context.store.commit(SERVER, allow_all, [Create("Task", id, json.dump(task), entries)])
    except FhirError as error:
        if error.status != 409:
            raise
