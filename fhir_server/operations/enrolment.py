"""Enrolment: how a person comes to have an account: by registering, or by an invitation for their record.

https://hl7.org/fhir/R4/patient.html

Neither tells who is known. Whoever registers gets a new Patient, always; whether it may be somebody who is on record is
looked at later, by a job, and told to stewards alone. The Patient is written as its own person, by a predicate that
allows just that one create; with Provenance and in the access log, as every other write.
"""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from fhir_server.access import accounts, audit, invitations, own_app, passwords, users
from fhir_server.access.audit import Interaction
from fhir_server.access.provenance import provenance
from fhir_server.caller import SERVER, Access, Caller, Predicate, Verb, allow_all
from fhir_server.context import Context
from fhir_server.domain.demographics import phone
from fhir_server.domain.roster import person_key
from fhir_server.fhir import json, query
from fhir_server.fhir.condition import SEPARATOR, All, Condition, Ids, Keys, Not
from fhir_server.interactions import duplicates
from fhir_server.interactions.incoming import accept, entries_of
from fhir_server.interactions.search import gather
from fhir_server.interactions.writes import new_id
from fhir_server.store.held import Held
from fhir_server.store.records import Create, Selection
from fhir_server.store.users import User

KIND = "registration-duplicates"
_SCOPES = ("user/Patient.c",)


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody who registers: names, birth date (YYYY-MM-DD), address and telephone where there are any, language."""

    given: str
    family: str
    born: str
    email: str
    phone: str
    language: str


async def register(context: Context, wished: str, password: str, person: Person) -> User:
    """A new account for a new Patient. ValueError for a name or password that cannot be; FhirError 503, and what a
    Patient may be refused for."""
    id = new_id()
    user = accounts.proposed(wished, id)
    hashed = await passwords.hashed(password)
    caller = users.caller(user, own_app.ID, _SCOPES, context.clock())
    incoming = accept(context, "Patient", json.dump(_patient(person)))
    create = Create("Patient", id, incoming.body, entries_of(context, incoming.resource, id))
    await context.store.commit(caller, only(caller, "c", "Patient", id), [create])
    kept = await accounts.open_account(context.authority, user, hashed)
    await _log(context, caller, id, "create", "C")
    await context.store.jobs.enqueue(caller, KIND, {"patient": id})
    return kept


async def redeem(context: Context, wished: str, password: str, code: str, born: str) -> User | None:
    """An account for the Patient an invitation is for; None for a code that opens nothing, or another birth date.

    ValueError for a name or password that cannot be; FhirError 503.
    """
    authority = context.authority
    wishing = accounts.proposed(wished, "unknown")
    hashed = await passwords.hashed(password)
    invitation = await invitations.find(authority, code)
    if invitation is None:
        return None
    id = invitation.patient
    if not await _is(context, id, born):
        await invitations.doubt(authority, invitation)
        return None
    barred = await authority.users.of_patient(id) is not None or (
        invitation.by_employer and await _has_doses(context, id)
    )
    if barred or not await invitations.take(authority, invitation):
        return None
    user = await accounts.open_account(authority, accounts.proposed(wishing.login, id), hashed)
    await _log(context, users.caller(user, own_app.ID, (), context.clock()), id, "operation", "E")
    return user


async def find_duplicates(context: Context, predicate: Predicate, held: Held) -> None:
    """The job after a registration: stewards get a Task for everybody on record with the same names and birth date."""
    id = str(held.job.given["patient"])
    found = await context.store.read_many(SERVER, allow_all, [("Patient", id)])
    patient: dict[str, Any] = json.parse(found[0].raw or b"{}") if found else {}
    if patient:
        same = query.criteria("Patient", f"birthdate={patient['birthDate']}", context.settings.base).where
        others = All((same, Not(Ids((id,)))))
        for row in await gather(context, SERVER, allow_all, "Patient", others):
            if _keys(json.parse(row.raw or b"{}")) & _keys(patient):
                await duplicates.tell(context, f"Patient/{id}", f"Patient/{row.id}")
    await held.finish(b"", b"", 0)


def only(caller: Caller, verb: Verb, resource_type: str, id: str) -> Access:
    """The predicate of who may do this with one resource, and nothing else."""

    def rules(wanted: Verb | None, asked: str) -> Condition | None:
        return Ids((id,)) if (wanted in (verb, None) and asked == resource_type) else None

    return Access(rules, witness=partial(provenance, caller))


def _patient(person: Person) -> dict[str, Any]:
    telecom = [{"system": "email", "value": person.email}] if person.email else []
    number = phone(person.phone) if person.phone else None
    telecom += [{"system": "phone", "value": number}] if number else []
    language = {"coding": [{"system": "urn:ietf:bcp:47", "code": person.language}]}
    return {
        "resourceType": "Patient",
        "active": True,
        "name": [{"use": "official", "family": person.family, "given": [person.given]}],
        **({"telecom": telecom} if telecom else {}),
        "birthDate": person.born,
        "communication": [{"language": language, "preferred": True}],
    }


async def _is(context: Context, id: str, born: str) -> bool:
    found = await context.store.read_many(SERVER, allow_all, [("Patient", id)])
    kept = str(json.parse(found[0].raw or b"{}").get("birthDate", "")) if found else ""
    return secrets.compare_digest(kept.encode(), born.encode()) and bool(kept)


async def _has_doses(context: Context, id: str) -> bool:
    where = Keys("tk", (f"patient{SEPARATOR}Patient/{id}",))
    found = await context.store.search(SERVER, allow_all, Selection("Immunization", where, limit=1))
    return bool(found.rows)


async def _log(context: Context, caller: Caller, patient: str, code: str, action: str) -> None:
    """An account was opened: in the person's access log before they are told so."""
    if not context.settings.audited:
        return
    moment = context.clock()
    happened = Interaction(caller, code, action, json.instant(moment), 201, query="POST /register")
    events = []
    for event, entries in audit.events(happened, [patient], context.settings.base):
        id = secrets.token_hex(16)
        events.append((id, json.stamp(json.dump(event), id, 1, moment), entries))
    await context.store.trail.append(events, moment)


def _keys(patient: Mapping[str, Any]) -> set[str]:
    """By what a person is known again: names and birth date, as far as spelling goes."""
    born = patient.get("birthDate", "")
    return {
        person_key(name.get("family", ""), given, born)
        for name in patient.get("name", ())
        for given in name.get("given", ())[:1]
    }
