"""Elsewhere: addresses where nothing is: a page for whoever reads pages, a word for programs.

https://www.rfc-editor.org/rfc/rfc9110#name-404-not-found
"""

from collections.abc import Awaitable, Callable

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from fhir_server.http.portal.site import Site


def no_page(site: Site) -> Callable[[Request, Exception], Awaitable[Response]]:
    """What answers 404 where no route does."""

    async def answer(request: Request, _: Exception) -> Response:
        if "text/html" in request.headers.get("accept", ""):
            return site.page(request, "no-page", 404)
        return JSONResponse({"detail": "There is nothing at this address."}, 404)

    return answer
