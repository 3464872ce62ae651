"""Corrections: revokes the cards that carry a dose once its record is corrected, entered in error, or deleted.

https://hl7.org/fhir/uv/smart-health-cards-and-links/cards-specification.html#revocation

It follows the feed of all changes, so no way of writing goes past it, and it goes on after a crash from the number up
to which everything has been looked at. Looking twice changes nothing: what is revoked depends on versions alone
(docs/decisions/0011-revocation.md). Every worker process follows; who is second finds it done.
"""

import asyncio
import logging
from collections.abc import Iterable
from typing import Any

from fhir_server.background import Background
from fhir_server.caller import SERVER, allow_all
from fhir_server.context import Context
from fhir_server.fhir import json
from fhir_server.fhir.outcome import FhirError
from fhir_server.operations.health_cards import log
from fhir_server.operations.health_cards.record import code_allowed, normal
from fhir_server.store.cards.revocations import Change
from smart_health_cards import minimal

_log = logging.getLogger(__name__)

REASON = "record-corrected"
POLL_SECONDS = 1.0
PAUSE_SECONDS = 0.1
"""Waited between rounds, so that a burst of writes is looked at at once."""
REMEMBERED_EVERY = 1_000
"""Changes after which the place is stored even though nothing was revoked; more are only looked at twice."""


class Corrections:
    """This process's follower. `start` it once, `close` it before the store; another process, or the next start, goes
    on."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._background = Background("card corrections", self._once)
        self._number: int | None = None
        self._stored = 0
        self.start, self.close = self._background.start, self._background.close

    async def _once(self) -> None:
        """Look at what has changed since, or wait for a change."""
        revocations = self._context.store.revocations
        try:
            if self._number is None:
                self._number = self._stored = await revocations.followed()
            changes, reached = await revocations.follow(self._number)
            for change in changes:
                await correct(self._context, change)
            if changes or reached - self._stored >= REMEMBERED_EVERY:
                await revocations.looked_at(reached)
                self._stored = reached
            self._number = reached
            if await self._context.store.wait_for_change(reached, POLL_SECONDS):
                await asyncio.sleep(PAUSE_SECONDS)
        except FhirError as error:
            _log.warning("revocations wait for the database: %s", error.issues[0].detail)
            await asyncio.sleep(POLL_SECONDS)


async def correct(context: Context, change: Change) -> None:
    """Revoke the cards made from earlier versions of a dose, if the change took or altered what they say of it."""
    before = await _said(context, change.id, change.version - 1)
    if before is None or before == await _said(context, change.id, change.version):
        return
    stale = [card for card in await log.of_dose(context, change.id) if card.doses[change.id] < change.version]
    moments: dict[tuple[str, str], int] = {}
    for card in stale:
        whose = (card.patient, card.group)
        moments[whose] = max(moments.get(whose, 0), card.not_before + 1)
    for (patient, group), moment in moments.items():
        cards = [card for card in await log.of_patient(context, patient) if card.group == group]
        await revoke(context, [card for card in cards if card.not_before < moment], moment, "server", REASON)


async def revoke(context: Context, cards: Iterable[log.Logged], moment: int, agent: str, reason: str) -> int:
    """Revoke these cards, and all with their rid dated before `moment`; recorded before it counts. How many rids were
    not revoked up to that moment before. FhirError 503."""
    marks = {(card.kid, card.rid): card for card in cards if card.rid}
    for card in marks.values():
        await log.revoked(context, card, moment, agent, reason)
    return len(await context.store.revocations.revoke(dict.fromkeys(marks, moment)))


async def _said(context: Context, id: str, version: int) -> tuple[Any, dict[str, Any]] | None:
    """What a card says of a version of a dose, and of whom; None where that version goes on no card."""
    try:
        stored = await context.store.vread(SERVER, allow_all, "Immunization", id, version)
    except FhirError as error:
        if error.status >= 500:
            raise
        return None
    dose = normal(json.parse(stored.raw or b"{}"))
    usable = minimal.vaccine_coding(dose, code_allowed) is not None and "occurrenceDateTime" in dose
    if dose.get("status") != "completed" or not usable:
        return None
    return dose["patient"], minimal.immunization(dose, code_allowed)
