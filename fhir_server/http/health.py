"""Health: `/livez` says the process answers, `/readyz` that the database does too."""

from collections.abc import Callable

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from fhir_server.context import Context
from fhir_server.fhir.outcome import FhirError


def health_routes(context: Callable[[], Context]) -> list[BaseRoute]:
    """The two addresses an orchestrator asks."""

    async def livez(request: Request) -> Response:
        return JSONResponse({"status": "live"})

    async def readyz(request: Request) -> Response:
        try:
            await context().store.ping()
        except FhirError as error:
            return JSONResponse({"status": "not ready", "reason": str(error)}, 503)
        return JSONResponse({"status": "ready"})

    return [Route("/livez", livez), Route("/readyz", readyz)]
