"""Enrolment: how a person comes to have an account, or to act for a child: by registering, or by an invitation.

https://hl7.org/fhir/R4/patient.html

Neither tells who is known. Whoever registers gets a new Patient, always; whether it may be somebody who is on record is
looked at later, by a job, and told to stewards alone. The Patient is written as its own person, by a predicate that
allows just that one create; with Provenance and in the access log, as every other write.
"""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from functools import partial
from typing import Any

from fhir_server.access import accounts, audit, invitations, own_app, passwords, users
from fhir_server.access.audit import Interaction
from fhir_server.access.invitations import Invitation
from fhir_server.access.provenance import provenance
from fhir_server.caller import SERVER, Access, Caller, Predicate, Verb, allow_all
from fhir_server.context import Context
from fhir_server.domain.demographics import phone
from fhir_server.domain.roster import person_key
from fhir_server.fhir import json, query
from fhir_server.fhir.condition import All, Condition, Ids, Not
from fhir_server.interactions import duplicates
from fhir_server.interactions.incoming import accept, entries_of
from fhir_server.interactions.search import gather
from fhir_server.interactions.writes import new_id
from fhir_server.store.accounts.users import User
from fhir_server.store.held import Held
from fhir_server.store.records import Create

KIND = "registration-duplicates"
_SCOPES = ("user/Patient.c",)
_ACTIONS = {"create": "C", "operation": "E"}


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
    caller = await _created(context, user, id, person)
    kept = await accounts.open_account(context.authority, user, hashed)
    await _logged(context, caller, id, "create")
    return kept


async def register_child(context: Context, user: User, child: Person) -> str:
    """Id of a new Patient, for whom the user acts until they are 18; never somebody who is on record.

    FhirError 503, and what a Patient may be refused for.
    """
    id = new_id()
    caller = await _created(context, user, id, child)
    await context.authority.users.add_proxy(user.login, id, users.adult_on(date.fromisoformat(child.born)))
    await _logged(context, caller, id, "create")
    return id


async def act_for(context: Context, user: User, code: str, born: str) -> str | None:
    """Id of the child for whom a proxy's code and birth date let the user act until they are 18; None for a code that
    opens nothing, or not to a proxy, and for another birth date. FhirError 503."""
    invitation = await _opens(context, code, born)
    if invitation is None or not invitation.proxy:
        return None
    until = users.adult_on(date.fromisoformat(born))
    if until <= context.clock() or not await invitations.take(context.authority, invitation):
        return None
    await context.authority.users.add_proxy(user.login, invitation.patient, until)
    caller = users.caller(user, own_app.ID, (), context.clock())
    await _logged(context, caller, invitation.patient, "operation")
    return invitation.patient


async def redeem(context: Context, wished: str, password: str, code: str, born: str) -> User | None:
    """An account for the Patient an invitation is for, or for their proxy; None for a code that opens nothing, or
    another birth date.

    ValueError for a name or password that cannot be; FhirError 503.
    """
    authority = context.authority
    accounts.proposed(wished, "unknown")
    hashed = await passwords.hashed(password)
    invitation = await _opens(context, code, born)
    if invitation is None:
        return None
    id = invitation.patient
    until = users.adult_on(date.fromisoformat(born)) if invitation.proxy else 0
    barred = until <= context.clock() if invitation.proxy else await authority.users.of_patient(id) is not None
    if barred or not await invitations.take(authority, invitation):
        return None
    proposed = accounts.proposed(wished, "" if invitation.proxy else id, [(id, until)] if invitation.proxy else [])
    user = await accounts.open_account(authority, proposed, hashed)
    await _logged(context, users.caller(user, own_app.ID, (), context.clock()), id, "operation")
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


async def _created(context: Context, user: User, id: str, person: Person) -> Caller:
    """The user as the one who wrote a new Patient, whose likes are looked for later."""
    caller = users.caller(user, own_app.ID, _SCOPES, context.clock())
    incoming = accept(context, "Patient", json.dump(_patient(person)))
    create = Create("Patient", id, incoming.body, entries_of(context, incoming.resource, id))
    await context.store.commit(caller, only(caller, "c", "Patient", id), [create])
    await context.store.jobs.enqueue(caller, KIND, {"patient": id})
    return caller


async def _opens(context: Context, code: str, born: str) -> Invitation | None:
    """The open invitation with this code, for somebody born that day; a wrong day counts against it."""
    invitation = await invitations.find(context.authority, code)
    if invitation is not None and not await _is(context, invitation.patient, born):
        await invitations.doubt(context.authority, invitation)
        return None
    return invitation


async def _is(context: Context, id: str, born: str) -> bool:
    found = await context.store.read_many(SERVER, allow_all, [("Patient", id)])
    kept = str(json.parse(found[0].raw or b"{}").get("birthDate", "")) if found else ""
    return secrets.compare_digest(kept.encode(), born.encode()) and bool(kept)


async def _logged(context: Context, caller: Caller, patient: str, code: str) -> None:
    """A record was opened to somebody: in the person's access log before they are told so."""
    if not context.settings.audited:
        return
    moment, action = context.clock(), _ACTIONS[code]
    happened = Interaction(caller, code, action, moment, 201, query="POST /register")
    await context.store.trail.append(audit.notes(happened, [patient], context.settings.base))


def _keys(patient: Mapping[str, Any]) -> set[str]:
    """By what a person is known again: names and birth date, as far as spelling goes."""
    born = patient.get("birthDate", "")
    return {
        person_key(name.get("family", ""), given, born)
        for name in patient.get("name", ())
        for given in name.get("given", ())[:1]
    }
