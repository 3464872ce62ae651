"""Security: how the CapabilityStatement says that access is by SMART on FHIR, and where.

https://hl7.org/fhir/smart-app-launch/conformance.html#declaring-support-for-oauth2-endpoints
"""

from typing import Any

from fhir_server.access.endpoints import endpoints
from fhir_server.settings import Settings

_OAUTH_URIS = "http://fhir-registry.smarthealthit.org/StructureDefinition/oauth-uris"
_SERVICES = "http://terminology.hl7.org/CodeSystem/restful-security-service"
_NAMES = {
    "authorize": "authorization_endpoint",
    "token": "token_endpoint",
    "introspect": "introspection_endpoint",
    "revoke": "revocation_endpoint",
}


def security(settings: Settings) -> dict[str, Any] | None:
    """`CapabilityStatement.rest.security`; None under `--dev`, where nobody is asked who they are.

    Where an OpenID provider elsewhere gives out tokens, its endpoints stand in the discovery document alone.
    """
    if settings.dev:
        return None
    coding = {"system": _SERVICES, "code": "SMART-on-FHIR", "display": "SMART-on-FHIR"}
    said: dict[str, Any] = {"cors": True, "service": [{"coding": [coding], "text": "OAuth2, as SMART App Launch says"}]}
    if not settings.openid_issuer:
        found = endpoints(settings.origin)
        uris = [{"url": name, "valueUri": found[of]} for name, of in _NAMES.items()]
        said["extension"] = [{"url": _OAUTH_URIS, "extension": uris}]
    return said
