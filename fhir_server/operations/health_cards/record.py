"""The record cards are made from: a person, their doses, and which of them were asked for.

https://hl7.org/fhir/uv/smart-health-cards-and-links/OperationDefinition-patient-i-health-cards-issue.html
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from fhir_server.context import Context
from fhir_server.fhir import dates, json
from fhir_server.fhir.condition import SEPARATOR, Keys
from fhir_server.fhir.outcome import refuse
from fhir_server.interactions.search import gather
from fhir_server.operations.health_cards import value_sets
from fhir_server.operations.registry import Call
from fhir_server.store.records import Stored
from profiles.definitions import RESOURCE_TYPES
from smart_health_cards import Issuer, KeyFolder, LeftOut, rid
from terminology import codes
from terminology.systems import CVX, preferred

Resource = dict[str, Any]

_TYPE_PREFIX = "https://smarthealth.cards#"
_TYPES = {"immunization": "Immunization", "laboratory": "Observation", "health-card": None}
"""Types of smarthealth.cards by the FHIR type they stand for; `health-card` asks for nothing in particular."""


@dataclass(frozen=True, slots=True)
class Record:
    """A person and the doses asked for. `resources` are the doses as JSON values, codes under the URIs cards use;
    `passed` are the doses that were not asked for, with the reason."""

    patient: Stored
    person: Resource
    doses: tuple[Stored, ...]
    resources: tuple[Resource, ...]
    passed: tuple[tuple[Stored, LeftOut], ...] = ()

    @property
    def versions(self) -> dict[str, int]:
        """The current version of each of the person's doses, asked for or not."""
        return {dose.id: dose.version for dose in (*self.doses, *(dose for dose, _ in self.passed))}


async def read(call: Call) -> Record:
    """The patient of the address with the doses the arguments ask for. FhirError 400, 404, 410."""
    context = call.context
    sets = [value_sets.group_of(url) for url in call.arguments.all("credentialValueSet")]
    wanted = _immunizations_wanted(call)
    patient = await context.store.read(call.caller, call.predicate, "Patient", call.id or "")
    person = json.parse(patient.raw or b"{}")
    if not wanted:
        return Record(patient, person, (), ())
    about = Keys("tk", (f"patient{SEPARATOR}Patient/{patient.id}",))
    since = call.arguments.text("_since")
    earliest = dates.microseconds(dates.parse(since).lo) if since is not None else 0
    doses: list[tuple[Stored, Resource]] = []
    passed: list[tuple[Stored, LeftOut]] = []
    for number, dose in enumerate(await gather(context, call.caller, call.predicate, "Immunization", about)):
        resource = normal(json.parse(dose.raw or b"{}"))
        if dose.updated < earliest:
            text = f"The record of the dose has not changed since {since}."
            passed.append((dose, LeftOut(number, "not-changed-since", "Immunization.meta.lastUpdated", text)))
        elif not all(value_sets.holds(group, resource) for group in sets):
            text = "The vaccine is not known to be in every value set that was asked for."
            passed.append((dose, LeftOut(number, "not-in-value-set", "Immunization.vaccineCode", text)))
        else:
            doses.append((dose, resource))
    stored, resources = tuple(dose for dose, _ in doses), tuple(resource for _, resource in doses)
    return Record(patient, person, stored, resources, tuple(passed))


def normal(dose: Resource) -> Resource:
    """The dose with its vaccine's code systems in the spelling that cards use."""
    concept = dose.get("vaccineCode", {})
    codings = [
        {**coding, "system": preferred(coding["system"])} if "system" in coding else coding
        for coding in concept.get("coding", ())
    ]
    return {**dose, "vaccineCode": {**concept, "coding": codings}} if codings else dose


def keys_for(context: Context, person: Mapping[str, Any]) -> tuple[str, KeyFolder]:
    """Who issues a person's cards, and with which keys: their managing organization where it is an issuer of its own,
    else the server."""
    reference = str(person.get("managingOrganization", {}).get("reference", ""))
    tenant = reference.partition("/_history/")[0].rpartition("Organization/")[2]
    if tenant in context.tenants:
        return f"{context.settings.issuer}/{tenant}", context.tenants[tenant]
    return context.settings.issuer, context.card_keys


def rids(keys: KeyFolder, kid: str, patient: str) -> Callable[[str], str]:
    """The revocation identifier of each disease group of a patient, for cards signed with this key."""
    secret = keys.rid_secret()
    return lambda group: rid(secret, kid, f"{patient}{SEPARATOR}{group}")


def issuer(context: Context, iss: str, cards_per_group: int = 1) -> Issuer:
    """The issuer with this address and this server's rules."""
    historical = context.settings.historical_on_cards
    return Issuer(iss, disease_group, code_allowed, historical=historical, cards_per_group=cards_per_group)


def disease_group(immunization: Mapping[str, Any]) -> str | None:
    """The vaccine group of a dose by its CVX code (several, for a combination, joined), None where it has none."""
    for coding in immunization.get("vaccineCode", {}).get("coding", ()):
        if preferred(coding.get("system", "")) == CVX and "code" in coding:
            groups = codes.vaccine_groups(coding["code"])
            if groups:
                return "+".join(groups)
    return None


def code_allowed(system: str, code: str) -> bool:
    """Whether a code may name a vaccine on a card: of CVX those of its vaccines (not 998, no vaccine administered)."""
    return system != CVX or codes.is_vaccine(code)


def _immunizations_wanted(call: Call) -> bool:
    """Several types mean AND, so only Immunization can be served. FhirError 400 for what is no credential type."""
    wanted: Sequence[str | None] = [_resource_type(given) for given in call.arguments.all("credentialType")]
    return all(resource_type in ("Immunization", None) for resource_type in wanted)


def _resource_type(given: str) -> str | None:
    name = given.removeprefix(_TYPE_PREFIX).removeprefix("#")
    if name not in _TYPES and name not in RESOURCE_TYPES:
        text = f"'{given}' is neither a FHIR resource type nor a type of https://smarthealth.cards."
        raise refuse(400, "value", "unknown-credential-type", text, "credentialType")
    return _TYPES.get(name, name)
