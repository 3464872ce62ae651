"""The record of a message: a Communication whose id is made of what it is about, so that there can be only one.

https://hl7.org/fhir/R4/communication.html

    nothing -> in-progress (about to be handed over) -> completed
                                                     -> unknown: nobody can tell whether it was sent; not sent again
    nothing or in-progress -> on-hold (to be tried again) -> in-progress, ...
    any of these -> not-done (refused for good, or given up), stopped (the person wants no more, or it is over)
"""

import hashlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import date
from typing import Any, Literal

from fhir_server.caller import SERVER, allow_all
from fhir_server.context import Context
from fhir_server.fhir import index, json
from fhir_server.fhir.condition import SEPARATOR, Keys
from fhir_server.fhir.outcome import FhirError
from fhir_server.operations import vocabulary
from fhir_server.operations.reminders import Due, text
from fhir_server.store.records import Selection, Stored, Update

Resource = dict[str, Any]
Status = Literal["in-progress", "completed", "on-hold", "not-done", "stopped", "unknown"]
Reason = Literal["unknown", "system-error", "recipient-unavailable", "patient-objection"]
"""Of R4's value set communication-not-done-reason."""

_NOT_DONE = "http://terminology.hl7.org/CodeSystem/communication-not-done-reason"
_CATEGORY = "http://terminology.hl7.org/CodeSystem/communication-category"
_MEDIUM = "http://terminology.hl7.org/CodeSystem/v3-ParticipationMode"


class TakenError(Exception):
    """Another process is sending this message, or has."""


@dataclass(frozen=True, slots=True)
class About:
    """What a message is about: the reference of the person, the occasion, and the day it fell due. A person is welcomed
    once, whatever the day."""

    patient: str
    occasion: str
    day: date

    @classmethod
    def of(cls, due: Due) -> "About":
        """What this reminder is about."""
        return cls(due.patient, due.reminder.occasion, due.reminder.day)

    @property
    def value(self) -> str:
        """The value of the message's identifier."""
        if self.occasion == "welcome":
            return f"{self.patient}/welcome"
        return f"{self.patient}/{self.occasion}/{self.day.isoformat()}"

    @property
    def id(self) -> str:
        """The logical id of its Communication."""
        return hashlib.sha256(self.value.encode()).hexdigest()[:40]


@dataclass(frozen=True, slots=True)
class Record:
    """A Communication as it stands; `updated` in microseconds since 1970."""

    about: About
    status: str
    version: int
    updated: int
    resource: Resource


async def find(context: Context, about: About) -> Record | None:
    """The record of this message. One that was deleted counts as one that was sent."""
    try:
        stored = await context.store.read(SERVER, allow_all, "Communication", about.id)
    except FhirError as error:
        if error.status == 404:
            return None
        if error.status == 410:
            return Record(about, "completed", 0, 0, {})
        raise
    return _record(stored, about)


async def standing(context: Context, status: Status) -> AsyncIterator[Record]:
    """All messages that stand like this."""
    where = Keys("tk", (f"status{SEPARATOR}*|{status}",))
    after: tuple[str | int, ...] | None = None
    while True:
        found = await context.store.search(SERVER, allow_all, Selection("Communication", where, limit=500, after=after))
        for row in found.rows:
            about = _about(json.parse(row.raw or b"{}"))
            if about is not None:
                yield _record(row, about)
        after = found.next
        if after is None:
            return


async def intend(context: Context, due: Due, before: Record | None) -> Record:
    """Record that the message is about to be handed over. TakenError where somebody else did so since `before`."""
    return await _write(context, due, before, "in-progress", None)


async def put_off(context: Context, due: Due, before: Record | None) -> Record:
    """Record that the message was not taken and is to be tried again. TakenError likewise."""
    return await _write(context, due, before, "on-hold", "system-error")


async def refused(context: Context, due: Due, before: Record | None, reason: Reason) -> Record:
    """Record that this message will never be sent. TakenError likewise."""
    return await _write(context, due, before, "not-done", reason)


async def settle(context: Context, record: Record, status: Status, reason: Reason | None = None) -> None:
    """Record what became of a message; what is known for certain takes the place of a doubt. TakenError where a
    message that may go on waiting, or is in doubt, has been taken up by somebody else."""
    resource = {**record.resource, "status": status}
    resource.pop("statusReason", None)
    if reason is not None:
        resource["statusReason"] = {"coding": [{"system": _NOT_DONE, "code": reason}]}
    if status == "completed":
        resource["sent"] = json.instant(context.clock())
    await _commit(context, record.about, resource, None if status == "completed" else record.version)


async def _write(context: Context, due: Due, before: Record | None, status: Status, reason: Reason | None) -> Record:
    about = About.of(due)
    resource: Resource = {
        "resourceType": "Communication",
        "id": about.id,
        "identifier": [{"system": vocabulary.REMINDER, "value": about.value}],
        "status": status,
        "category": [{"coding": [{"system": _CATEGORY, "code": "reminder"}]}],
        "medium": [{"coding": [{"system": _MEDIUM, "code": "EMAILWRIT"}]}],
        "subject": {"reference": about.patient},
        "recipient": [{"reference": about.patient}],
        "reasonCode": [{"coding": [{"system": vocabulary.REMINDER_OCCASION, "code": about.occasion}]}],
        "payload": [{"contentString": text(due.reminder)}],
    }
    if due.reminder.group is not None:
        resource["about"] = [{"reference": due.reminder.group.reference}]
    if reason is not None:
        resource["statusReason"] = {"coding": [{"system": _NOT_DONE, "code": reason}]}
    version = await _commit(context, about, resource, None if before is None else before.version, new=before is None)
    return Record(about, status, version.version, version.updated, resource)


async def _commit(
    context: Context, about: About, resource: Resource, expected: int | None, *, new: bool = False
) -> Stored:
    entries = index.entries(resource, context.settings.base)
    write = Update(
        "Communication", about.id, json.dump(resource), entries, expected, may_create=new, may_replace=not new
    )
    try:
        [committed] = await context.store.commit(SERVER, allow_all, [write])
    except FhirError as error:
        # There by now, or another version of it.
        if error.status in (404, 409, 410, 412):
            raise TakenError from None
        raise
    assert committed.stored is not None, "an update leaves a version"
    return committed.stored


def _record(stored: Stored, about: About) -> Record:
    resource: Resource = json.parse(stored.raw or b"{}")
    return Record(about, resource["status"], stored.version, stored.updated, resource)


def _about(resource: Resource) -> About | None:
    """What a Communication of ours is about; None for those of others."""
    for identifier in resource.get("identifier", ()):
        if identifier.get("system") == vocabulary.REMINDER:
            kind, id, occasion, day = (identifier.get("value", "") + "///").split("/")[:4]
            try:
                fell_due = date.fromisoformat(day) if day else date.min
            except ValueError:
                return None
            about = About(f"{kind}/{id}", occasion, fell_due)
            return about if about.id == resource.get("id") else None
    return None
