"""https://hl7.org/fhir/smart-app-launch/conformance.html

Discovery, the CapabilityStatement and the endpoints agree; whose scripts may read what; how often one may ask.
"""

from dataclasses import replace

import httpx
import pytest

from fhir_server.access import rates
from fhir_server.fhir.outcome import FhirError
from fhir_server.http.smart_configuration import CAPABILITIES
from tests.http.answers import refused
from tests.oauth.conftest import BASE, EC, ORIGIN, House
from tests.oauth.systems import ask, claims, signed

SMART = "/fhir/.well-known/smart-configuration"
APP = {"origin": "https://app.example"}
STRANGER = {"origin": "https://stranger.example"}


async def get(house: House, address: str, **headers: str) -> httpx.Response:
    async with house.http() as http:
        return await http.get(address, headers=headers)


@pytest.mark.parametrize("accept", ["application/json", "application/fhir+xml", "text/html", "*/*"])
async def test_discovery_is_always_json(house: House, accept: str) -> None:
    answer = await get(house, SMART, accept=accept)
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/json"
    assert answer.json() == (await get(house, "/fhir/.well-known/openid-configuration")).json()


async def test_discovery_says_what_smart_requires(house: House) -> None:
    said = (await get(house, SMART)).json()
    assert said["issuer"] == BASE
    assert said["code_challenge_methods_supported"] == ["S256"]
    assert set(said["capabilities"]) == set(CAPABILITIES)
    assert {"authorization_code", "client_credentials"} <= set(said["grant_types_supported"])
    assert set(said["token_endpoint_auth_signing_alg_values_supported"]) == {"RS384", "ES384"}
    assert "RS256" in said["id_token_signing_alg_values_supported"]
    for name in ("authorization", "token", "introspection", "revocation"):
        assert said[f"{name}_endpoint"].startswith(f"{ORIGIN}/oauth/")


async def test_the_capability_statement_says_the_same(house: House) -> None:
    answer = await get(house, "/fhir/metadata")
    [rest] = answer.json()["rest"]
    [extension] = rest["security"]["extension"]
    uris = {each["url"]: each["valueUri"] for each in extension["extension"]}
    said = (await get(house, SMART)).json()
    assert uris == {
        "authorize": said["authorization_endpoint"],
        "token": said["token_endpoint"],
        "introspect": said["introspection_endpoint"],
        "revoke": said["revocation_endpoint"],
    }
    assert rest["security"]["service"][0]["coding"][0]["code"] == "SMART-on-FHIR"


async def test_token_keys_are_public_and_not_those_of_cards(house: House) -> None:
    keys = (await get(house, "/oauth/jwks.json")).json()["keys"]
    assert keys
    for key in keys:
        assert (key["kty"], key["alg"], key["use"]) == ("RSA", "RS256", "sig")
        assert not {"d", "p", "q"} & set(key)


@pytest.mark.parametrize("address", [SMART, "/fhir/metadata", "/oauth/jwks.json"])
async def test_everybody_s_scripts_read_what_is_public(house: House, address: str) -> None:
    assert (await get(house, address, **STRANGER)).headers["access-control-allow-origin"] == "*"


@pytest.mark.parametrize("address", ["/fhir/Patient/ruth", "/oauth/token", "/fhir/Patient"])
async def test_only_scripts_of_registered_clients_read_the_rest(house: House, address: str) -> None:
    ours = await get(house, address, **APP)
    assert ours.headers["access-control-allow-origin"] == "https://app.example"
    assert "Origin" in ours.headers.get_list("vary")
    theirs = await get(house, address, **STRANGER)
    assert "access-control-allow-origin" not in theirs.headers
    assert "access-control-allow-credentials" not in ours.headers


async def test_browsers_that_ask_beforehand(house: House) -> None:
    asks = {"access-control-request-method": "PUT", "access-control-request-headers": "authorization,if-match"}
    async with house.http() as http:
        ours = await http.options("/fhir/Patient/ruth", headers={**APP, **asks})
        theirs = await http.options("/fhir/Patient/ruth", headers={**STRANGER, **asks})
    assert ours.status_code == 204
    assert ours.headers["access-control-allow-origin"] == "https://app.example"
    assert ours.headers["access-control-allow-headers"] == "authorization,if-match"
    assert "PUT" in ours.headers["access-control-allow-methods"]
    assert theirs.status_code == 403
    assert "access-control-allow-origin" not in theirs.headers


