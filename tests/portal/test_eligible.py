"""https://hl7.org/fhir/R4/questionnaire.html

Whether it is one's turn, asked without a name: as the operation says, with nothing kept; and what the front page tells.
"""

import re

import pytest

from fhir_server import administering
from fhir_server.settings import Settings
from tests.oauth.browser import forms
from tests.portal.conftest import Town
from tests.portal.test_me import send
from tests.portal.test_register import as_staff
from tests.portal.test_verify import told

NURSE = {"birth-date": "1980-02-03", "occupation": "health-care", "patient-contact": "true", "in-person": "true"}


@pytest.mark.parametrize(
    "answers",
    [NURSE, {"birth-date": "1944-05-06"}, {"birth-date": "1990-01-01"}, {"birth-date": "2020-01-01", "county": "Wake"}],
    ids=lambda answers: answers["birth-date"],
)
async def test_what_the_operation_says(town: Town, answers: dict[str, str]) -> None:
    before = (await as_staff(town, "QuestionnaireResponse?_summary=count")).json()["total"]
    async with town.visitor() as http:
        page = await http.get("/eligible")
        assert not re.search(r'name="(given|family|email|phone|login|reminders)"', page.text)
        found = await send(http, forms(page)["eligible"], **answers)
    items = [{"linkId": "birth-date", "answer": [{"valueDate": answers["birth-date"]}]}]
    if "occupation" in answers:
        questionnaire = (await as_staff(town, "Questionnaire/registration")).json()
        [options] = [item["answerOption"] for item in questionnaire["item"] if item["linkId"] == "occupation"]
        [coding] = [each["valueCoding"] for each in options if each["valueCoding"]["code"] == answers["occupation"]]
        items.append({"linkId": "occupation", "answer": [{"valueCoding": coding}]})
        items += [{"linkId": name, "answer": [{"valueBoolean": True}]} for name in ("patient-contact", "in-person")]
    if "county" in answers:
        items.append({"linkId": "county", "answer": [{"valueString": answers["county"]}]})
    response = {"resourceType": "QuestionnaireResponse", "status": "completed", "item": items}
    asked = {"resourceType": "Parameters", "parameter": [{"name": "responses", "resource": response}]}
    said = (await as_staff(town, "Patient/$vaccine-eligibility", asked)).json()["parameter"]
    status = next(each["valueCode"] for each in said if each["name"] == "status")
    assert (found.status_code, f'data-status="{status}"' in found.text) == (200, True)
    texts = [part["valueString"] for each in said for part in each.get("part", ()) if part["name"] == "text"]
    assert texts
    for text in texts:
        assert text in told(found).text
    # What was answered stands in the form, to be changed, and nowhere else.
    assert f'value="{answers["birth-date"]}"' in found.text
    assert (await as_staff(town, "QuestionnaireResponse?_summary=count")).json()["total"] == before


async def test_what_is_wrong_is_told_and_foreign_forms_are_refused(town: Town) -> None:
    async with town.visitor(language="es") as http:
        form = forms(await http.get("/eligible"))["eligible"]
        wrong = await send(http, form, **{"birth-date": "1980-02-30", "occupation": "wizard", "county": "Wake"})
        assert wrong.status_code == 422
        assert 'id="birth-date-problem"' in wrong.text and 'id="occupation-problem"' in wrong.text
        assert 'value="Wake"' in wrong.text
        assert (await send(http, form)).status_code == 422
        assert (await send(http, form, **NURSE, form_token="0" * 64)).status_code == 403
        right = await send(http, form, **NURSE)
        assert "Estas respuestas no se guardan." in right.text


async def test_an_address_asks_so_many_in_an_hour(town: Town) -> None:
    settings = Settings.model_validate({"data": town.teller.sample.folder.parent, "base_url": town.origin + "/fhir"})
    async with administering.opened(settings) as context:
        authority = context.authority
        key, now = authority.keyed("eligibility", "127.0.0.1"), authority.now()
        for _ in range(settings.eligibility_checks):
            await authority.passing.count("asked", key, now + 60, now)
        try:
            async with town.visitor() as http:
                page = await send(http, forms(await http.get("/eligible"))["eligible"], **NURSE)
            assert (page.status_code, page.headers["retry-after"]) == (429, "3600")
        finally:
            await authority.passing.remove("asked", key)


@pytest.mark.parametrize(
    ("language", "said"),
    [
        ("en", ("neither e-mail nor telephone", "Can I change my answers?", "Who reminds me of the second dose?")),
        ("es", ("ni teléfono", "¿Puedo cambiar mis respuestas?", "¿Quién me recuerda la segunda dosis?")),
    ],
)
async def test_the_front_page_answers(town: Town, language: str, said: tuple[str, ...]) -> None:
    questions = ("turn", "registering", "no-email", "changing", "declining", "second-dose", "proof", "children")
    async with town.visitor(language=language) as http:
        page = await http.get("/")
        for question in questions:
            assert f'<details id="{question}">' in page.text
        for words in said:
            assert words in told(page).text
        for address in set(re.findall(r'href="(/[a-z/]*)"', page.text)):
            assert (await http.get(address)).status_code == 200, address
