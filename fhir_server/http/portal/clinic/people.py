"""People: found by what they say of themselves, and registered where nobody like them is known.

https://hl7.org/fhir/R4/patient.html

Everything is searched with the visitor's token: whom the organization has nothing to do with is not found, and whether
they exist is not told.
"""

import asyncio
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from difflib import SequenceMatcher
from typing import Any
from urllib.parse import urlencode

from fhir_server.domain import demographics
from fhir_server.http.portal.clinic.dose_form import day_of
from fhir_server.http.portal.person import name_of
from fhir_server.http.portal.session import Visitor
from fhir_server.http.portal.typed import line
from fhir_server.languages import N_

FIELDS = ("given", "family", "birth", "phone", "email", "identifier", "gender")
_SEARCHED = ("family", "given", "birth", "phone", "identifier")
GENDERS: Mapping[str, str] = {
    "female": N_("Female"),
    "male": N_("Male"),
    "other": N_("Other"),
    "unknown": N_("Not known"),
}
"""To be translated."""
_SIMILAR = 0.8
"""Of names, by difflib's ratio: one letter of five may differ."""
_KINDS = 2
"""Of what people have in common: name, birth date, contact. One alone says little."""
_MOST = "20"
_LONGEST = 200

Resource = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Likeness:
    """Somebody who is known, and what they have in common with what was typed; the most alike have the most points."""

    patient: Resource
    points: int
    common: tuple[str, ...]
    """Sentences to be translated."""


async def found(visitor: Visitor, typed: Mapping[str, str]) -> list[Resource]:
    """Those whom everything that was typed is true of; nobody where nothing was."""
    asked = {name: typed[name] for name in ("given", "family", "identifier") if typed.get(name)}
    if typed.get("birth"):
        asked["birthdate"] = typed["birth"]
    if typed.get("phone"):
        asked["phone"] = _numbers(typed["phone"])
    if not asked:
        return []
    escaped = {name: value if name == "phone" else _escaped(value) for name, value in asked.items()}
    return await visitor.visit.entries("Patient", {**escaped, "_count": _MOST})


async def alike(visitor: Visitor, typed: Mapping[str, str]) -> list[Likeness]:
    """Those who may be the same person, the most alike first."""
    searches: list[dict[str, str]] = []
    born = day_of(typed.get("birth", ""))
    if born is not None:
        searches.append({"birthdate": ",".join(dict.fromkeys([born.isoformat(), *_swapped(born)]))})
    if typed.get("family") and typed.get("given"):
        searches.append({"family": _escaped(typed["family"]), "given": _escaped(typed["given"])})
    if typed.get("phone"):
        searches.append({"phone": _numbers(typed["phone"])})
    if typed.get("email"):
        searches.append({"email": _escaped(typed["email"])})
    answers = await asyncio.gather(
        *(visitor.visit.entries("Patient", {**asked, "_count": "200"}) for asked in searches)
    )
    known = {each["id"]: each for entries in answers for each in entries}
    likely = [likeness(typed, each) for each in known.values()]
    return sorted((each for each in likely if len(each.common) >= _KINDS), key=lambda each: -each.points)


def likeness(typed: Mapping[str, str], patient: Resource) -> Likeness:
    """What somebody has in common with what was typed. Pure."""
    points, common = 0, []
    alike = max((_likeness_of_names(typed, name) for name in patient.get("name", ())), default=0.0)
    if alike == 1.0:
        points, common = 2, [N_("the same name")]
    elif alike >= _SIMILAR:
        points, common = 1, [N_("a similar name")]
    born, typed_birth = patient.get("birthDate", ""), day_of(typed.get("birth", ""))
    if typed_birth is not None and born:
        if born == typed_birth.isoformat():
            points, common = points + 2, [*common, N_("the same date of birth")]
        elif born in _swapped(typed_birth) or _differing(born, typed_birth.isoformat()) == 1:
            points, common = points + 1, [*common, N_("nearly the same date of birth")]
    if _contacts(patient) & {demographics.phone(typed.get("phone", "")), typed.get("email", "").casefold() or None} - {
        None
    }:
        points, common = points + 1, [*common, N_("the same telephone or e-mail address")]
    return Likeness(patient, points, tuple(common))