@pytest.mark.parametrize("address", [SMART, "/fhir/Patient", "/oauth/token", "/livez", "/nowhere"])
async def test_headers_that_every_answer_has(house: House, address: str) -> None:
    headers = (await get(house, address)).headers
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["strict-transport-security"] == "max-age=31536000"


async def test_the_eleventh_token_request_of_a_second_has_to_wait(house: House) -> None:
    authority = house.context.authority
    second = authority.clock() // 1_000_000
    still = replace(authority, clock=lambda: second * 1_000_000, limits=replace(authority.limits, token_requests=10))
    for _ in range(10):
        await rates.require_slow(still, "somebody|192.0.2.1")
    with pytest.raises(FhirError) as raised:
        await rates.require_slow(still, "somebody|192.0.2.1")
    assert (raised.value.status, raised.value.headers) == (429, {"Retry-After": "1"})
    await rates.require_slow(still, "somebody else|192.0.2.1")
    await rates.require_slow(still, "somebody|192.0.2.2")
    later = replace(still, clock=lambda: (second + 1) * 1_000_000)
    await rates.require_slow(later, "somebody|192.0.2.1")


async def test_the_endpoint_itself_has_the_client_wait(house: House) -> None:
    context, now = house.app.state.context, house.context.clock() + 10_000_000
    limits = replace(context.authority.limits, token_requests=2)
    house.app.state.context = replace(context, authority=replace(context.authority, clock=lambda: now, limits=limits))
    form = {"grant_type": "refresh_token", "refresh_token": "a.b", "client_id": "hasty"}
    try:
        async with house.http() as http:
            answers = [await http.post("/oauth/token", data=form) for _ in range(3)]
            other = await http.post("/oauth/token", data={**form, "client_id": "another"})
    finally:
        house.app.state.context = context
    assert [answer.status_code for answer in (*answers[:2], other)] == [400, 400, 400]
    assert refused(answers[2], 429)[:2] == ("throttled", "too-many-token-requests")
    assert (answers[2].headers["retry-after"], answers[2].headers["cache-control"]) == ("1", "no-store")


def test_who_seems_to_ask() -> None:
    assert rates.who({"client_id": "app"}, None, "192.0.2.1") == "app|192.0.2.1"
    assert rates.who({}, "Basic cG9ydGFsOng=", "192.0.2.1") == "portal|192.0.2.1"
    assert rates.who({"client_assertion": signed(EC, claims())}, None, "192.0.2.1") == "mercy|192.0.2.1"
    assert rates.who({"client_assertion": "x"}, None, "") == "|"


LARGE = {
    "an address": ("/oauth/authorize?x=" + "x" * 9_000, {}, b"", 414),
    "headers": ("/oauth/token", {"x-large": "x" * 40_000}, b"a=b", 431),
    "a body": ("/oauth/token", {}, b"a=" + b"b" * 70_000, 413),
    "many parameters": ("/oauth/token", {}, b"&".join(b"a%d=b" % n for n in range(1_001)), 400),
}


@pytest.mark.parametrize("what", LARGE)
async def test_what_is_too_large(house: House, what: str) -> None:
    address, headers, body, status = LARGE[what]
    form = {"content-type": "application/x-www-form-urlencoded"}
    async with house.http() as http:
        answer = await http.post(address, content=body, headers={**form, **headers})
    assert answer.status_code == status


async def test_a_token_opens_the_api_and_nothing_else_does(house: House) -> None:
    async with house.http() as http:
        assert (await http.get("/fhir/Patient")).status_code == 401
        token = (await ask(http, signed(EC, claims()))).json()["access_token"]
        assert (await http.get("/fhir/Patient", headers={"authorization": f"bearer {token}"})).status_code == 200
        assert (await http.get("/fhir/Patient", headers={"authorization": f"Bearer   {token}"})).status_code == 200
        assert (await http.get(f"/fhir/Patient?access_token={token}")).status_code == 401
