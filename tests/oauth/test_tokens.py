"""https://hl7.org/fhir/smart-app-launch/app-launch.html#refresh-access-token

The life of tokens: refreshed, shown twice, revoked, asked about, over.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

import httpx
import pytest

from fhir_server import administering
from fhir_server.access import clients, tokens
from fhir_server.access.tokens import TRUST_SECONDS, Tokens, caller_of
from fhir_server.fhir.outcome import FhirError
from tests.http.answers import refused
from tests.oauth.browser import Browser, asking, forms, redeem, told
from tests.oauth.conftest import BASE, CLIENTS, EC, House
from tests.oauth.systems import ASSERTION, ask, claims, signed


@pytest.fixture(scope="module")
async def amy(house: House) -> Browser:
    """Amy's browser, logged in."""
    browser = house.browser()
    await browser.log_in(await browser.open(asking(BASE)), "amy")
    return browser


@pytest.fixture
async def given(amy: Browser) -> dict[str, Any]:
    """What the app was given for Amy."""
    back = await amy.authorize(asking(BASE), "amy")
    answer: dict[str, Any] = (await redeem(amy.http, told(back)["code"])).json()
    return answer


async def refresh(http: httpx.AsyncClient, token: str, **more: str) -> httpx.Response:
    form = {"grant_type": "refresh_token", "refresh_token": token, "client_id": "growth-chart", **more}
    return await http.post("/oauth/token", data=form)


async def status(house: House, token: str) -> int:
    """What the API answers to this token, looked up anew."""
    house.context.tokens.forget()
    async with house.http() as http:
        answer = await http.get("/fhir/Patient/amy", headers={"authorization": f"Bearer {token}"})
    return answer.status_code


async def test_refresh_rotates(house: House, given: dict[str, Any]) -> None:
    async with house.http() as http:
        second = (await refresh(http, given["refresh_token"])).json()
        assert second["refresh_token"] != given["refresh_token"]
        assert second["access_token"] != given["access_token"]
        assert (second["patient"], second["scope"]) == ("amy", given["scope"])
        narrow = (await refresh(http, second["refresh_token"], scope="patient/*.rs")).json()
        assert narrow["scope"] == "patient/*.rs"
        whole = (await refresh(http, narrow["refresh_token"])).json()
        assert whole["scope"] == given["scope"], "fewer scopes once are not fewer for ever"
        wider = await refresh(http, whole["refresh_token"], scope="user/*.cruds")
        assert wider.json()["error"] == "invalid_scope"
        unnamed = await refresh(http, whole["refresh_token"], client_id="")
        assert unnamed.status_code == 200, "a refresh token names its client"
        assert (await refresh(http, "x.y", client_id="")).json()["error"] == "invalid_client"
    assert await status(house, whole["access_token"]) == 200


async def test_a_refresh_token_used_twice_ends_the_family(house: House, given: dict[str, Any]) -> None:
    async with house.http() as http:
        second = (await refresh(http, given["refresh_token"])).json()
        assert await status(house, second["access_token"]) == 200
        again = await refresh(http, given["refresh_token"])
        assert (again.status_code, again.json()["error"]) == (400, "invalid_grant")
        assert (await refresh(http, second["refresh_token"])).json()["error"] == "invalid_grant"
    assert await status(house, given["access_token"]) == 401
    assert await status(house, second["access_token"]) == 401


async def test_of_many_refreshes_at_once_one_wins(house: House, given: dict[str, Any]) -> None:
    async with house.http() as http:
        answers = await asyncio.gather(*(refresh(http, given["refresh_token"]) for _ in range(8)))
        assert sorted(answer.status_code for answer in answers) == [200] + [400] * 7
        [won] = [answer.json() for answer in answers if answer.status_code == 200]
        # Somebody showed it twice: nobody knows who is who.
        assert (await refresh(http, won["refresh_token"])).json()["error"] == "invalid_grant"