def unsearchable(typed: Mapping[str, str]) -> dict[str, str]:
    """What is wrong with a search, by field: something is needed to search by."""
    if not any(typed[name] for name in _SEARCHED):
        return {"family": "nothing-typed"}
    wrong = {name: "too-long" for name in _SEARCHED if len(typed[name]) > _LONGEST}
    return {**wrong, "birth": "no-date"} if typed["birth"] and day_of(typed["birth"]) is None else wrong


def problems(typed: Mapping[str, str], today: date) -> dict[str, str]:
    """What is wrong with a registration, by field: names and birth date are needed."""
    wrong = {name: "missing" for name in ("given", "family", "birth") if not typed.get(name)}
    born = day_of(typed.get("birth", ""))
    if typed.get("birth") and born is None:
        wrong["birth"] = "no-date"
    elif born is not None and born > today:
        wrong["birth"] = "in-future"
    if typed.get("phone") and demographics.phone(typed["phone"]) is None:
        wrong["phone"] = "no-phone"
    if typed.get("email") and demographics.email(typed["email"]) is None:
        wrong["email"] = "no-email"
    if typed.get("gender") and typed["gender"] not in GENDERS:
        wrong["gender"] = "unknown"
    for name in FIELDS:
        if len(typed.get(name, "")) > _LONGEST:
            wrong[name] = "too-long"
    return wrong


def made(typed: Mapping[str, str], organization: str) -> Resource:
    """The Patient of a registration without problems, kept by this organization."""
    telecom = [
        {"system": system, "value": value}
        for system, value in (("phone", demographics.phone(typed.get("phone", ""))), ("email", typed.get("email")))
        if value
    ]
    return {
        "resourceType": "Patient",
        "active": True,
        "name": [{"use": "official", "family": typed["family"], "given": typed["given"].split()}],
        **({"telecom": telecom} if telecom else {}),
        **({"gender": typed["gender"]} if typed.get("gender") else {}),
        "birthDate": typed["birth"],
        "managingOrganization": {"reference": f"Organization/{organization}"},
    }


def just_like(typed: Mapping[str, str]) -> str:
    """The search for people of exactly these names and this birth date; `alike` finds all of them that it can see."""
    names = [("family:exact", typed["family"]), *(("given:exact", each) for each in typed["given"].split())]
    return urlencode([*((name, _escaped(value)) for name, value in names), ("birthdate", typed["birth"])])


def typed_of(form: Mapping[str, str]) -> dict[str, str]:
    """What was typed about a person, each in one line."""
    return {name: line(form.get(name, "")) for name in FIELDS}


def has_email(patient: Mapping[str, Any]) -> bool:
    """Whether the person can be written to by e-mail."""
    return any(each.get("system") == "email" and each.get("value") for each in patient.get("telecom", ()))


def _likeness_of_names(typed: Mapping[str, str], name: Mapping[str, Any]) -> float:
    known, wanted = _words(name_of({"name": [name]})), _words(f"{typed.get('given', '')} {typed.get('family', '')}")
    ratio = SequenceMatcher(None, "".join(known), "".join(wanted)).ratio() if known and wanted else 0.0
    # A second given or family name is often left out.
    fewer, more = sorted((set(known), set(wanted)), key=len)
    return max(ratio, _SIMILAR) if len(fewer) > 1 and fewer <= more else ratio


def _words(name: str) -> list[str]:
    """In any order: given and family names are often taken for each other."""
    return sorted(filter(None, map(demographics.comparable, re.split(r"[\s-]+", name))))


def _contacts(patient: Mapping[str, Any]) -> set[str | None]:
    values = [each.get("value", "") for each in patient.get("telecom", ())]
    return {
        found for value in values for found in (demographics.phone(value), value.casefold() if "@" in value else None)
    }


def _swapped(day: date) -> Sequence[str]:
    try:
        return (date(day.year, day.day, day.month).isoformat(),)
    except ValueError:
        return ()


def _differing(one: str, other: str) -> int:
    return sum(a != b for a, b in zip(one, other, strict=True)) if len(one) == len(other) else len(other)


def _numbers(phone: str) -> str:
    """As it is stored by us, or as it was typed: others store it in other ways."""
    return ",".join(dict.fromkeys(_escaped(each) for each in (demographics.phone(phone), phone) if each))


def _escaped(value: str) -> str:
    """A value of a search, taken literally."""
    return re.sub(r"([\\,$|])", r"\\\1", value)
