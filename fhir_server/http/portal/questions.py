"""Questions: a Questionnaire as the fields of a form, and what was filled in as answers.

https://hl7.org/fhir/R4/questionnaire.html

Pure. Choices that may be several are check boxes, others radio buttons with "no answer" among them; nothing that was
typed is lost where something is wrong.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from fhir_server.languages import N_

_DAY = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)
_TRANSLATION = "http://hl7.org/fhir/StructureDefinition/translation"
_VALUES = {"date": "valueDate", "string": "valueString", "text": "valueString", "boolean": "valueBoolean"}
LONGEST = 200
"""Letters of what is typed in one line."""

BORN = "birth-date"
"""The question whose answer is in the past."""
YES, NO = "true", "false"

NOT_GIVEN = N_("This is needed.")
TOO_LONG = N_("This is longer than 200 letters.")
UNKNOWN = N_("This answer is none of those there are.")
IN_FUTURE = N_("This day is yet to come.")
NO_DATE = N_("This is no day of the calendar. Write it as year-month-day, such as 1980-02-03.")


@dataclass(frozen=True, slots=True)
class Field:
    """A question: how it is put, what may be answered, and what was."""

    name: str
    kind: str
    text: str
    required: bool
    repeats: bool
    options: tuple[tuple[str, str], ...]
    """Of a choice: code and words."""
    given: tuple[str, ...] = ()
    problem: str = ""
    """`missing`, `no-date`, `in-future`, `too-long`, `unknown`; empty where nothing is wrong."""


def fields(questionnaire: Mapping[str, Any], language: str, given: Mapping[str, Sequence[str]]) -> list[Field]:
    """The questions in this language, with what was answered before."""
    return [
        Field(
            item["linkId"],
            item["type"],
            translated(item, "text", language),
            bool(item.get("required")),
            bool(item.get("repeats")),
            tuple(_options(item, language)),
            tuple(given.get(item["linkId"], ())),
        )
        for item in questionnaire["item"]
        if item["type"] in (*_VALUES, "choice")
    ]


def translated(element: Mapping[str, Any], name: str, language: str) -> str:
    """The text of an element in this language, where it says so; as it stands otherwise."""
    for extension in element.get(f"_{name}", {}).get("extension", ()):
        if extension.get("url") == _TRANSLATION:
            said = {each["url"]: each.get("valueCode") or each.get("valueString") for each in extension["extension"]}
            if said.get("lang") == language:
                return str(said["content"])
    return str(element.get(name, ""))


def answered(response: Mapping[str, Any]) -> dict[str, list[str]]:
    """What a QuestionnaireResponse answers, as it would stand in the form."""
    found: dict[str, list[str]] = {}
    for item in response.get("item", ()):
        for answer in item.get("answer", ()):
            value = next((answer[name] for name in answer if name.startswith("value")), None)
            if isinstance(value, bool):
                found.setdefault(item["linkId"], []).append(YES if value else NO)
            elif value is not None:
                found.setdefault(item["linkId"], []).append(str(value["code"] if isinstance(value, dict) else value))
    return found


def checked(field: Field, today: date) -> Field:
    """The field with what is wrong about its answer; nobody is born after `today`."""
    return Field(
        field.name,
        field.kind,
        field.text,
        field.required,
        field.repeats,
        field.options,
        field.given,
        _problem(field, today),
    )


def items(questionnaire: Mapping[str, Any], filled: Sequence[Field]) -> list[dict[str, Any]]:
    """The answers as items of a QuestionnaireResponse; what was left empty is left out."""
    codings = {
        (item["linkId"], option["valueCoding"]["code"]): option["valueCoding"]
        for item in questionnaire["item"]
        for option in item.get("answerOption", ())
        if "valueCoding" in option
    }
    found = []
    for field in filled:
        answers = [_answer(field, value, codings) for value in field.given if value]
        if answers:
            found.append({"linkId": field.name, "answer": answers})
    return found


def _options(item: Mapping[str, Any], language: str) -> Iterator[tuple[str, str]]:
    for option in item.get("answerOption", ()):
        coding = option.get("valueCoding", {})
        yield coding["code"], translated(coding, "display", language)


def _problem(field: Field, today: date) -> str:
    values = [value for value in field.given if value]
    if not values:
        return "missing" if field.required else ""
    if field.kind == "date":
        if not is_date(values[0]):
            return "no-date"
        return "in-future" if field.name == BORN and date.fromisoformat(values[0]) > today else ""
    if field.kind == "choice" and not set(values) <= {code for code, _ in field.options}:
        return "unknown"
    if field.kind == "boolean" and not set(values) <= {YES, NO}:
        return "unknown"
    return "too-long" if any(len(value) > LONGEST for value in values) else ""


def is_date(text: str) -> bool:
    """Whether this is a day of the calendar as forms send it: YYYY-MM-DD."""
    try:
        # Weeks and days of the year are read, too, and are no dates in FHIR.
        return _DAY.fullmatch(text) is not None and bool(date.fromisoformat(text))
    except ValueError:
        return False


def _answer(field: Field, value: str, codings: Mapping[tuple[str, str], dict[str, Any]]) -> dict[str, Any]:
    if field.kind == "choice":
        coding = codings[field.name, value]
        return {"valueCoding": {name: coding[name] for name in ("system", "code", "display") if name in coding}}
    if field.kind == "boolean":
        return {"valueBoolean": value == YES}
    return {_VALUES[field.kind]: value.strip()}