async def test_online_access_lasts_as_long_as_the_login(house: House) -> None:
    scope = "launch/patient patient/*.rs online_access"
    for more, outlasts in ((" offline_access", True), ("", False)):
        browser = house.browser()
        back = await browser.authorize(asking(BASE, scope=scope + more), "amy")
        given = (await redeem(browser.http, told(back)["code"])).json()
        second = (await refresh(browser.http, given["refresh_token"])).json()
        page = await browser.open(asking(BASE))
        await browser.post(forms(page)["logout"], {})
        last = await refresh(browser.http, second["refresh_token"])
        assert (last.status_code == 200) == outlasts, last.text
        assert outlasts or last.json()["error"] == "invalid_grant"


async def test_another_app_cannot_refresh_nor_end_the_family(house: House, given: dict[str, Any]) -> None:
    async with house.http() as http:
        assert (await refresh(http, given["refresh_token"], client_id="other-app")).json()["error"] == "invalid_grant"
        assert (await refresh(http, given["refresh_token"])).status_code == 200
        assert (await refresh(http, given["refresh_token"], client_id="other-app")).json()["error"] == "invalid_grant"
    assert await status(house, given["access_token"]) == 200


async def test_introspection(house: House, given: dict[str, Any]) -> None:
    async with house.http() as http:

        async def introspect(token: str, **who: str) -> Any:
            proof = {"client_assertion_type": ASSERTION, "client_assertion": signed(EC, claims())}
            return (await http.post("/oauth/introspect", data={"token": token, **(who or proof)})).json()

        said = await introspect(given["access_token"])
        assert {said[name] for name in ("client_id", "sub", "iss", "patient", "token_type")} == {
            *("growth-chart", "user-amy", BASE, "amy", "Bearer")
        }
        assert said["active"] is True
        assert said["scope"] == given["scope"]
        assert said["fhirUser"] == f"{BASE}/Patient/amy"
        assert abs(said["exp"] - time.time() - 900) < 30
        assert (await introspect(given["refresh_token"]))["active"] is True
        assert (await introspect(given["access_token"], client_id="growth-chart"))["active"] is True
        assert await introspect(given["access_token"], client_id="other-app") == {"active": False}
        assert await introspect("x.y") == {"active": False}
        assert (await http.post("/oauth/introspect", data={"token": "x"})).json()["error"] == "invalid_client"


async def test_revocation(house: House, given: dict[str, Any]) -> None:
    async with house.http() as http:

        async def revoke(token: str, client: str = "growth-chart") -> httpx.Response:
            return await http.post("/oauth/revoke", data={"token": token, "client_id": client})

        assert (await revoke(given["access_token"], "other-app")).status_code == 200
        assert await status(house, given["access_token"]) == 200
        assert (await revoke(given["access_token"])).status_code == 200
        assert await status(house, given["access_token"]) == 401
        second = (await refresh(http, given["refresh_token"])).json()
        assert (await revoke(second["refresh_token"])).status_code == 200
        assert await status(house, second["access_token"]) == 401
        assert (await refresh(http, second["refresh_token"])).json()["error"] == "invalid_grant"
        assert (await revoke("x.y")).status_code == 200
        assert (await http.post("/oauth/revoke", data={"client_id": "growth-chart"})).json()[
            "error"
        ] == "invalid_request"


async def test_disabling_a_client_ends_its_tokens(house: House) -> None:
    entry = {**next(entry for entry in CLIENTS if entry["id"] == "mercy"), "id": "leaver"}
    await administering.register(house.context.authority, clients.registered(entry))
    async with house.http() as http:
        token = (await ask(http, signed(EC, claims("leaver")))).json()["access_token"]
        assert await status(house, token) != 401
        assert await administering.disable_client(house.context.authority, "leaver")
        assert await status(house, token) == 401
        assert (await ask(http, signed(EC, claims("leaver")))).json()["error"] == "invalid_client"
    assert not await administering.disable_client(house.context.authority, "nobody")


HEADERS: dict[str, list[str]] = {
    "none": [],
    "empty": [""],
    "no token": ["Bearer "],
    "another scheme": ["Basic YTpi"],
    "only a token": ["abc.def"],
    "unknown": ["Bearer abc.def"],
    "not ASCII": ["Bearer \xe9.\xe9"],
}


