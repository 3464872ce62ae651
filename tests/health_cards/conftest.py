"""People with doses on a live server, and their cards."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import httpx
import pytest

from smart_health_cards import TrustList, verify
from tests.conftest import Server

CVX = "http://hl7.org/fhir/sid/cvx"
JSON = {"content-type": "application/fhir+json"}


def dose(patient: str, code: str = "208", day: str = "2021-01-29", **more: Any) -> dict[str, Any]:
    return {
        "resourceType": "Immunization",
        "status": "completed",
        "vaccineCode": {"coding": [{"system": CVX, "code": code}]},
        "patient": {"reference": f"Patient/{patient}"},
        "occurrenceDateTime": day,
        "primarySource": True,
        "lotNumber": "EL9261",
        **more,
    }


class People:
    """What the tests do with people on one server."""

    def __init__(self, client: httpx.AsyncClient, origin: str) -> None:
        self.client = client
        self.origin = origin

    async def store(self, resource: dict[str, Any]) -> str:
        answer = await self.client.post(resource["resourceType"], json=resource)
        assert answer.status_code == 201, answer.text
        return str(answer.json()["id"])

    async def person(self, *doses: dict[str, Any], **more: Any) -> tuple[str, list[str]]:
        """A person with these doses (`patient` filled in); their ids."""
        who = {"resourceType": "Patient", "name": [{"family": "Peña", "given": ["Ana"]}], "birthDate": "1950-03-02"}
        patient = await self.store({**who, **more})
        about = {"patient": {"reference": f"Patient/{patient}"}}
        return patient, [await self.store({**each, **about}) for each in doses]

    async def issue(self, patient: str, **given: str | list[str]) -> list[str]:
        parameters = {"credentialType": "Immunization", **given}
        answer = await self.client.get(f"Patient/{patient}/$health-cards-issue", params=parameters)
        assert answer.status_code == 200, answer.text
        return [each["valueString"] for each in answer.json().get("parameter", ()) if each["name"] == CREDENTIAL]

    async def addresses(self, patient: str) -> list[str]:
        """The addresses of new cards, without an ending."""
        answer = await self.client.get(f"Patient/{patient}/$health-cards-issue?credentialType=Immunization")
        found = [each for each in answer.json()["parameter"] if each["name"] == CREDENTIAL]
        return [each["extension"][0]["valueUrl"].removesuffix(".png") for each in found]

    async def published(self, iss: str | None = None) -> tuple[dict[str, Any], dict[str, dict[str, Any]]]:
        """The issuer's key set and revocation lists as anybody gets them."""
        iss = iss or f"{self.origin}/shc"
        keys = (await self.client.get(f"{iss}/.well-known/jwks.json")).json()
        lists = {}
        for key in keys["keys"]:
            if "crlVersion" in key:
                answer = await self.client.get(f"{iss}/.well-known/crl/{key['kid']}.json")
                lists[key["kid"]] = answer.json()
        return keys, lists

    async def revocation(self, card: str, at: float) -> str:
        """The code of our own offline verifier's verdict on revocation."""
        keys, lists = await self.published()
        trust = TrustList.from_jwks(f"{self.origin}/shc", keys, revocations=lists.values())
        report = verify(card, trust, at, leeway=5)[0]
        assert report.verdict("signature").status == "pass"
        return report.verdict("revocation").code


CREDENTIAL = "verifiableCredential"


@pytest.fixture(scope="session")
def people(client: httpx.AsyncClient, server: Server) -> People:
    return People(client, server.base.removesuffix("/fhir"))


async def until(wanted: Callable[[], Awaitable[bool]], seconds: float = 10.0) -> None:
    async with asyncio.timeout(seconds):
        while not await wanted():  # noqa: ASYNC110 - what is waited for happens in another process
            await asyncio.sleep(0.05)


@pytest.fixture
async def own_server(tmp_path: Any) -> AsyncIterator[Server]:
    running = Server(tmp_path / "own")
    yield running
    await running.stop()
