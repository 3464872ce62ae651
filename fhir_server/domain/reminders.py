"""Reminders: what falls due for a person on a day, in which language, and over which channel they may be reached.

https://hl7.org/fhir/R4/communicationrequest.html

Each thing is due on one day, so that a run for every day tells everybody everything once. People who declined, who want
no contact, who are done or have died are told nothing.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Literal

from fhir_server.domain.eligibility import Decision
from fhir_server.domain.facts import Facts, Source
from fhir_server.domain.phases import Group

Occasion = Literal["dose-due", "dose-overdue", "newly-eligible", "welcome"]
"""The next dose of a vaccination that was begun is recommended from today; it is overdue from today; a phase opened, or
a birthday came, and the person may come now; the person has registered."""

Channel = Literal["email", "call-list"]
"""A message to the person, or an entry in the list of those whom their provider calls."""

Way = Literal["email", "phone"]

_FIRST = date.min + timedelta(days=1)
"""The first day that has one before it."""


@dataclass(frozen=True, slots=True)
class Contact:
    """How a person can be reached: in `en` or `es`, at which addresses, and which ways they `allow`. `refused` is who
    said that they want no contact."""

    language: str = "en"
    email: str | None = None
    phone: str | None = None
    allow: frozenset[Way] = frozenset({"email", "phone"})
    refused: Source | None = None


@dataclass(frozen=True, slots=True)
class Reminder:
    """Something due on `day`. `address` is the e-mail address, for the call list the telephone number if there is one.
    `number` is that of the dose; `group` the phase that opened."""

    occasion: Occasion
    day: date
    language: str
    channel: Channel
    address: str | None
    number: int | None = None
    group: Group | None = None


def due(
    facts: Facts, contact: Contact, may_come: Callable[[date], bool], decided: Callable[[date], Decision], day: date
) -> Reminder | None:
    """The reminder due on that day, or None. `may_come` and `decided` say of a day what combined.py does of the same
    facts; they cost more than all else here, and are asked only for what can still change the answer."""
    channel = channel_of(contact)
    if stopped(facts, contact) or channel is None:
        return None
    begun = has_begun(facts, day)
    # Most people who have had no dose could come yesterday already, and are told nothing today.
    if not begun and (may_come(max(day, _FIRST) - timedelta(days=1)) or not may_come(day)):
        return None
    now = decided(day)
    occasion = _of_the_next_dose(now, day) if begun else "newly-eligible"
    if occasion is None:
        return None
    address = contact.email if channel == "email" else contact.phone
    if occasion == "newly-eligible":
        return Reminder(occasion, day, contact.language, channel, address, group=now.group)
    number = None if now.next_dose is None else now.next_dose.number
    return Reminder(occasion, day, contact.language, channel, address, number)


def welcome(facts: Facts, contact: Contact, day: date) -> Reminder | None:
    """What tells a person by e-mail that they have registered, or None."""
    if stopped(facts, contact) or channel_of(contact) != "email":
        return None
    return Reminder("welcome", day, contact.language, "email", contact.email)


def stopped(facts: Facts, contact: Contact) -> bool:
    """Whether the person is told nothing at all: they declined, want no contact, or have died."""
    return facts.declined is not None or facts.deceased is not None or contact.refused is not None


def channel_of(contact: Contact) -> Channel | None:
    """How the person is told; None where they allow no way."""
    if "email" in contact.allow and contact.email is not None:
        return "email"
    # Without an e-mail address the provider calls, also those who would rather have had a message.
    return "call-list" if contact.allow else None


def has_begun(facts: Facts, day: date) -> bool:
    """Whether the person had a dose before that day. Who has begun goes on, whichever phase is open."""
    return any(dose.given < day for dose in facts.doses)


def _of_the_next_dose(now: Decision, day: date) -> Occasion | None:
    following = now.next_dose
    if following is None or now.status in ("complete", "opted-out"):
        return None
    if following.recommended == day:
        return "dose-due"
    if following.past_due is not None and following.past_due == day - timedelta(days=1):
        return "dose-overdue"
    return None