@pytest.mark.parametrize("header", HEADERS)
async def test_what_is_no_token(house: House, header: str) -> None:
    with pytest.raises(FhirError) as refused:
        await caller_of(house.context, HEADERS[header])
    assert refused.value.status == 401
    assert refused.value.issues[0].code == "login"
    challenge = refused.value.headers["WWW-Authenticate"]
    assert challenge.startswith(f'Bearer realm="{BASE}"')
    assert ("invalid_token" in challenge) == (header in ("unknown", "not ASCII"))


async def test_two_authorization_headers_are_refused(house: House, given: dict[str, Any]) -> None:
    ours, other = (("Authorization", f"Bearer {token}") for token in (given["access_token"], "abc.def"))
    async with house.http() as http:
        for pair in ([ours, other], [other, ours], [ours, ours], [ours, ("Authorization", "Basic YTpi")]):
            for method, path in (("GET", "/fhir/Patient"), ("POST", "/oauth/launch")):
                answer = await http.request(method, path, headers=pair)
                assert refused(answer, 400)[:2] == ("invalid", "repeated-header")
                assert 'error="invalid_request"' in answer.headers["www-authenticate"]


async def test_answers_with_tokens_are_not_kept(house: House, given: dict[str, Any]) -> None:
    """Nor are refusals, whatever refuses: the endpoint, the form, the limit of its length."""
    async with house.http() as http:
        given_again = await refresh(http, given["refresh_token"])
        wrong = await refresh(http, "abc.def")
        other = await http.post("/oauth/token", json={})
        long = await http.post("/oauth/token", data={"code": "x" * 1_000_000})
        launch = await http.post("/oauth/launch")
        asked = await http.post("/oauth/introspect", data={"token": "x"})
    for answer, code in ((given_again, 200), (wrong, 400), (other, 400), (long, 413), (launch, 401), (asked, 400)):
        assert answer.status_code == code, answer.text
        assert (answer.headers["cache-control"], answer.headers["pragma"]) == ("no-store", "no-cache")


class Moving:
    """A clock that is set."""

    def __init__(self, now: int) -> None:
        self.now = now

    def __call__(self) -> int:
        return self.now


async def test_a_token_is_over_at_its_end_and_a_revocation_is_seen_in_seconds(
    house: House, given: dict[str, Any]
) -> None:
    clock = Moving(house.context.clock())
    process = Tokens(house.context.store.grants, clock, BASE)
    token = given["access_token"]
    assert (await process.caller(token)).subject == "user-amy"
    await house.context.store.grants.revoke(tokens.grant_of(token))
    assert (await process.caller(token)).subject == "user-amy", "trusted for a moment"
    clock.now += (TRUST_SECONDS * 1_000_000) + 1
    with pytest.raises(FhirError) as refused:
        await process.caller(token)
    assert refused.value.issues[0].detail == "token-unknown"


async def test_an_old_token(house: House, given: dict[str, Any]) -> None:
    clock = Moving(house.context.clock() + 901_000_000)
    with pytest.raises(FhirError) as refused:
        await Tokens(house.context.store.grants, clock, BASE).caller(given["access_token"])
    assert (refused.value.issues[0].code, refused.value.issues[0].detail) == ("expired", "token-expired")


async def test_a_known_token_costs_nearly_nothing(house: House, given: dict[str, Any]) -> None:
    header = [f"Bearer {given['access_token']}"]
    await caller_of(house.context, header)

    async def cost(of: Callable[[], Awaitable[object]], times: int) -> float:
        started = time.process_time()
        for _ in range(times):
            await of()
        return (time.process_time() - started) / times * 1_000

    assert min([await cost(lambda: caller_of(house.context, header), 500) for _ in range(3)]) < 0.05


async def test_what_is_over_is_forgotten(house: House, given: dict[str, Any]) -> None:
    grants, now = house.context.store.grants, house.context.clock() // 1_000_000
    grant = await grants.find(tokens.grant_of(given["access_token"]))
    assert grant is not None and grant.expires > now
    await grants.replace(replace(grant, expires=100))
    await grants.purge(200)
    assert await grants.find(grant.id) is None
