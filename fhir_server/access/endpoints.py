"""Endpoints: where the authorization server's endpoints lie, as discovery and the CapabilityStatement both say.

https://hl7.org/fhir/smart-app-launch/conformance.html
"""


def endpoints(origin: str) -> dict[str, str]:
    """The authorization server's endpoints at this origin, by their names in the metadata."""
    return {
        "authorization_endpoint": f"{origin}/oauth/authorize",
        "token_endpoint": f"{origin}/oauth/token",
        "introspection_endpoint": f"{origin}/oauth/introspect",
        "revocation_endpoint": f"{origin}/oauth/revoke",
        "jwks_uri": f"{origin}/oauth/jwks.json",
    }
