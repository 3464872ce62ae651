"""The front page: where to go from here.

https://www.w3.org/TR/WCAG22/
"""

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from fhir_server.http.portal.site import Site


def home_routes(site: Site) -> list[BaseRoute]:
    """`/`."""

    async def home(request: Request) -> Response:
        return site.page(request, "home")

    return [Route("/", home)]
