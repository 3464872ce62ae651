"""https://www.w3.org/TR/WCAG22/#error-identification

Every form of every page, sent without scripts, empty and with all that can be wrong: it says so at the field, in the
reader's language, and what was typed still stands there.
"""

from dataclasses import dataclass
from functools import cache

import httpx
import lxml.html
import pytest

from fhir_server import languages
from tests.oauth.browser import forms
from tests.portal.conftest import Town
from tests.portal.places import NOBODY, PAGES, PERSON, PROVIDER, RECIPIENT, a_dose
from tests.portal.test_me import send
from tests.portal.test_register import ANA, as_staff, register

WRONG = {"date": "2021-02-30", "email": "nobody at all", "tel": "12", "password": "x"}
UNKNOWN = "no-such-answer"
TOO_LONG = "ñ " * 800
NOT_KEPT = ("password", "file")
"""Kinds of fields that browsers fill in themselves, or not at all."""
PASSED_AT_ONCE = {("login", "code")}
"""Good for half a minute."""
TAKES_ANYTHING = {("/account/recovery", "recovery"), ("/verify", "verify")}
"""Looks for whatever is typed, and says what it found."""
MAY_BE_EMPTY = {("/clinic/due", "day-form")}


@dataclass
class Sent:
    """A form of a page: where it goes, what it holds unseen, and by name what people fill in, each with its kind."""

    id: str
    action: str
    method: str
    hidden: list[tuple[str, str]]
    kinds: dict[str, str]


def forms_of(page: httpx.Response) -> list[Sent]:
    """The forms that ask something."""
    found = []
    for form in lxml.html.fromstring(page.text).forms:
        hidden, kinds = [], {}
        for each in form.iter("input", "select", "textarea", "button"):
            kind, name = each.get("type", each.tag), each.get("name")
            if not name or "hidden" in each.attrib:
                continue
            if kind == "hidden":
                hidden.append((name, each.get("value", "")))
            elif each.tag == "button":
                # The first one is pressed, as by Enter.
                if name not in dict(hidden):
                    hidden.append((name, each.get("value", "")))
            else:
                kinds[name] = "text" if kind == "input" else kind
        if kinds:
            found.append(Sent(form.get("id", ""), form.get("action", ""), form.method, hidden, kinds))
    return found


def wrong_for(kind: str) -> str:
    return WRONG.get(kind, TOO_LONG if kind in ("text", "textarea") else UNKNOWN)


async def sent(http: httpx.AsyncClient, form: Sent, typed: dict[str, str]) -> httpx.Response:
    fields = dict([*form.hidden, *typed.items()])
    if form.method == "GET":
        return await http.get(form.action, params=fields)
    if "file" in form.kinds.values():
        files = {name: (name, b"") for name, kind in form.kinds.items() if kind == "file"}
        return await http.post(form.action, data=fields, files=files)
    return await http.post(form.action, data=fields)


def complaints(page: httpx.Response, form: Sent, typed: dict[str, str], language: str) -> list[str]:
    """What is wrong with the page that answers."""
    tree = lxml.html.fromstring(page.text)
    wrong = [] if tree.get("lang") == language else [f"in {tree.get('lang')}"]
    marked = [each for each in tree.iter() if each.get("aria-invalid") == "true"]
    if not marked:
        wrong.append("no field says that it is wrong")
    for each in marked:
        told = " ".join(
            " ".join(tree.get_element_by_id(id).text_content().split())
            for id in each.get("aria-describedby", "").split()
            if id.endswith("problem")
        )
        if told not in sentences(language):
            wrong.append(f"{each.get('name') or each.get('id')} is told {told!r}")
    for name, value in typed.items():
        kind = form.kinds[name]
        if kind in (*NOT_KEPT, "radio", "checkbox", "select") or (form.id, name) in PASSED_AT_ONCE:
            continue
        shown = [field.value for field in tree.xpath("//input[@name=$name] | //textarea[@name=$name]", name=name)]
        if value.strip() not in [(each or "").strip() for each in shown]:
            wrong.append(f"{name} is lost: {[(each or '')[:40] for each in shown]}")
    return wrong


