"""https://www.rfc-editor.org/rfc/rfc9068

Tokens of an OpenID provider elsewhere: whom they speak of is looked up here, and the wrong ones are refused.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from joserfc.jwk import ECKey, RSAKey

from fhir_server.access import users
from fhir_server.access.external import External
from fhir_server.access.key_sets import KeySets
from fhir_server.access.outbound import Outbound, OutboundError
from fhir_server.app import create_app
from fhir_server.fhir import json
from fhir_server.fhir.outcome import FhirError
from fhir_server.interactions.security import security
from fhir_server.settings import Settings
from tests.oauth.conftest import BASE, EC, RSA, House
from tests.oauth.systems import signed

ISSUER = "https://login.example"
KEYS = f"{ISSUER}/keys"
STRANGER = RSAKey.generate_key(2_048, {"kid": "rsa-1"}, private=True)


@dataclass(frozen=True)
class Elsewhere(Outbound):
    """The provider, as the way out finds it; counts what it is asked."""

    hosts: frozenset[str] = frozenset()
    pages: dict[str, Any] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)

    async def get(self, url: str, accept: str = "application/json") -> bytes:
        self.asked.append(url)
        if url not in self.pages:
            raise OutboundError("login.example answered 404.")
        return json.dump(self.pages[url])


def public(key: RSAKey | ECKey) -> dict[str, Any]:
    return {**key.as_dict(private=False), "kid": key.kid}


@pytest.fixture
def elsewhere() -> Elsewhere:
    metadata = {"issuer": ISSUER, "jwks_uri": KEYS, "token_endpoint": f"{ISSUER}/token"}
    return Elsewhere(
        pages={f"{ISSUER}/.well-known/openid-configuration": metadata, KEYS: {"keys": [public(RSA), public(EC)]}}
    )


@pytest.fixture
async def external(house: House, elsewhere: Elsewhere) -> External:
    store = house.context.store
    user = users.new("eva", ["recipient"], "amy", external="sub-eva")
    await store.users.put(replace(user, subject="user-eva"))
    return External(ISSUER, BASE, elsewhere, KeySets(elsewhere), store.clients, store.users, house.context.clock)


def claims(**more: Any) -> dict[str, Any]:
    given = {
        "iss": ISSUER,
        "aud": BASE,
        "sub": "sub-eva",
        "client_id": "growth-chart",
        "scope": "openid patient/*.rs system/*.rs",
        "exp": int(time.time()) + 600,
        **more,
    }
    return {name: claim for name, claim in given.items() if claim is not None}


async def test_a_user(external: External) -> None:
    found = await external.caller(signed(RSA, claims(), "RS256", typ="at+jwt"))
    assert found is not None
    caller, until = found
    assert (caller.subject, caller.client, caller.patient) == ("user-eva", "growth-chart", "amy")
    assert caller.roles == {"recipient"}
    assert caller.scopes == ("openid", "patient/*.rs"), (
        "never a system's, never more than the client was registered for"
    )
    assert until == claims()["exp"] or abs(until - claims()["exp"]) < 3


async def test_a_system(external: External) -> None:
    token = signed(EC, claims(sub="mercy", client_id="mercy", scope="system/*.rs patient/*.rs"))
    found = await external.caller(token)
    assert found is not None
    assert (found[0].subject, found[0].organization, found[0].scopes) == ("mercy", "mercy", ("system/*.rs",))


async def test_it_is_asked_once(external: External, elsewhere: Elsewhere) -> None:
    for _ in range(3):
        assert await external.caller(signed(RSA, claims(), "RS256")) is not None
    assert elsewhere.asked == [f"{ISSUER}/.well-known/openid-configuration", KEYS]
    assert await external.caller(signed(RSA, claims(), "RS256", kid="unknown")) is None
    assert len(elsewhere.asked) == 2, "an unknown key does not make it ask again at once"


WRONG: dict[str, Callable[[], str]] = {
    "another issuer": lambda: signed(RSA, claims(iss="https://evil.example"), "RS256"),
    "another audience": lambda: signed(RSA, claims(aud="https://other.example"), "RS256"),
    "another key": lambda: signed(STRANGER, claims(), "RS256"),
    "over": lambda: signed(RSA, claims(exp=int(time.time()) - 1), "RS256"),
    "without an end": lambda: signed(RSA, claims(exp=None), "RS256"),
    "not yet": lambda: signed(RSA, claims(nbf=int(time.time()) + 60), "RS256"),
    "an id_token's type": lambda: signed(RSA, claims(), "RS256", typ="logout+jwt"),
    "PS256": lambda: signed(RSA, claims(), "PS256"),
    "an unknown user": lambda: signed(RSA, claims(sub="sub-nobody"), "RS256"),
    "an unknown app": lambda: signed(RSA, claims(client_id="nobody"), "RS256"),
    "no app": lambda: signed(RSA, claims(client_id=None), "RS256"),
    "scope is a list": lambda: signed(RSA, claims(scope=["patient/*.rs"]), "RS256"),
    "no JWT": lambda: "abc.def",
}


@pytest.mark.parametrize("wrong", WRONG)
async def test_wrong_tokens(external: External, wrong: str) -> None:
    assert await external.caller(WRONG[wrong]()) is None


async def test_a_patient_the_user_does_not_act_for(external: External) -> None:
    found = await external.caller(signed(RSA, claims(patient="ruth"), "RS256"))
    assert found is not None
    assert found[0].patient == "amy"


async def test_metadata_of_somebody_else(external: External, elsewhere: Elsewhere) -> None:
    elsewhere.pages[f"{ISSUER}/.well-known/openid-configuration"]["issuer"] = "https://evil.example"
    with pytest.raises(FhirError) as refused:
        await external.caller(signed(RSA, claims(), "RS256"))
    assert refused.value.status == 503


def test_nothing_of_ours_gives_out_tokens_then() -> None:
    settings = Settings.model_validate({"openid_issuer": ISSUER})
    paths = {getattr(route, "path", "") for route in create_app(settings, "").router.routes}
    assert "/fhir/.well-known/smart-configuration" in paths
    assert not {path for path in paths if path.startswith(("/oauth", "/account"))}
    said = security(settings)
    assert said is not None
    assert "extension" not in said
    assert security(Settings.model_validate({"dev": True})) is None
