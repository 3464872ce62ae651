"""The portal as an app: registered by the server itself, and not asked about on a consent page.

https://hl7.org/fhir/smart-app-launch/app-launch.html#register-app-with-ehr

It is bound to everything that other apps are: a code, PKCE, tokens, and what its user may do.
"""

from fhir_server.store.accounts.clients import RegisteredClient

ID = "own-portal"
CALLBACK = "/portal/callback"
SCOPES = ("openid", "fhirUser", "user/*.cruds")


def registration(origin: str) -> RegisteredClient:
    """The portal's registration at a server reached under this origin."""
    return RegisteredClient(ID, "Portal", "none", (origin + CALLBACK,), SCOPES)
