"""https://hl7.org/fhir/smart-app-launch/app-launch.html

Standalone and EHR launches as a person and an app go through them, and what the tokens are then good for.
"""

import html
import re
import time
from base64 import b64encode
from collections.abc import Callable
from functools import partial
from urllib.parse import quote, quote_plus

import httpx
import pytest
from joserfc import jwt
from joserfc.jwk import KeySet

from fhir_server.access import clients
from tests.oauth.browser import VERIFIER, asking, forms, redeem, request_in, told
from tests.oauth.conftest import BASE, EC, SECRET, House, code_of_nora
from tests.oauth.systems import ASSERTION, ask, claims, signed


async def test_a_standalone_launch(house: House) -> None:
    browser = house.browser()
    page = await browser.open(asking(BASE, nonce="n-1"))
    assert page.status_code == 200
    assert {"username", "password", "code", "form_token", "request"} <= forms(page)["login"].names
    page = await browser.log_in(page, "Ruth ")
    consent = forms(page)["consent"]
    assert {"decision", "scope", "patient", "form_token", "request"} <= consent.names
    assert consent.radios == [("patient", "ruth"), ("patient", "kim")]
    assert "Ruth Whitfield, June 2, 1950" in page.text
    back = await browser.post(consent, {"decision": "allow", "patient": "kim"})
    assert back.status_code == 302
    assert back.headers["location"].startswith("https://app.example/callback?")
    assert told(back)["state"] == "the-state"

    answer = await redeem(browser.http, told(back)["code"])
    assert answer.status_code == 200, answer.text
    assert (answer.headers["cache-control"], answer.headers["pragma"]) == ("no-store", "no-cache")
    tokens = answer.json()
    assert tokens["token_type"] == "Bearer"
    assert 300 <= tokens["expires_in"] <= 3_600
    assert tokens["patient"] == "kim"
    assert tokens["need_patient_banner"] is True
    assert set(tokens["scope"].split()) == {"openid", "fhirUser", "launch/patient", "offline_access", "patient/*.rs"}

    async with house.http() as http:
        keys = KeySet.import_key_set((await http.get("/oauth/jwks.json")).json())
        said = jwt.decode(tokens["id_token"], keys, algorithms=["RS256"]).claims
        assert (said["iss"], said["aud"], said["nonce"]) == (BASE, "growth-chart", "n-1")
        assert said["sub"] == "user-ruth"
        assert said["fhirUser"] == f"{BASE}/Patient/ruth"
        assert said["exp"] > time.time()
        bearer = {"authorization": f"Bearer {tokens['access_token']}"}
        assert (await http.get("/fhir/Patient/kim", headers=bearer)).status_code == 200
        assert (await http.get("/fhir/Patient/ruth", headers=bearer)).status_code == 404
        assert (await http.get("/fhir/Patient/amy", headers=bearer)).status_code == 404


async def test_the_request_may_be_posted(house: House) -> None:
    browser = house.browser()
    page = await browser.http.post("/oauth/authorize", data=asking(BASE))
    assert request_in(page)["aud"] == BASE


async def test_a_provider_finds_the_patient_and_needs_the_second_factor(house: House) -> None:
    browser = house.browser()
    page = await browser.open(asking(BASE, scope="launch/patient patient/*.rs user/*.rs"))
    wrong = await browser.log_in(page, "nora")
    assert (wrong.status_code, 'name="username" value="nora"' in wrong.text) == (401, True)
    code = await code_of_nora(house)
    page = await browser.log_in(page, "nora", code)
    assert forms(page)["consent"].radios == []
    found = await browser.post(forms(page)["consent"], {"decision": "find", "find": "whitf ruth"})
    assert forms(found)["consent"].radios == [("patient", "ruth")]
    # What was not to be allowed stays so while somebody is looked for.
    fewer = await browser.post(forms(page)["consent"], {"decision": "find", "find": "ruth", "scope": "patient/*.rs"})
    assert [value for name, value in forms(fewer)["consent"].fields if name == "scope"] == ["patient/*.rs"]
    undecided = await browser.post(forms(page)["consent"], {"decision": "allow"})
    assert 'role="alert"' in undecided.text
    stranger = await browser.post(forms(page)["consent"], {"decision": "allow", "patient": "nobody"})
    assert stranger.status_code == 200
    back = await browser.post(forms(page)["consent"], {"decision": "allow", "patient": "ruth"})
    answer = (await redeem(browser.http, told(back)["code"])).json()
    assert answer["patient"] == "ruth"

    again = house.browser()
    refused = await again.log_in(await again.open(asking(BASE)), "nora", code)
    assert refused.status_code == 401, "a code of the second factor counts once"


