"""https://hl7.org/fhir/R4/communication.html

Who is written to, what they are told, what is recorded, and that nobody is written to twice.
"""

import asyncio
import logging
from datetime import date
from typing import Any

import pytest

from fhir_server.caller import SERVER, allow_all
from fhir_server.context import Context
from fhir_server.fhir import json
from fhir_server.fhir.outcome import FhirError
from fhir_server.jobs.reminders import record
from fhir_server.jobs.reminders import sending as module
from fhir_server.jobs.reminders.account import account
from fhir_server.jobs.reminders.post import Post, UnavailableError
from fhir_server.jobs.reminders.record import About
from fhir_server.jobs.reminders.sending import Sending
from fhir_server.operations import reminders, vocabulary
from fhir_server.store.records import Delete
from profiles import structure
from tests.operations.conftest import Clock
from tests.reminders.conftest import BROKEN_OFF, SPANISH, Mailbox, dose, due, patient, store

Timed = tuple[Context, Clock]


async def day(sending: Sending) -> dict[module.Result, int]:
    """Go through the day; what became of it."""
    sending.counts.clear()
    await sending.day(sending.context.today)
    return dict(sending.counts)


async def communication(context: Context, name: str, occasion: str = "dose-due") -> dict[str, Any]:
    about = About(f"Patient/{name}", occasion, context.today)
    stored = await context.store.read(SERVER, allow_all, "Communication", about.id)
    found: dict[str, Any] = json.parse(stored.raw or b"{}")
    return found


def consent(name: str, kind: str) -> dict[str, Any]:
    return {
        "resourceType": "Consent",
        "id": f"{name}-{kind}",
        "status": "active",
        "scope": {"text": "treatment"},
        "category": [{"coding": [{"system": vocabulary.CONSENT_CATEGORY, "code": kind}]}],
        "patient": {"reference": f"Patient/{name}"},
    }


def answers(name: str, *ways: str, id: str = "") -> dict[str, Any]:
    codings = [{"valueCoding": {"system": vocabulary.REMINDER_CHANNEL, "code": way}} for way in ways]
    return {
        "resourceType": "QuestionnaireResponse",
        "id": id or f"{name}-answers",
        "status": "completed",
        "questionnaire": vocabulary.REGISTRATION,
        "subject": {"reference": f"Patient/{name}"},
        "item": [{"linkId": "reminders", "answer": codings}] if codings else [],
    }


async def test_everybody_once_in_their_language(timed: Timed, sending: Sending, mailbox: Mailbox) -> None:
    context, _ = timed
    await store(context, *due("one"), *due("two", **SPANISH), *due("three", telecom=[]), patient("undosed"))
    assert await day(sending) == {"sent": 2, "call list": 1}
    assert await day(sending) == {"before": 2, "call list": 1}
    messages = dict(mailbox.taken)
    assert sorted(mailbox.recipients) == ["one@example.org", "two@example.org"]
    assert [messages[each]["Subject"] for each in sorted(messages)] == [
        "It is time for your next dose",
        "Le toca la próxima dosis",
    ]
    english = messages["one@example.org"].get_body(("plain",))
    spanish = messages["two@example.org"].get_body(("html",))
    assert english is not None and spanish is not None
    assert english.get_content().splitlines()[:5] == [
        "Hello Ana Peña,",
        "",
        "Your next dose of COVID-19 vaccine is due from February 5, 2021.",
        "",
        "Your page: https://vaccines.example/me",
    ]
    for said in ("Hola, Ana Peña:", "le toca a partir del 5 de febrero de 2021.", 'href="https://vaccines.example/me"'):
        assert said in spanish.get_content()


async def test_what_is_recorded(timed: Timed, sending: Sending, mailbox: Mailbox) -> None:
    context, _ = timed
    await store(context, *due("one"))
    await day(sending)
    found = await communication(context, "one")
    assert {name: found[name] for name in ("status", "subject", "recipient", "identifier", "sent", "payload")} == {
        "status": "completed",
        "subject": {"reference": "Patient/one"},
        "recipient": [{"reference": "Patient/one"}],
        "identifier": [{"system": vocabulary.REMINDER, "value": "Patient/one/dose-due/2021-02-05"}],
        "sent": "2021-02-05T15:00:00.000000Z",
        "payload": [{"contentString": "Your next dose of COVID-19 vaccine is due from February 5, 2021."}],
    }
    assert found["meta"]["versionId"] == "2"
    assert not structure.check(found)
    assert mailbox.taken[0][1]["Message-ID"] == f"<{found['id']}@vaccines.example>"