@cache
def sentences(language: str) -> frozenset[str]:
    """All that can be said in a language."""
    catalogue = languages.catalogue("es")
    found = {str(each.id): str(each.string) for each in catalogue if each.id}
    return frozenset(found if language == languages.SOURCE else found.values())


@pytest.mark.parametrize("language", ["es", "en"])
@pytest.mark.parametrize("login", [NOBODY, RECIPIENT, PROVIDER])
async def test_every_form_says_what_is_wrong(town: Town, login: str, language: str) -> None:
    found: list[str] = []
    seen = 0
    # Somebody of whom nothing is lost where a form takes what it should not.
    async with town.visitor("" if login == RECIPIENT else login, language) as http:
        dose = await a_dose(town)
        if login == RECIPIENT:
            await register(http, **ANA)
            page = await http.get("/portal/login?next=/me/answers")
            dose = await vaccinated(town, dict(forms(page)["answers"].fields)["person"])
        for path in [path.format(dose=dose) for whose, path in PAGES if whose == login]:
            page = await http.get(path)
            for form in forms_of(page) if page.status_code == 200 else ():
                seen += 1
                where = f"{path} {form.id}"
                for typed in (
                    {name: wrong_for(kind) for name, kind in form.kinds.items()},
                    dict.fromkeys(form.kinds, ""),
                ):
                    typed = {name: value for name, value in typed.items() if form.kinds[name] != "file"}
                    answer = await sent(http, form, typed)
                    taken = (path, form.id) in (TAKES_ANYTHING if any(typed.values()) else MAY_BE_EMPTY)
                    if answer.status_code >= 500 or (answer.status_code < 400) != taken:
                        found.append(f"{where}: {answer.status_code} for {[value[:12] for value in typed.values()]}")
                    elif not taken:
                        found += [f"{where}: {each}" for each in complaints(answer, form, typed, language)]
    assert seen >= {NOBODY: 6, RECIPIENT: 7, PROVIDER: 7}[login]
    assert not found, "\n".join(found)


async def vaccinated(town: Town, id: str) -> str:
    """The id of a dose that somebody has had now."""
    dose = {
        "resourceType": "Immunization",
        "status": "completed",
        "vaccineCode": {"coding": [{"system": "http://hl7.org/fhir/sid/cvx", "code": "208"}]},
        "patient": {"reference": f"Patient/{id}"},
        "occurrenceDateTime": "2021-02-03",
        "primarySource": True,
        "lotNumber": "EL9261",
    }
    made = await as_staff(town, "Immunization", dose)
    assert made.status_code == 201, made.text
    return str(made.json()["id"])


@pytest.mark.parametrize("language", ["es", "en"])
async def test_more_than_a_form_can_hold_is_told_in_words(town: Town, language: str) -> None:
    said = {"en": "That is too much at once", "es": "Es demasiado de una vez"}[language]
    async with town.visitor("ruth", language) as http:
        for path, id in (("/me/answers", "answers"), ("/register", "register"), ("/me/people", "child-form")):
            page = await send(http, forms(await http.get(path))[id], county="x" * 70_000, given="x")
            assert (page.status_code, said in page.text) == (413, True), path


async def test_doubts_can_be_thought_over(town: Town) -> None:
    """What was typed comes back from the page that asks, and goes on from there, without a script."""
    async with town.visitor(PROVIDER, "es") as http:
        form = forms(await http.get(f"{PERSON}/dose"))["dose"]
        typed = {"allergies": "peg", "health": "ill", "elsewhere": "true", "code": "80777-0113-09", "number": "Ñ-1"}
        more = {"expires": "2031-01-31", "site": "LD", "route": "IM", "day": "2021-03-03"}
        doubts = await send(http, form, **typed, **more)
        assert doubts.status_code == 409
        back = await send(http, forms(doubts)["doubts"], decision="change")
        tree = lxml.html.fromstring(back.text)
        [kept] = [dict(each.form_values()) for each in tree.forms if each.get("id") == "dose"]
        assert {name: kept[name] for name in (*typed, *more)} == {**typed, **more}
