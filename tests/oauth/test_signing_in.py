"""https://hl7.org/fhir/smart-app-launch/client-confidential-asymmetric.html

How `fhir-server import` and the story get their tokens.
"""

import httpx
import pytest

from fhir_server.access import tokens
from fhir_server.story import signing_in
from fhir_server.story.signing_in import SignInError, SystemAuth
from tests.oauth.conftest import BASE, EC, House


async def test_a_system_gets_another_token_when_the_first_is_over(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    async def as_system(client: httpx.AsyncClient, *system: object) -> str:
        async with house.http() as http:
            asked.append(await given(http, BASE, "steward", EC, "system/*.cruds", house.context.clock() / 1e6))
        return asked[-1]

    given = signing_in.as_system
    monkeypatch.setattr(signing_in, "as_system", as_system)
    transport = httpx.ASGITransport(house.app)
    async with httpx.AsyncClient(transport=transport, auth=SystemAuth(BASE, "steward", EC), base_url=BASE) as client:
        assert (await client.get("/Patient/ruth")).status_code == 200
        assert (await client.get("/Patient/ruth")).status_code == 200
        assert len(asked) == 1
        await house.context.store.grants.revoke(tokens.grant_of(asked[0]))
        house.context.tokens.forget()
        assert (await client.get("/Patient/ruth")).status_code == 200
    assert len(asked) == 2


async def test_no_token_is_told(house: House) -> None:
    async with house.http() as http:
        with pytest.raises(SignInError, match="invalid_client"):
            await signing_in.as_system(http, BASE, "nobody", EC, "system/*.rs", 0)
        with pytest.raises(SignInError, match="401"):
            await signing_in.as_system(http, BASE + "/elsewhere", "mercy", EC, "system/*.rs", 0)