async def test_who_is_not_written_to(timed: Timed, sending: Sending, mailbox: Mailbox) -> None:
    context, _ = timed
    old = [{"system": "email", "value": "old@example.org", "use": "old"}]
    await store(context, *due("declined", "silent", "none", "phone", "done"), *due("dead", deceasedBoolean=True))
    await store(context, *due("inactive", active=False), *due("moved", telecom=old), *due("one"))
    await store(context, consent("declined", "decline-vaccine"), consent("silent", "no-contact"))
    await store(context, answers("none", "none"), answers("phone", "phone"), dose("done", "2021-02-05"))
    assert await day(sending) == {"sent": 1, "call list": 2}
    assert mailbox.recipients == ["one@example.org"]


async def test_refused_for_good_and_for_now(
    timed: Timed, sending: Sending, mailbox: Mailbox, caplog: pytest.LogCaptureFixture
) -> None:
    context, clock = timed
    says = {"one@example.org": "550 5.1.1 one@example.org is unknown", "two@example.org": "450 4.2.0 come again"}
    mailbox.on_recipient = lambda session, address: says.get(address)
    await store(context, *due("one", "two", "three"))
    with caplog.at_level(logging.DEBUG, "fhir_server"):
        assert await day(sending) == {"refused": 1, "put off": 1, "sent": 1}
    assert "example.org" not in caplog.text and "450" in caplog.text
    assert (await communication(context, "one"))["statusReason"]["coding"][0]["code"] == "recipient-unavailable"
    says.clear()
    assert await day(sending) == {"before": 3}
    sending.counts.clear()
    await sending.again()
    assert sending.counts == {}
    clock.time += module.pause(1) * 1_000_000
    await sending.again()
    assert sending.counts == {"sent": 1}
    assert sorted(mailbox.recipients) == ["three@example.org", "two@example.org"]
    found = await communication(context, "two")
    assert found["status"] == "completed" and "statusReason" not in found


async def test_refused_after_the_whole_message_and_given_up(timed: Timed, sending: Sending, mailbox: Mailbox) -> None:
    context, clock = timed
    mailbox.on_message = lambda session, address: "452 4.3.1 full"
    await store(context, *due("one"))
    assert await day(sending) == {"put off": 1}
    for _ in range(module.LAST_VERSION):
        clock.time += module.LONGEST_PAUSE_SECONDS * 1_000_000
        await sending.again()
    found = await record.find(context, About("Patient/one", "dose-due", date(2021, 2, 5)))
    assert found is not None
    assert (found.status, found.resource["statusReason"]["coding"][0]["code"]) == ("not-done", "system-error")
    assert sending.counts["refused"] == 1
    assert mailbox.taken == []


@pytest.mark.parametrize(
    "besides",
    [[consent("one", "no-contact")], [dose("one", "2021-02-06")], [patient("one", telecom=[])], []],
)
async def test_what_waits_is_stopped_where_it_is_over(
    timed: Timed, sending: Sending, mailbox: Mailbox, besides: list[dict[str, Any]]
) -> None:
    context, clock = timed
    mailbox.on_recipient = lambda session, address: "450 4.2.0 come again"
    await store(context, *due("one"))
    assert await day(sending) == {"put off": 1}
    mailbox.on_recipient = lambda session, address: None
    if besides:
        await store(context, *besides)
    else:
        await context.store.commit(
            SERVER, allow_all, [Delete("Immunization", "one-2021-01-15"), Delete("Patient", "one")]
        )
    clock.time += 86_400 * 1_000_000
    await sending.again()
    assert sending.counts == {"put off": 1, "over": 1}
    found = await record.find(context, About("Patient/one", "dose-due", date(2021, 2, 5)))
    assert found is not None and found.status == "stopped"
    assert mailbox.taken == []


async def test_who_was_killed_within_a_message_leaves_a_doubt(timed: Timed, sending: Sending, mailbox: Mailbox) -> None:
    context, clock = timed
    await store(context, *due("one"))
    [found], _ = await reminders.page(context, SERVER, allow_all, context.today, None, 10)
    await record.intend(context, found, None)
    assert await day(sending) == {"before": 1}
    await sending.doubts()
    assert (await communication(context, "one"))["status"] == "in-progress"
    clock.time += int(module.DOUBT_SECONDS + 1) * 1_000_000
    await sending.doubts()
    assert (await communication(context, "one"))["status"] == "unknown"
    assert sending.counts == {"before": 1, "in doubt": 1}
    assert mailbox.taken == []


