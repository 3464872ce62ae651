"""The API as the portal uses it: the same addresses with the visitor's own token, only without a network in between.

https://hl7.org/fhir/R4/http.html

So authorization, validation, audit and limits are those of every other app, and a page cannot do what its user may not.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import httpx
from starlette.types import ASGIApp

from fhir_server.fhir import json

_FHIR = "application/fhir+json"
Pairs = Sequence[tuple[str, str]] | Mapping[str, str]


class RefusedError(Exception):
    """What the API refused: the status, and the issues' codes and sentences, in the visitor's language."""

    def __init__(self, status: int, outcome: Mapping[str, Any]) -> None:
        super().__init__(str(status))
        self.status = status
        issues = outcome.get("issue", ())
        self.codes = tuple(_code(issue) for issue in issues)
        self.sentences = tuple(issue.get("details", {}).get("text", "") for issue in issues)


@dataclass(frozen=True, slots=True)
class Api:
    """The API of this process. `base` is the FHIR base."""

    app: ASGIApp
    base: str

    def of(self, token: str, language: str) -> "Visit":
        """The API as somebody with this token sees it."""
        return Visit(self, {"authorization": f"Bearer {token}", "accept-language": language, "accept": _FHIR})


@dataclass(frozen=True, slots=True)
class Visit:
    """The API for one visitor. Everything raises RefusedError for answers of 400 and above."""

    api: Api
    headers: Mapping[str, str]

    async def get(self, path: str, parameters: Pairs = ()) -> dict[str, Any]:
        """A resource, a page of a search, or the answer of an operation."""
        return await self._ask("GET", path, parameters)

    async def entries(self, path: str, parameters: Pairs = ()) -> list[dict[str, Any]]:
        """The resources of a search's first page, included ones behind them."""
        found = await self.get(path, parameters)
        return [entry["resource"] for entry in found.get("entry", ())]

    async def post(
        self, path: str, body: Mapping[str, Any], headers: Mapping[str, str] | None = None
    ) -> dict[str, Any]:
        """Create a resource, or call an operation."""
        return await self._ask("POST", path, (), body, headers)

    async def put(self, resource: Mapping[str, Any]) -> dict[str, Any]:
        """Store a changed resource, unless somebody else has changed it since it was read (412)."""
        path = f"{resource['resourceType']}/{resource['id']}"
        return await self._ask("PUT", path, (), resource, {"if-match": f'W/"{resource["meta"]["versionId"]}"'})

    async def _ask(
        self,
        method: str,
        path: str,
        parameters: Pairs = (),
        body: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> dict[str, Any]:
        sent = {**self.headers, **(headers or {})}
        content = None
        if body is not None:
            sent["content-type"] = _FHIR
            content = json.dump(body)
        # Without a client around it, whose cookies, redirects and proxies cost more than the request, and serve nobody.
        transport = httpx.ASGITransport(self.api.app, raise_app_exceptions=False)
        pairs = parameters.items() if isinstance(parameters, Mapping) else parameters
        url = httpx.URL(f"{self.api.base}/{path}", params=tuple(pairs)) if pairs else f"{self.api.base}/{path}"
        answer = await transport.handle_async_request(httpx.Request(method, url, content=content, headers=sent))
        said = await answer.aread()
        told = json.parse(said) if said else {}
        if answer.status_code >= 400:
            raise RefusedError(answer.status_code, told)
        return told


def _code(issue: Mapping[str, Any]) -> str:
    codings = issue.get("details", {}).get("coding", ())
    return str(next((coding["code"] for coding in codings if "code" in coding), issue.get("code", "")))
