"""Teller: who tells the story to a running server, what it learned on the way, and what it does not take.

https://hl7.org/fhir/R4/http.html
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import httpx

from fhir_server.story.sample import Sample

JSON = {"content-type": "application/fhir+json"}
Resource = dict[str, Any]


class StoryError(Exception):
    """Something in the story did not go as it must; the sentence says what."""


@dataclass(frozen=True, slots=True)
class Teller:
    """Who tells the story: the client on the server's base, who takes part, and what was learned on the way."""

    client: httpx.AsyncClient
    now: Callable[[], float]
    sample: Sample
    learned: dict[str, str] = field(default_factory=dict)
    tokens: dict[str, str] = field(default_factory=dict)
    """Access tokens, by the system or person they were given to."""
    speaker: str = ""

    def speaking(self, name: str) -> "Teller":
        """The same story, told by this system or person from here on."""
        return replace(self, speaker=name)

    @property
    def base(self) -> str:
        """The FHIR base."""
        return str(self.client.base_url).rstrip("/")

    @property
    def headers(self) -> dict[str, str]:
        """What says who speaks; nothing before anybody does."""
        return {"authorization": f"Bearer {self.tokens[self.speaker]}"} if self.speaker else {}

    async def get(self, address: str, **parameters: str) -> Resource:
        """The JSON at this address, which must be there."""
        return answered(await self.client.get(address, params=parameters, headers=self.headers), 200)

    async def put(self, resource: Resource) -> Resource:
        """Store under its id."""
        address = f"{resource['resourceType']}/{resource['id']}"
        return answered(await self.client.put(address, json=resource, headers={**JSON, **self.headers}), 200, 201)

    async def post(self, address: str, resource: Resource, *expected: int, **headers: str) -> Resource:
        """Post a resource."""
        answer = await self.client.post(address, json=resource, headers={**JSON, **self.headers, **headers})
        return answered(answer, *(expected or (200, 201)))

    async def eligibility(self, patient: str, day: str, **parameters: str) -> Resource:
        """The answer of $vaccine-eligibility as {name: first value}."""
        answer = await self.get(f"Patient/{patient}/$vaccine-eligibility", asOf=day, **parameters)
        return {found["name"]: value(found) for found in reversed(answer["parameter"])}


def value(parameter: Resource) -> Any:
    return next((value for name, value in parameter.items() if name.startswith("value")), None)


def answered(answer: httpx.Response, *expected: int) -> Resource:
    if answer.status_code not in expected:
        issues = answer.json().get("issue", []) if "json" in answer.headers.get("content-type", "") else []
        told = "; ".join(issue["details"]["text"] for issue in issues) or answer.text[:200]
        raise StoryError(f"{answer.request.method} {answer.request.url.path} answered {answer.status_code}: {told}")
    found: Resource = answer.json()
    return found


def require(holds: bool, otherwise: str) -> None:
    if not holds:
        raise StoryError(otherwise)