async def test_of_two_who_send_at_once_one_does(timed: Timed, sending: Sending, mailbox: Mailbox) -> None:
    context, _ = timed
    await store(context, *due(*(f"p{number}" for number in range(8))))
    post = Post(account(context.settings))
    other = Sending(context, post)
    await asyncio.gather(sending.day(context.today), other.day(context.today))
    await post.close()
    assert sending.counts.get("sent", 0) + other.counts.get("sent", 0) == 8
    assert len(mailbox.taken) == len(set(mailbox.recipients)) == 8


async def test_an_intent_that_came_second_sends_nothing(timed: Timed, sending: Sending, mailbox: Mailbox) -> None:
    """The other one was faster, between the look and the intent: the message was announced, and never ended."""
    context, _ = timed
    await store(context, *due("one", "two"))
    found, _ = await reminders.page(context, SERVER, allow_all, context.today, None, 10)
    reached: list[str] = []

    def reach(session: object, address: str) -> None:
        reached.append(address)

    mailbox.on_recipient = reach
    await record.intend(context, found[0], None)
    assert await sending._send(found[0], None) == "before"
    assert await sending.send(found[1]) == "sent"
    assert len(reached) == 2
    assert mailbox.recipients == reached[1:]


async def test_a_connection_that_breaks_before_the_servers_word(
    timed: Timed, sending: Sending, mailbox: Mailbox
) -> None:
    context, _ = timed
    mailbox.on_message = lambda session, address: BROKEN_OFF
    await store(context, *due("one"))
    assert await day(sending) == {"in doubt": 1}
    assert (await communication(context, "one"))["status"] == "unknown"
    mailbox.on_message = lambda session, address: None
    assert await day(sending) == {"before": 1}


async def test_told_to_stop_a_message_is_ended_first(timed: Timed, sending: Sending, mailbox: Mailbox) -> None:
    context, _ = timed
    await store(context, *due("one", "two"))
    working = asyncio.create_task(sending.day(context.today))

    def stop(session: object, address: str) -> None:
        working.cancel()

    mailbox.on_message = stop
    with pytest.raises(asyncio.CancelledError):
        await working
    assert len(mailbox.taken) == 1
    name = mailbox.recipients[0].partition("@")[0]
    assert (await communication(context, name))["status"] == "completed"


async def test_a_deleted_record_is_no_reason_to_send_again(timed: Timed, sending: Sending, mailbox: Mailbox) -> None:
    context, _ = timed
    await store(context, *due("one"))
    await day(sending)
    found = await communication(context, "one")
    await context.store.commit(SERVER, allow_all, [Delete("Communication", found["id"])])
    assert await day(sending) == {"before": 1}
    with pytest.raises(FhirError):
        await communication(context, "one")


async def test_a_server_that_is_away_leaves_all_as_it_is(timed: Timed, sending: Sending, mailbox: Mailbox) -> None:
    context, _ = timed
    await store(context, *due("one", "two"))
    mailbox.on_recipient = lambda session, address: "421 4.3.2 closing"
    with pytest.raises(UnavailableError):
        await day(sending)
    mailbox.on_recipient = lambda session, address: None
    assert await day(sending) == {"sent": 2}


async def test_who_registers_is_welcomed_once(timed: Timed, sending: Sending, mailbox: Mailbox) -> None:
    context, clock = timed
    clock.set("2021-03-05T10:00:00-05:00")  # after all that other tests did
    await store(context, patient("old"), answers("old"))
    clock.time += 3_600 * 1_000_000
    since = clock.time
    clock.time += 1_000_000
    await store(
        context, patient("new", **SPANISH), patient("silent"), patient("roster"), consent("silent", "no-contact")
    )
    await store(context, answers("new"), answers("silent"), answers("old", id="old-again"))
    await store(context, {**answers("roster"), "questionnaire": "https://example.org/Questionnaire/other"})
    clock.time += 1_000_000
    for _ in range(2):
        await sending.welcomes(since, clock.time)
    assert sending.counts == {"sent": 1, "before": 1}
    [(recipient, message)] = mailbox.taken
    assert (recipient, message["Subject"]) == ("new@example.org", "Se ha registrado")
    await store(context, {**answers("new", "email"), "status": "amended"})
    clock.time += 86_400 * 1_000_000
    await sending.welcomes(since, clock.time)
    assert len(mailbox.taken) == 1
