"""Discovery: where apps find the authorization server, and what it can do.

https://hl7.org/fhir/smart-app-launch/conformance.html and https://openid.net/specs/openid-connect-discovery-1_0.html

Always JSON, for everybody; with an OpenID provider elsewhere it names the provider's endpoints.
"""

from collections.abc import Callable
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from fhir_server import languages
from fhir_server.access.clients import ALGORITHMS
from fhir_server.access.endpoints import endpoints
from fhir_server.access.server import GRANT_TYPES
from fhir_server.access.token_keys import ALGORITHM
from fhir_server.context import Context
from fhir_server.fhir.outcome import FhirError
from fhir_server.http.wire import refusal

CAPABILITIES = (
    *("launch-standalone", "launch-ehr", "authorize-post"),
    *("client-public", "client-confidential-symmetric", "client-confidential-asymmetric"),
    *("sso-openid-connect", "context-standalone-patient", "context-ehr-patient", "context-ehr-encounter"),
    *("context-banner", "permission-offline", "permission-online", "permission-patient", "permission-user"),
    *("permission-v1", "permission-v2", "health-cards"),
)
"""Each is tested."""

SCOPES = (
    *("openid", "fhirUser", "launch", "launch/patient", "offline_access", "online_access"),
    *("patient/*.cruds", "user/*.cruds", "system/*.cruds", "patient/*.*", "user/*.*", "system/*.*"),
    *("patient/*.rs", "user/*.rs", "system/*.rs", "patient/*.read", "user/*.read", "system/*.read"),
)
_METHODS = ("private_key_jwt", "client_secret_basic", "client_secret_post")
_HEADERS = {"cache-control": "public, max-age=300"}


def discovery_routes(context: Callable[[], Context]) -> list[BaseRoute]:
    """`/fhir/.well-known/smart-configuration` and `/fhir/.well-known/openid-configuration`."""

    async def discovery(request: Request) -> Response:
        try:
            external = context().external
            found = smart_configuration(context()) if external is None else await external.configuration()
        except FhirError as error:
            return refusal(error)
        return JSONResponse(found, headers=_HEADERS)

    return [
        Route(f"/fhir/.well-known/{name}", discovery, methods=["GET"])
        for name in ("smart-configuration", "openid-configuration")
    ]


def smart_configuration(context: Context) -> dict[str, Any]:
    """The metadata of this server's own authorization server."""
    settings = context.settings
    return {
        "issuer": settings.base,
        **endpoints(settings.origin),
        "grant_types_supported": list(GRANT_TYPES),
        "response_types_supported": ["code"],
        "response_modes_supported": ["query"],
        "scopes_supported": list(SCOPES),
        "code_challenge_methods_supported": ["S256"],
        "token_endpoint_auth_methods_supported": list(_METHODS),
        "token_endpoint_auth_signing_alg_values_supported": list(ALGORITHMS),
        "introspection_endpoint_auth_methods_supported": list(_METHODS),
        "revocation_endpoint_auth_methods_supported": [*_METHODS, "none"],
        "capabilities": list(CAPABILITIES),
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": [ALGORITHM],
        "claims_supported": ["iss", "sub", "aud", "iat", "exp", "auth_time", "nonce", "at_hash", "fhirUser"],
        "ui_locales_supported": list(languages.languages()),
        "request_parameter_supported": False,
        "request_uri_parameter_supported": False,
    }
