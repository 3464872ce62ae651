"""Launches: what an EHR has in view when it starts an app, kept under a word that only the app is told.

https://hl7.org/fhir/smart-app-launch/app-launch.html#launch-app-ehr-launch
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from fhir_server.access import tokens
from fhir_server.access.authority import Authority
from fhir_server.store.accounts.clients import RegisteredClient


@dataclass(frozen=True, slots=True)
class Launch:
    """What is in view: ids of a Patient and an Encounter, the subject or login name of the user, what is intended."""

    patient: str = ""
    encounter: str = ""
    user: str = ""
    intent: str = ""
    need_patient_banner: bool = True


async def begin(authority: Authority, client: RegisteredClient, launch: Launch) -> tuple[str, str]:
    """The `launch` word and the address to open: the app's launch page with it. FhirError 503."""
    word = tokens.new_id()
    value: Mapping[str, Any] = {
        "client": client.id,
        "patient": launch.patient,
        "encounter": launch.encounter,
        "user": launch.user,
        "intent": launch.intent,
        "need_patient_banner": launch.need_patient_banner,
    }
    await authority.passing.add("launch", tokens.digest(word), authority.now() + authority.lifetimes.launch, value)
    joiner = "&" if "?" in client.launch_url else "?"
    query = urlencode({"iss": authority.base, "launch": word})
    return word, f"{client.launch_url}{joiner}{query}" if client.launch_url else ""