async def test_an_ehr_launch(house: House) -> None:
    async with house.http() as http:
        system = (await ask(http, signed(EC, claims()))).json()
        bearer = {"authorization": f"Bearer {system['access_token']}"}
        context = {"client": "growth-chart", "patient": "kim", "encounter": "e-1", "intent": "review", "user": "ruth"}
        made = await http.post("/oauth/launch", json=context, headers=bearer)
        assert made.status_code == 201, made.text
        assert made.json()["url"].startswith(
            f"https://app.example/launch?iss={BASE.replace(':', '%3A').replace('/', '%2F')}"
        )
    scope = "launch openid fhirUser patient/*.rs"
    asked = asking(BASE, scope=scope, launch=made.json()["launch"])
    other = house.browser()
    page = await other.log_in(await other.open(asked), "amy")
    assert "login" in forms(page), "the launch is for another user"
    browser = house.browser()
    back = await browser.authorize(asked, "ruth")
    answer = (await redeem(browser.http, told(back)["code"])).json()
    assert (answer["patient"], answer["encounter"], answer["intent"]) == ("kim", "e-1", "review")
    again = await browser.open(asked)
    assert told(again)["error"] == "invalid_request", "a launch is used once"


async def test_only_staff_and_systems_launch(house: House) -> None:
    browser = house.browser()
    back = await browser.authorize(asking(BASE), "amy")
    token = (await redeem(browser.http, told(back)["code"])).json()["access_token"]
    async with house.http() as http:
        bearer = {"authorization": f"Bearer {token}"}
        assert (await http.post("/oauth/launch", json={"client": "growth-chart"}, headers=bearer)).status_code == 403
        assert (await http.post("/oauth/launch", json={"client": "growth-chart"})).status_code == 401


async def test_fewer_scopes_are_told(house: House) -> None:
    browser = house.browser()
    asked = asking(BASE, scope="launch/patient patient/Patient.rs patient/Immunization.rs system/*.rs user/Nonsense.r")
    page = await browser.log_in(await browser.open(asked), "amy")
    offered = [value for name, value in forms(page)["consent"].fields if name == "scope"]
    assert offered == ["patient/Patient.rs", "patient/Immunization.rs"]
    back = await browser.post(forms(page)["consent"], {"decision": "allow", "scope": "patient/Patient.rs"})
    answer = (await redeem(browser.http, told(back)["code"])).json()
    assert set(answer["scope"].split()) == {"launch/patient", "patient/Patient.rs"}
    assert "refresh_token" not in answer
    assert "id_token" not in answer


async def test_the_user_refuses(house: House) -> None:
    browser = house.browser()
    back = await browser.authorize(asking(BASE), "amy", decision="deny")
    assert told(back) == {"error": "access_denied", "error_description": "The user has refused.", "state": "the-state"}


