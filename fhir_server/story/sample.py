"""Sample: the people and systems that take part in the story, so that a newcomer can log in as one of them.

https://hl7.org/fhir/smart-app-launch/app-launch.html#register-app-with-ehr

Invented, and always the same, but for the systems' keys, which are made anew and kept beside the demo's data. Their
passwords are published here: a server with real people in it must not have them.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from joserfc.jwk import ECKey

from fhir_server import administering
from fhir_server.access import users
from fhir_server.access.authority import Authority
from fhir_server.access.clients import registered
from fhir_server.fhir import json
from fhir_server.settings import Settings
from fhir_server.store.accounts.users import User

PASSWORD = "a-sample-password"  # noqa: S105 - published on purpose, see above
TOTP = "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP"
APP = "sample-app"
REDIRECT = "http://localhost:3000/callback"
APP_SCOPES = "openid fhirUser launch launch/patient offline_access patient/*.cruds user/*.cruds"
SYSTEM_SCOPES = "system/*.cruds"

SYSTEMS: Mapping[str, Mapping[str, str]] = {
    "state-registry": {"name": "State immunization registry", "role": "registry"},
    "mercy-ehr": {"name": "Mercy Hospital's system", "role": "registry", "organization": "demo-mercy"},
    "sunrise-hr": {"name": "Sunrise Care Homes' system", "role": "employer", "organization": "demo-sunrise"},
}
"""Backend services, by client id."""

PEOPLE: Mapping[str, User] = {
    user.login: replace(user, subject=f"user-sample-{user.login}")
    for user in (
        users.new("ruth", ["recipient"], "demo-ruth"),
        users.new("amy", ["recipient"], "demo-amy"),
        users.new("ortiz", ["provider"], practitioner="demo-nurse-ortiz", organization="demo-mercy"),
        users.new("hr", ["employer"], organization="demo-sunrise"),
        users.new("planner", ["analyst"]),
        users.new("admin", ["administrator"]),
    )
}
"""Users, by login name."""


@dataclass(frozen=True, slots=True)
class Sample:
    """What the story needs to speak for them: the systems' private keys, by client id."""

    keys: Mapping[str, ECKey]
    folder: Path


async def settle(settings: Settings) -> Sample:
    """Register them all on a server that runs with these settings. EmbeddedError, FhirError 503."""
    folder = settings.data / "sample"
    keys = {name: ECKey.generate_key("P-384", {"kid": name}, private=True) for name in SYSTEMS}
    async with administering.opened(settings) as context:
        await _register(context.authority, keys)
        for user in PEOPLE.values():
            second = TOTP if user.roles & users.STAFF else ""
            known = await context.authority.users.find(user.login)
            # So that a code which was used is not accepted once more.
            step = 0 if known is None else known.totp_step
            await administering.admit(context.authority, replace(user, totp_step=step), PASSWORD, second)
    folder.mkdir(mode=0o700, exist_ok=True)
    for name, key in keys.items():
        _keep(folder / f"{name}.jwk", json.dump({**key.as_dict(private=True), "kid": name, "alg": "ES384"}))
    return Sample(keys, folder)


async def _register(authority: Authority, keys: Mapping[str, ECKey]) -> None:
    app = {"id": APP, "name": "Sample app", "redirect_uris": [REDIRECT], "scopes": APP_SCOPES}
    await administering.register(authority, registered(app))
    for name, entry in SYSTEMS.items():
        public = {**keys[name].as_dict(private=False), "kid": name, "alg": "ES384"}
        system = {"id": name, "scopes": SYSTEM_SCOPES, "jwks": {"keys": [public]}, **entry}
        await administering.register(authority, registered(system))


def _keep(path: Path, content: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
