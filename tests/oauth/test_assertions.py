"""https://hl7.org/fhir/smart-app-launch/client-confidential-asymmetric.html

Client assertions that are wrong in one way each get no token, and the error the guide names; right ones count once.
"""

import time
from collections.abc import Callable
from typing import Any

import pytest
from joserfc.jwk import ECKey, OctKey, RSAKey

from fhir_server.access.clients import registered
from smart_health_cards import base64url
from tests.oauth.conftest import BASE, EC, KEYS, RSA, House, private, running
from tests.oauth.systems import ASSERTION, ask, claims, signed

STRANGER = ECKey.generate_key("P-384", {"kid": "ec-1"}, private=True)
SMALL = ECKey.generate_key("P-256", {"kid": "ec-1"}, private=True)


def _unsigned() -> str:
    header = base64url.encode(b'{"alg":"none","kid":"ec-1"}')
    return f"{header}.{signed(EC, claims()).split('.')[1]}."


def _symmetric() -> str:
    """HS384 with the public key as the secret: the oldest confusion."""
    key = OctKey.import_key(str(KEYS).encode(), {"kid": "rsa-1"})
    return signed(key, claims(), "HS384")  # type: ignore[arg-type] # that is the point


def _twice(member: bytes) -> bytes:
    from fhir_server.fhir import json

    return b"{" + member + b"," + json.dump(claims())[1:]


def _tampered() -> str:
    head, body, signature = signed(EC, claims()).split(".")
    return f"{head}.{body}.{'A' if signature[0] != 'A' else 'B'}{signature[1:]}"


WRONG: dict[str, Callable[[], str]] = {
    "not a JWT": lambda: "assertion",
    "four parts": lambda: signed(EC, claims()) + ".x",
    "no signature": _unsigned,
    "symmetric with the public key": _symmetric,
    "tampered signature": _tampered,
    "another key": lambda: signed(STRANGER, claims()),
    "another curve": lambda: signed(SMALL, claims(), "ES256"),
    "RS256": lambda: signed(RSA, claims(), "RS256"),
    "unknown kid": lambda: signed(EC, claims(), kid="ec-9"),
    "no kid": lambda: signed(EC, claims(), kid=None),
    "another typ": lambda: signed(EC, claims(), typ="at+jwt"),
    "a key set of its own": lambda: signed(EC, claims(), jku="https://evil.example/jwks.json"),
    "unknown client": lambda: signed(EC, claims("nobody")),
    "a client without keys": lambda: signed(EC, claims("growth-chart")),
    "iss is not sub": lambda: signed(EC, claims(iss="steward")),
    "no sub": lambda: signed(EC, claims(sub=None)),
    "no aud": lambda: signed(EC, claims(aud=None)),
    "the base as aud": lambda: signed(EC, claims(aud=BASE)),
    "no exp": lambda: signed(EC, claims(exp=None)),
    "exp is a text": lambda: signed(EC, claims(exp=str(int(time.time()) + 60))),
    "exp is a boolean": lambda: signed(EC, claims(exp=True)),
    "expired": lambda: signed(EC, claims(exp=int(time.time()) - 1)),
    "valid for ten years": lambda: signed(EC, claims(exp=int(time.time()) + 315_360_000)),
    "valid for 310 seconds": lambda: signed(EC, claims(exp=int(time.time()) + 310)),
    "not valid yet": lambda: signed(EC, claims(nbf=int(time.time()) + 60)),
    "issued in the future": lambda: signed(EC, claims(iat=int(time.time()) + 60)),
    "no jti": lambda: signed(EC, claims(jti=None)),
    "jti is a number": lambda: signed(EC, claims(jti=7)),
    "a member twice": lambda: signed(EC, _twice(b'"exp":1')),
    "a list": lambda: signed(EC, b"[]"),
    "crit": lambda: _with_crit(),
}


def _with_crit() -> str:
    from fhir_server.fhir import json

    header = base64url.encode(json.dump({"alg": "ES384", "kid": "ec-1", "crit": ["x"], "x": 1}))
    _, body, signature = signed(EC, claims()).split(".")
    return f"{header}.{body}.{signature}"


@pytest.mark.parametrize("wrong", WRONG)
async def test_wrong_assertions(house: House, wrong: str) -> None:
    async with house.http() as http:
        answer = await ask(http, WRONG[wrong]())
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_client"), answer.text
    assert "access_token" not in answer.text