@pytest.mark.parametrize(
    ("client", "redirect", "proof", "auth"),
    [
        ("portal", "https://portal.example/cb", {}, ("portal", SECRET)),
        ("portal", "https://portal.example/cb", {"client_id": "portal", "client_secret": SECRET}, None),
        ("signing-app", "https://signing.example/cb", {"client_assertion_type": ASSERTION}, None),
    ],
)
async def test_confidential_apps(
    house: House, client: str, redirect: str, proof: dict[str, str], auth: tuple[str, str] | None
) -> None:
    browser = house.browser()
    back = await browser.authorize(asking(BASE, client, redirect_uri=redirect), "amy")
    code = told(back)["code"]
    form = {
        "grant_type": "authorization_code",
        "code": code,
        "redirect_uri": redirect,
        "code_verifier": VERIFIER,
    }
    if "client_assertion_type" in proof:
        proof = {**proof, "client_assertion": signed(EC, claims(client))}
    async with house.http() as http:
        unproven = await http.post("/oauth/token", data={**form, "client_id": client})
        assert (unproven.status_code, unproven.json()["error"]) == (400, "invalid_client")
        wrong = await http.post("/oauth/token", data=form, auth=(client, "wrong"))
        assert (wrong.status_code, wrong.json()["error"]) == (401, "invalid_client")
        assert wrong.headers["www-authenticate"].startswith("Basic ")
        answer = await http.post("/oauth/token", data={**form, **proof}, auth=auth or httpx.USE_CLIENT_DEFAULT)
    assert answer.status_code == 200, answer.text


async def test_prompts(house: House) -> None:
    browser = house.browser()
    silent = asking(BASE, prompt="none")
    assert told(await browser.open(silent))["error"] == "login_required"
    await browser.log_in(await browser.open(asking(BASE)), "amy")
    assert told(await browser.open(silent))["error"] == "consent_required"
    for prompt in ("login", "login consent", "consent login", "select_account"):
        assert "login" in forms(await browser.open(asking(BASE, prompt=prompt))), prompt
    assert told(await browser.open(asking(BASE, prompt="none login")))["error"] == "invalid_request"
    assert told(await browser.open(asking(BASE, response_mode="fragment")))["error"] == "invalid_request"
    assert "consent" in forms(await browser.open(asking(BASE, response_mode="query", prompt="consent")))
    assert "consent" in forms(await browser.open(asking(BASE)))
    page = await browser.open(asking(BASE))
    out = await browser.post(forms(page)["logout"], {})
    assert (out.status_code, out.headers["location"].split("?")[0]) == (303, "https://fhir.example/oauth/authorize")
    assert "login" in forms(await browser.http.get(out.headers["location"]))


async def test_pages_speak_spanish(house: House) -> None:
    page = await house.browser().open(asking(BASE, ui_locales="es"))
    assert "Contraseña" in page.text
    assert '<html lang="es">' in page.text
    assert page.headers["content-security-policy"].startswith("default-src 'none'; style-src 'self'; ")
    assert "form-action 'self' https://app.example;" in page.headers["content-security-policy"]
    assert page.headers["strict-transport-security"].startswith("max-age=")
    # Whoever reads may choose another language, goes on with what was asked, and is remembered.
    [address] = re.findall(r'href="(/oauth/authorize[^"]*)" lang="en"', page.text)
    browser = house.browser()
    english = await browser.http.get(html.unescape(address))
    assert '<html lang="en">' in english.text
    consent = await browser.log_in(english, "amy")
    assert "It will be able to" in consent.text
    assert "Read: records of all kinds (this person&#39;s records)" in consent.text
    assert "ui_locales" not in request_in(consent)
    assert asking(BASE).items() <= request_in(consent).items()


@pytest.mark.parametrize("encode", [quote_plus, partial(quote, safe=""), str])
async def test_a_secret_of_any_characters(house: House, encode: Callable[[str], str]) -> None:
    """Encoded as a form's, as RFC 6749 has it, with %20 for a space, or not at all."""
    secret = "a b+c%20/:&é="
    entry = {"id": "odd", "redirect_uris": ["https://odd.example/cb"], "scopes": "patient/*.rs"}
    registered = clients.registered({**entry, "secret_sha256": clients.secret_digest(secret)})
    await house.context.store.clients.put(registered)
    header = b64encode(f"odd:{encode(secret)}".encode()).decode()
    async with house.http() as http:
        for proof, status in ((header, 200), (b64encode(b"odd:a").decode(), 401)):
            headers = {"authorization": f"Basic {proof}"}
            answer = await http.post("/oauth/introspect", data={"token": "x.y"}, headers=headers)
            assert answer.status_code == status, answer.text
