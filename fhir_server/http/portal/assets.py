"""Assets: the portal's style and scripts, under addresses that change with their content.

https://www.rfc-editor.org/rfc/rfc8246
"""

import hashlib
from collections.abc import Mapping
from importlib.resources import files

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import BaseRoute, Route

_TYPES = {".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8"}
_KEPT = {"cache-control": "public, max-age=31536000, immutable", "x-content-type-options": "nosniff"}


class Assets:
    """The files of `static/`, the style with this site's colour; `address` says where each is served."""

    def __init__(self, color: str) -> None:
        self._content: dict[str, tuple[bytes, str]] = {}
        self._address: dict[str, str] = {}
        for path in (files("fhir_server.http.portal") / "static").iterdir():
            ending = path.name[path.name.rfind(".") :]
            content = path.read_bytes().replace(b"$accent", color.encode())
            digest = hashlib.sha256(content).hexdigest()[:16]
            self._address[path.name] = f"/assets/{digest}/{path.name}"
            self._content[self._address[path.name]] = (content, _TYPES[ending])

    @property
    def address(self) -> Mapping[str, str]:
        """Where each file is served, by its name."""
        return self._address

    def routes(self) -> list[BaseRoute]:
        """`/assets/<digest>/<name>`."""

        async def asset(request: Request) -> Response:
            found = self._content.get(request.url.path)
            if found is None:
                return PlainTextResponse("There is nothing at this address.", 404)
            return Response(found[0], media_type=found[1], headers=_KEPT)

        return [Route("/assets/{digest}/{name}", asset)]
