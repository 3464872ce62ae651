"""The front page: where to go from here, for who has signed in and for who has not.

https://www.w3.org/TR/WCAG22/
"""

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from fhir_server.fhir.outcome import FhirError
from fhir_server.http.portal.session import Portal


def home_routes(portal: Portal) -> list[BaseRoute]:
    """`/`."""

    async def home(request: Request) -> Response:
        try:
            visitor = None if portal.site.settings.dev else await portal.visitor(request)
        except FhirError as error:
            return portal.site.page(request, "unavailable", error.status)
        roles = frozenset() if visitor is None else visitor.caller.roles
        return portal.form(request, "home", roles=roles, signs_in=portal.signs_in)

    return [Route("/", home)]
