"""https://cheatsheetseries.owasp.org/cheatsheets/Cross_Site_Scripting_Prevention_Cheat_Sheet.html

A hundred texts that want to be scripts, stored in names, lots, addresses and notes: a real browser shows them as they
are written, and runs none.
"""

import json
from pathlib import Path
from typing import Any

from playwright.async_api import Browser, Page

from tests.portal.conftest import Town
from tests.portal.places import DESK, PROVIDER, visiting
from tests.portal.test_register import as_staff

PAYLOADS: list[str] = json.loads(Path(__file__).with_name("cases").joinpath("xss.json").read_text())
TOGETHER = 10
"""Payloads that one person carries."""

WOULD_RUN = """() => [...document.querySelectorAll('*')].filter(each => [...each.attributes].some(({name, value}) =>
    /^on/i.test(name) || (['href', 'src', 'action', 'formaction', 'data'].includes(name) && each.rel !== 'icon'
        && /^\\s*(javascript|vbscript|data):/i.test(value)))).map(each => each.outerHTML.slice(0, 200))"""
ODD = """() => document.querySelectorAll(
    'iframe, object, embed, marquee, math, base, main style, main link, main meta').length"""
STIRRED = """() => { for (const each of document.querySelectorAll('*'))
    for (const kind of ['mouseover', 'pointerover', 'pointerenter', 'focus', 'blur', 'load', 'error', 'toggle'])
        each.dispatchEvent(new Event(kind)); }"""


def person(number: int, texts: list[str]) -> dict[str, Any]:
    return {
        "resourceType": "Patient",
        "id": f"script-{number}",
        "identifier": [{"system": "https://scripts.example/mrn", "value": texts[0]}],
        "name": [{"family": texts[0], "given": texts[1:]}],
        "telecom": [{"system": "phone", "value": text} for text in texts],
        "address": [{"line": texts, "city": texts[0]}],
        "birthDate": "1950-01-01",
        "managingOrganization": {"reference": "Organization/demo-mercy", "display": texts[0]},
    }


def dose(number: int, position: int, text: str) -> dict[str, Any]:
    return {
        "resourceType": "Immunization",
        "id": f"script-{number}-{position}",
        "status": "completed",
        "vaccineCode": {
            "coding": [{"system": "http://hl7.org/fhir/sid/cvx", "code": "208", "display": text}],
            "text": text,
        },
        "patient": {"reference": f"Patient/script-{number}", "display": text},
        "occurrenceDateTime": f"2021-02-{position + 1:02}",
        "primarySource": True,
        "lotNumber": text,
        "location": {"display": text},
        "performer": [{"actor": {"display": text}}],
        "note": [{"text": text}],
    }


async def shown(page: Page) -> str:
    """The page's text, after everything that a script could wait for was done; nothing ran, nothing could have.

    Without the content policy, which would hide what escaping left undone.
    """
    await page.evaluate(STIRRED)
    assert await page.evaluate("() => window.__ran") is None, page.url
    assert await page.evaluate(WOULD_RUN) == [], page.url
    assert await page.evaluate(ODD) == 0, page.url
    return " ".join((await page.locator("body").inner_text()).split())


async def test_what_is_stored_never_runs(browser: tuple[Browser, Path], town: Town) -> None:
    assert len(PAYLOADS) >= 100
    groups = [PAYLOADS[start : start + TOGETHER] for start in range(0, len(PAYLOADS), TOGETHER)]
    resources = [person(number, texts) for number, texts in enumerate(groups)]
    resources += [dose(number, at, text) for number, texts in enumerate(groups) for at, text in enumerate(texts)]
    entries = [
        {"resource": each, "request": {"method": "PUT", "url": f"{each['resourceType']}/{each['id']}"}}
        for each in resources
    ]
    answer = await as_staff(town, "", {"resourceType": "Bundle", "type": "transaction", "entry": entries})
    assert answer.status_code == 200, answer.text
    foreign: list[str] = []
    async with visiting(browser[0], town, PROVIDER, DESK, "en") as page:
        page.on("dialog", lambda dialog: foreign.append(dialog.message))
        page.on("request", lambda request: foreign.append(request.url) if "evil" in request.url else None)
        for number, texts in enumerate(groups):
            address = f"{town.origin}/clinic/people/script-{number}"
            await page.goto(address)
            text = await shown(page)
            for payload in texts:
                assert " ".join(payload.split()) in text, payload
            for path in (f"doses/script-{number}-0", f"doses/script-{number}-0/correct", "dose"):
                await page.goto(f"{address}/{path}")
                await shown(page)
            await page.goto(address)
            async with page.expect_navigation():
                await page.locator("form[action$='/card']").evaluate("form => form.requestSubmit()")
            await shown(page)
    assert foreign == []
