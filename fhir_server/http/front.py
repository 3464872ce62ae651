"""Front: the usual addresses of the FHIR API, answered before the web framework's own layers (decision 15).

https://hl7.org/fhir/R4/http.html#summary
"""

from collections.abc import Iterable

from fastapi import FastAPI
from starlette.routing import BaseRoute, Route
from starlette.types import ASGIApp, Receive, Scope, Send

from profiles.definitions import RESOURCE_TYPES

INSTANCE, TYPE = "/fhir/{type}/{id}", "/fhir/{type}"


class Direct:
    """Answers `/fhir/Patient` and `/fhir/Patient/1` by the routes of these paths."""

    def __init__(self, routes: Iterable[BaseRoute]) -> None:
        found = {route.path: route for route in routes if isinstance(route, Route)}
        self._instance, self._type = found[INSTANCE], found[TYPE]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        parts = scope["path"].split("/")
        route, params = self._type, {"type": parts[2]}
        if len(parts) == 4:
            route, params = self._instance, {"type": parts[2], "id": parts[3]}
        await route.app({**scope, "path_params": params, "route": route}, receive, send)


def is_usual(scope: Scope) -> bool:
    """Whether the address is that of a type, or of a resource; those that are not plainly so are left to the router."""
    if scope["type"] != "http" or scope.get("root_path"):
        return False
    parts = scope["path"].split("/")
    if len(parts) not in (3, 4) or parts[1] != "fhir" or parts[2] not in RESOURCE_TYPES:
        return False
    return len(parts) == 3 or (parts[3] != "" and parts[3][0] not in "$_*")


class Application(FastAPI):
    """The application; what `is_usual` goes to `front`, which stands for the framework's layers and router."""

    front: ASGIApp | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self.front is not None and is_usual(scope):
            scope["app"] = self
            await self.front(scope, receive, send)
        else:
            await super().__call__(scope, receive, send)
