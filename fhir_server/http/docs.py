"""Docs: the OpenAPI document, and Swagger UI to read and try it, from files of our own: nothing comes from elsewhere.

https://swagger.io/docs/open-source-tools/swagger-ui/usage/configuration/
"""

from collections.abc import Callable, Iterable
from functools import cache
from importlib.resources import files
from pathlib import Path
from urllib.parse import urlsplit

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import FileResponse, HTMLResponse, Response
from starlette.routing import BaseRoute, Route

from fhir_server.fhir import json
from fhir_server.http.openapi import document
from fhir_server.operations.registry import Registry

_ASSETS = Path(str(files("fastapi_offline") / "static"))
_SWAGGER = ("swagger-ui-bundle.js", "swagger-ui.css")
_DAY = {"cache-control": "public, max-age=86400", "x-content-type-options": "nosniff"}

_PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>FHIR server for vaccination: API</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="docs/swagger-ui.css">
<div id="api"></div>
<script src="docs/swagger-ui-bundle.js"></script>
<script src="docs/start.js"></script>
</html>
"""

# validatorUrl would ask a server of Swagger's about the document.
_START = """SwaggerUIBundle({
  dom_id: "#api",
  url: "openapi.json",
  deepLinking: true,
  docExpansion: "list",
  defaultModelsExpandDepth: 0,
  validatorUrl: null,
});
"""


def docs_routes(routes: Callable[[], Iterable[BaseRoute]], registry: Registry, origin: str) -> list[BaseRoute]:
    """`/openapi.json`, `/docs` and the files it loads. `routes` gives those of the whole application."""
    host = "{0.scheme}://{0.netloc}".format(urlsplit(origin))
    policy = (
        f"default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
        f"connect-src 'self' {host}; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )

    @cache
    def content() -> bytes:
        return json.dump(document(routes(), registry, origin))

    async def openapi(request: Request) -> Response:
        return Response(content(), media_type="application/json")

    async def page(request: Request) -> Response:
        return HTMLResponse(_PAGE, headers={"content-security-policy": policy, "x-content-type-options": "nosniff"})

    async def asset(request: Request) -> Response:
        name = request.path_params["file"]
        if name == "start.js":
            return Response(_START, media_type="text/javascript", headers=_DAY)
        if name not in _SWAGGER:
            raise HTTPException(404)
        return FileResponse(_ASSETS / name, headers=_DAY)

    return [Route("/openapi.json", openapi), Route("/docs", page), Route("/docs/{file}", asset)]