REQUESTS: dict[str, tuple[dict[str, Any], str]] = {
    "another grant_type": ({"grant_type": "implicit"}, "unsupported_grant_type"),
    "no grant_type": ({"grant_type": ""}, "invalid_request"),
    "another assertion type": ({"client_assertion_type": "urn:other"}, "invalid_request"),
    "no assertion type": ({"client_assertion_type": ""}, "invalid_request"),
    "two proofs": ({"client_secret": "x"}, "invalid_request"),
    "another client_id": ({"client_id": "steward"}, "invalid_client"),
    "no scope": ({"scope": ""}, "invalid_scope"),
    "a user's scope": ({"scope": "user/*.rs"}, "invalid_scope"),
    "one of a user's": ({"scope": "system/*.rs patient/*.rs"}, "invalid_scope"),
    "an unknown type": ({"scope": "system/Nothing.rs"}, "invalid_scope"),
    "nonsense": ({"scope": "everything"}, "invalid_scope"),
    "one it may not have": ({"scope": "system/Patient.cud"}, "invalid_scope"),
    "as an app": ({"grant_type": "authorization_code", "code": "x"}, "unauthorized_client"),
}


@pytest.mark.parametrize("wrong", REQUESTS)
async def test_wrong_requests(house: House, wrong: str) -> None:
    more, error = REQUESTS[wrong]
    async with house.http() as http:
        answer = await ask(http, signed(RSA, claims()), **{"scope": "system/*.rs", **more})
    assert (answer.status_code, answer.json()["error"]) == (400, error), answer.text
    assert (answer.headers["cache-control"], answer.headers["pragma"]) == ("no-store", "no-cache")


async def test_the_body_is_a_form_with_each_parameter_once(house: House) -> None:
    form = {"content-type": "application/x-www-form-urlencoded"}
    async with house.http() as http:
        twice = await http.post("/oauth/token", content="grant_type=client_credentials&grant_type=x", headers=form)
        assert (twice.status_code, twice.json()["error"]) == (400, "invalid_request")
        other = await http.post("/oauth/token", json={"grant_type": "client_credentials"})
        assert (other.status_code, other.json()["error"]) == (400, "invalid_request")
        address = await http.post("/oauth/token?grant_type=client_credentials", content="scope=x", headers=form)
        assert (address.status_code, address.json()["error"]) == (400, "invalid_request")
        for endpoint in ("token", "revoke", "introspect"):
            garbled = await http.post(f"/oauth/{endpoint}", content=b"grant_type=%ff&token=%fe", headers=form)
            assert (garbled.status_code, garbled.json().get("error")) == (400, "invalid_request")
        assert (await http.get("/oauth/token")).status_code == 405


@pytest.mark.parametrize("key", [RSA, EC], ids=["RS384", "ES384"])
async def test_a_right_one(house: House, key: RSAKey | ECKey) -> None:
    async with house.http() as http:
        answer = await ask(http, signed(key, claims()), "system/Patient.rs system/Immunization.cruds system/Group.cud")
        assert answer.status_code == 200, answer.text
        token = answer.json()
        assert (token["token_type"], token["expires_in"]) == ("Bearer", 900)
        assert token["scope"] == "system/Patient.rs system/Immunization.cruds"
        assert "refresh_token" not in token
        bearer = {"authorization": f"Bearer {token['access_token']}"}
        assert (await http.get("/fhir/Patient/ruth", headers=bearer)).status_code == 200
        assert (await http.get("/fhir/Observation", headers=bearer)).status_code == 403


async def test_a_jti_counts_once_in_all_processes_and_after_a_restart(
    house: House, tmp_path_factory: pytest.TempPathFactory
) -> None:
    shown = signed(EC, claims())
    async with house.http() as http:
        assert (await ask(http, shown)).status_code == 200
        assert (await ask(http, shown)).json()["error"] == "invalid_client"
    folder = private(tmp_path_factory)
    (folder / "keys").mkdir(mode=0o700)
    # Processes share the folder of keys.
    (folder / "keys" / "links").write_bytes((house.settings.data / "keys" / "links").read_bytes())
    (folder / "keys" / "links").chmod(0o600)
    for _ in ("another process", "after a restart"):
        async with running(house.uri, folder) as other, other.http() as http:
            assert (await ask(http, shown)).json()["error"] == "invalid_client"


async def test_several_keys_of_one_id(house: House) -> None:
    twice = {"keys": [*KEYS["keys"], KEYS["keys"][1]]}
    client = registered({"id": "twice", "jwks": twice, "scopes": "system/*.rs", "role": "registry"})
    await house.context.store.clients.put(client)
    async with house.http() as http:
        assert (await ask(http, signed(EC, claims("twice")))).json()["error"] == "invalid_client"
        assert (await ask(http, signed(RSA, claims("twice")))).status_code == 200


def test_the_assertion_type_is_that_of_rfc_7523() -> None:
    assert ASSERTION == "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
