"""Witness: tells the access log what an exchange was about, before its answer leaves.

https://profiles.ihe.net/ITI/BALP/
"""

import hashlib
import logging
from collections.abc import Iterable

from starlette.responses import Response, StreamingResponse

from fhir_server.access import audit, emergency
from fhir_server.access.audit import Interaction
from fhir_server.access.visibility import SHARED
from fhir_server.caller import NOBODY, SERVER, Caller, allow_all
from fhir_server.context import Context
from fhir_server.fhir import index, json
from fhir_server.fhir.outcome import FhirError
from fhir_server.http import binary
from fhir_server.http.exchange import Exchange
from fhir_server.interactions.incoming import legal_id
from fhir_server.store.records import Create

log = logging.getLogger("fhir_server.access")

_ACTIONS = {"GET": ("read", "R"), "PUT": ("update", "U"), "PATCH": ("patch", "U"), "DELETE": ("delete", "D")}
_REVIEW = {"system": "https://fhir-server.example/fhir/CodeSystem/audit", "code": "break-glass-review"}


async def attest(exchange: Exchange, address: str, response: Response) -> None:
    """Durable when this returns: who asked for what, and what came of it. FhirError 503."""
    context = exchange.context
    if not context.settings.audited or exchange.caller is NOBODY:
        return
    patients = _patients(exchange, address, response)
    if exchange.path.get("type") in SHARED and not patients:
        return
    moment = context.clock()
    code, action = _happened(exchange, address, response.status_code)
    happened = Interaction(
        exchange.caller, code, action, moment, response.status_code,
        _target(exchange), _query(exchange, address), exchange.headers.get("x-request-id", "")[:200],
    )  # fmt: skip
    await context.store.trail.append(audit.notes(happened, sorted(patients), context.settings.base))
    if exchange.caller.emergency:
        await _alert(exchange, moment)


async def shown(context: Context, caller: Caller, patients: Iterable[str], asked: str, code: str) -> None:
    """Durable when this returns: a page of ours is about to show these patients (ids), or has done to them what the
    interaction's code says. `asked` is what was typed or posted. FhirError 503."""
    if not context.settings.audited:
        return
    happened = Interaction(caller, code, "E", context.clock(), 200, query=asked)
    await context.store.trail.append(audit.notes(happened, sorted(patients), context.settings.base))


def _patients(exchange: Exchange, address: str, response: Response) -> set[str]:
    found = set() if isinstance(response, StreamingResponse) else audit.patients_in(bytes(response.body))
    if exchange.path.get("type") == "Binary":
        # Content in its own format says in a header whose it is.
        found |= audit.patients_named(response.headers.get(binary.SECURITY_CONTEXT, ""))
        found |= audit.patients_named(exchange.headers.get(binary.SECURITY_CONTEXT, ""))
    found |= audit.patients_named(f"{address}?{exchange.query}")
    found |= exchange.trace.patients
    for request in exchange.trace.requests:
        found |= audit.patients_named(request)
    names = ("patient", "subject", "_id") if exchange.path.get("type") == "Patient" else ("patient", "subject")
    found |= {each for key, value in exchange.asked if key in names for each in value.split(",")}
    return {each for each in found if legal_id(each)}


def _happened(exchange: Exchange, address: str, status: int) -> tuple[str, str]:
    """The code of the interaction, and AuditEvent's letter for it."""
    path, method = exchange.path, exchange.method
    if "operation" in path or "job" in path:
        return "operation", "E"
    if "version" in path:
        return "vread", "R"
    if address.endswith("/_history"):
        return f"history-{'instance' if 'id' in path else 'type' if 'type' in path else 'system'}", "R"
    if method == "POST" and not address.endswith("/_search"):
        return ("create", "C") if "type" in path else ("batch", "E")
    if "id" not in path or "owner" in path or method == "POST":
        if method in ("GET", "HEAD", "POST"):
            return ("search-type" if "type" in path else "search-system"), "E"
    elif address.endswith("/*"):
        return "search-system", "E"
    code, action = _ACTIONS.get(method, ("read", "R"))
    return (code, action) if status != 201 else ("create", "C")


def _target(exchange: Exchange) -> str:
    path = exchange.path
    if "owner" in path or "type" not in path or "id" not in path:
        return ""
    version = f"/_history/{path['version']}" if "version" in path else ""
    return f"{path['type']}/{path['id']}{version}"


def _query(exchange: Exchange, address: str) -> str:
    asked = f"{exchange.method} {address}{'?' if exchange.query else ''}{exchange.query}"
    return "\n".join([asked, *exchange.form, *exchange.trace.requests])


async def _alert(exchange: Exchange, moment: int) -> None:
    """Somebody broke the glass: stewards get a Task for it, once a day for the same caller and patient."""
    context, caller = exchange.context, exchange.caller
    log.warning("%s was used; stewards find a Task to review it", emergency.HEADER)
    day = json.instant(moment)[:10]
    id = hashlib.sha256(f"{caller.subject}|{caller.emergency}|{day}".encode()).hexdigest()[:40]
    task = {
        "resourceType": "Task",
        "id": id,
        "status": "requested",
        "intent": "order",
        "code": {"coding": [_REVIEW]},
        "for": {"reference": f"Patient/{caller.emergency}"},
        "authoredOn": json.instant(moment),
        "description": caller.purpose,
        "input": [{"type": {"text": "who"}, "valueString": caller.subject}],
    }
    entries = index.entries(task, context.settings.base)
    try:
        await context.store.commit(SERVER, allow_all, [Create("Task", id, json.dump(task), entries)])
    except FhirError as error:
        if error.status != 409:
            raise
