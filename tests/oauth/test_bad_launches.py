"""https://hl7.org/fhir/smart-app-launch/app-launch.html#obtain-authorization-code

Launches that are wrong in one way each: none of them yields a token, and each gets the error it deserves.
"""

from dataclasses import replace
from urllib.parse import urlencode

import pytest

from fhir_server.access import tokens
from fhir_server.context import Context
from tests.oauth.browser import Browser, asking, redeem, told
from tests.oauth.conftest import BASE, House

CHALLENGE = "code_challenge"

TOLD_TO_THE_APP: dict[str, tuple[dict[str, str | None], str]] = {
    "no PKCE": ({CHALLENGE: None, "code_challenge_method": None}, "invalid_request"),
    "PKCE plain": ({"code_challenge_method": "plain"}, "invalid_request"),
    "PKCE without a method": ({"code_challenge_method": None}, "invalid_request"),
    "a challenge that is none": ({CHALLENGE: "short"}, "invalid_request"),
    "no aud": ({"aud": None}, "invalid_request"),
    "another server's aud": ({"aud": "https://elsewhere.example/fhir"}, "invalid_request"),
    "implicit": ({"response_type": "token"}, "unsupported_response_type"),
    "no response_type": ({"response_type": None}, "invalid_request"),
    "no scope": ({"scope": None}, "invalid_scope"),
    "only scopes it may not have": ({"scope": "system/*.rs nonsense patient/Nothing.rs"}, "invalid_scope"),
    "an unknown launch": ({"launch": "guessed"}, "invalid_request"),
    "launch without a launch": ({"scope": "launch patient/*.rs"}, "invalid_request"),
    "a request object": ({"request": "e30.e30."}, "request_not_supported"),
}

TOLD_TO_THE_USER: dict[str, dict[str, str | None]] = {
    "an unknown app": {"client_id": "nobody"},
    "no app": {"client_id": None},
    "a system": {"client_id": "mercy", "redirect_uri": None},
    "an unregistered redirect": {"redirect_uri": "https://evil.example/callback"},
    "a longer path": {"redirect_uri": "https://app.example/callback/more"},
    "another query": {"redirect_uri": "https://app.example/callback?x=1"},
    "another app's redirect": {"redirect_uri": "https://other.example/cb"},
    "another port": {"redirect_uri": "http://127.0.0.1:4568/callback"},
    "no redirect": {"redirect_uri": None},
}


@pytest.fixture(scope="module")
async def browser(house: House) -> Browser:
    """Amy's browser, logged in: nothing stands between the request and its answer."""
    browser = house.browser()
    await browser.log_in(await browser.open(asking(BASE)), "amy")
    return browser


@pytest.mark.parametrize("wrong", TOLD_TO_THE_APP)
async def test_the_app_is_told(browser: Browser, wrong: str) -> None:
    more, error = TOLD_TO_THE_APP[wrong]
    answer = await browser.open(asking(BASE, **more))
    assert answer.status_code == 302
    assert answer.headers["location"].startswith("https://app.example/callback?")
    assert (told(answer)["error"], told(answer)["state"]) == (error, "the-state")


@pytest.mark.parametrize("wrong", TOLD_TO_THE_USER)
async def test_nobody_is_sent_anywhere(browser: Browser, wrong: str) -> None:
    answer = await browser.open(asking(BASE, **TOLD_TO_THE_USER[wrong]))
    assert answer.status_code == 400
    assert "location" not in answer.headers
    assert 'role="alert"' in answer.text


async def test_a_parameter_twice(browser: Browser) -> None:
    query = urlencode([*asking(BASE).items(), ("scope", "user/*.rs")])
    answer = await browser.http.get(f"/oauth/authorize?{query}")
    assert told(answer)["error"] == "invalid_request"


WRONG_CODES: dict[str, tuple[dict[str, str], str]] = {
    "another verifier": ({"code_verifier": "v" * 43}, "invalid_grant"),
    "no verifier": ({"code_verifier": ""}, "invalid_request"),
    "another redirect": ({"redirect_uri": "http://127.0.0.1:4567/callback"}, "invalid_grant"),
    "no redirect": ({"redirect_uri": ""}, "invalid_grant"),
    "another app": ({"client": "other-app"}, "invalid_grant"),
    "an unknown app": ({"client": "nobody"}, "invalid_client"),
    "another grant type": ({"grant_type": "password"}, "unsupported_grant_type"),
    "no grant type": ({"grant_type": ""}, "invalid_request"),
    "no code": ({"code": ""}, "invalid_request"),
    "a code that is none": ({"code": "a.b"}, "invalid_grant"),
}


async def test_codes_shown_wrongly(browser: Browser) -> None:
    back = await browser.authorize(asking(BASE), "amy")
    code = told(back)["code"]
    for name, (more, error) in WRONG_CODES.items():
        form = {"code": code, **more}
        answer = await redeem(browser.http, form.pop("code"), form.pop("client", "growth-chart"), **form)
        assert (answer.status_code, answer.json()["error"]) == (400, error), name
        assert answer.headers["cache-control"] == "no-store"
    # None of that has used the code up.
    assert (await redeem(browser.http, code)).status_code == 200


async def test_a_code_shown_twice_ends_what_it_gave(house: House, browser: Browser) -> None:
    code = told(await browser.authorize(asking(BASE), "amy"))["code"]
    answer = (await redeem(browser.http, code)).json()
    bearer = {"authorization": f"Bearer {answer['access_token']}"}
    async with house.http() as http:
        assert (await http.get("/fhir/Patient/amy", headers=bearer)).status_code == 200
        again = await redeem(http, code)
        assert (again.status_code, again.json()["error"]) == (400, "invalid_grant")
        house.context.tokens.forget()
        refused = await http.get("/fhir/Patient/amy", headers=bearer)
        assert refused.status_code == 401
        assert refused.headers["www-authenticate"].startswith(
            'Bearer realm="https://fhir.example/fhir", error="invalid_token"'
        )
        refresh = {"grant_type": "refresh_token", "refresh_token": answer["refresh_token"], "client_id": "growth-chart"}
        assert (await http.post("/oauth/token", data=refresh)).json()["error"] == "invalid_grant"


async def test_a_code_is_over_after_a_minute(house: House, browser: Browser) -> None:
    code = told(await browser.authorize(asking(BASE), "amy"))["code"]
    grants = house.context.store.grants
    grant = await grants.find(tokens.grant_of(code))
    assert grant is not None and grant.code is not None
    assert await grants.replace(replace(grant, code=replace(grant.code, expires=now(house.context))))
    assert (await redeem(browser.http, code)).json()["error"] == "invalid_grant"


def now(context: Context) -> int:
    """Unix seconds."""
    return context.clock() // 1_000_000


async def test_a_launch_of_another_app_or_over(house: House, browser: Browser) -> None:
    kept = house.context.store.passing
    until = now(house.context)
    for word, value in (("of-another", {"client": "other-app"}), ("over", {"client": "growth-chart"})):
        await kept.add("launch", tokens.digest(word), until + (60 if word == "of-another" else 0), value)
        answer = await browser.open(asking(BASE, launch=word))
        assert told(answer)["error"] == "invalid_request", word
