"""Choosing: the patients a user may choose from, by name, within what the user may see.

https://hl7.org/fhir/smart-app-launch/scopes-and-launch-context.html#standalone-apps
"""

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

from fhir_server.access import policy, users
from fhir_server.context import Context
from fhir_server.fhir import json
from fhir_server.interactions import search
from fhir_server.languages import day
from fhir_server.store.accounts.users import User

_MOST = 20
_WORDS = 20
_SCOPES = ("user/Patient.rs",)


async def own(context: Context, user: User, language: str) -> list[tuple[str, str]]:
    """The patients a recipient is and acts for: ids and what the page calls them."""
    ids = sorted(users.patients(user, context.clock()), key=lambda id: (id != user.patient, id))
    found = dict(await _found(context, user, language, [("_id", ",".join(ids))])) if ids else {}
    return [(id, found[id]) for id in ids if id in found]


async def named(context: Context, user: User, language: str, text: str) -> list[tuple[str, str]]:
    """The patients of whose names every word of the text is a part; nobody has a name of more than 20 words."""
    words = text.replace("\\", "").replace("|", "").replace("$", "").split()
    return (
        await _found(context, user, language, [("name", word.replace(",", "")) for word in words])
        if 0 < len(words) <= _WORDS
        else []
    )


async def one(context: Context, user: User, language: str, id: str) -> list[tuple[str, str]]:
    """This patient, if the user may see them."""
    return await _found(context, user, language, [("_id", id.replace(",", ""))]) if id else []


async def _found(
    context: Context, user: User, language: str, query: Sequence[tuple[str, str]]
) -> list[tuple[str, str]]:
    now = context.clock()
    caller = users.caller(user, "", _SCOPES, now)
    reply = await search.search(
        context,
        caller,
        policy.access(caller, now, context.settings.small_cell),
        "Patient",
        [*query, ("_count", str(_MOST))],
        False,
    )
    bundle = json.parse(reply.body or b"{}")
    return [(entry["resource"]["id"], _label(entry["resource"], language)) for entry in bundle.get("entry", ())]


def _label(patient: Mapping[str, Any], language: str) -> str:
    names = patient.get("name") or [{}]
    name = " ".join([*names[0].get("given", ()), names[0].get("family", "")]).strip() or names[0].get("text", "")
    return ", ".join(filter(None, (name or patient["id"], _day(patient.get("birthDate", ""), language))))


def _day(written: str, language: str) -> str:
    try:
        return day(date.fromisoformat(written), language)
    except ValueError:  # only a month or a year is known
        return written
