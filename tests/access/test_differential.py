"""https://hl7.org/fhir/R4/security.html

Random callers and random queries answer what a filter over everything would have left, and no byte more.
"""

import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from fhir_server.caller import Caller
from tests.access.conftest import House
from tests.access.world import CATEGORY, STEWARD, about, patient, reference

Resource = dict[str, Any]

TAG = {"system": "urn:tests", "code": "differential"}
WORLD = "_tag=urn:tests|differential&_count=500"
ORGANIZATIONS = ("north", "south")
PERSONS = [f"person{number}" for number in range(12)]
RESTRICTED = {"system": "http://terminology.hl7.org/CodeSystem/v3-Confidentiality", "code": "R"}
SCOPES = (
    "patient/*.rs", "user/*.rs", "user/Immunization.rs", "user/Immunization.rs?status=completed",
    "patient/Immunization.rs?status=completed", "patient/Patient.rs", "user/Patient.rs", "user/Observation.s",
    "patient/Observation.rs", "user/Consent.rs",
)  # fmt: skip


def world(chance: random.Random) -> list[Resource]:
    """Persons, some without an organization; doses and findings of either clinic; some secret; some do not share."""
    made: list[Resource] = []
    for person in PERSONS:
        body = patient(person, chance.choice(ORGANIZATIONS))
        if chance.random() < 0.3:
            del body["managingOrganization"]
        made.append(body)
        if chance.random() < 0.2:
            kinds = [{"coding": [{"system": CATEGORY, "code": "do-not-share"}]}]
            made.append(about("Consent", person, "north", category=kinds))
    for number in range(40):
        person, organization = chance.choice(PERSONS), chance.choice(ORGANIZATIONS)
        dose = about("Immunization", person, organization, id=f"dose{number}x")
        dose["status"] = chance.choice(("completed", "completed", "not-done"))
        made.append(dose)
    for number in range(30):
        person, organization = chance.choice(PERSONS), chance.choice(ORGANIZATIONS)
        finding = about("Observation", person, organization, id=f"finding{number}x")
        finding["performer"] = [reference("Organization", organization)]
        made.append(finding)
    for each in made:
        secret = each["resourceType"] == "Observation" and chance.random() < 0.3
        each["meta"] = {"tag": [TAG], **({"security": [RESTRICTED]} if secret else {})}
    return made


def person_of(resource: Resource) -> str:
    if resource["resourceType"] == "Patient":
        return str(resource["id"])
    about_whom = resource.get("patient") or resource["subject"]
    return str(about_whom["reference"].removeprefix("Patient/"))


def organizations_of(resource: Resource) -> set[str]:
    named = [resource.get("managingOrganization", {}), *resource.get("performer", ())]
    return {each.get("actor", each).get("reference", "").removeprefix("Organization/") for each in named} - {""}


@dataclass
class Filter:
    """What may be seen, decided one resource at a time."""

    everything: list[Resource]

    def __post_init__(self) -> None:
        self._related = {person: self._relate(person) for person in PERSONS}

    def _relate(self, person: str) -> set[str]:
        records = [each for each in self.everything if person_of(each) == person]
        registered = {o for each in records if each["resourceType"] == "Patient" for o in organizations_of(each)}
        if any(each["resourceType"] == "Consent" for each in records):
            return registered
        treated = {o for each in records if each["resourceType"] == "Immunization" for o in organizations_of(each)}
        return registered | treated

    def sees(self, caller: Caller, resource: Resource, verb: str) -> bool:
        return self._by_role(caller, resource) and any(
            self._by_scope(caller, scope, resource, verb) for scope in caller.scopes
        )

    def _by_role(self, caller: Caller, resource: Resource) -> bool:
        if "registry" in caller.roles:
            return True
        person, owners = person_of(resource), organizations_of(resource)
        if caller.organization in owners:
            return True
        hidden = RESTRICTED in resource["meta"].get("security", ())
        if caller.organization:
            return not hidden and caller.organization in self._related[person]
        return person in caller.patients

    def _by_scope(self, caller: Caller, scope: str, resource: Resource, verb: str) -> bool:
        level, _, rest = scope.partition("/")
        kind, _, rest = rest.partition(".")
        verbs, _, query = rest.partition("?")
        verbs = "rs" if verbs == "read" else verbs
        if kind not in ("*", resource["resourceType"]) or verb not in verbs:
            return False
        if query and resource.get("status") != "completed":
            return False
        return level != "patient" or person_of(resource) == caller.patient


def caller(chance: random.Random) -> Caller:
    scopes = tuple(chance.sample(SCOPES, chance.randint(1, 3)))
    role = chance.choice(("recipient", "recipient", "provider", "provider", "registry"))
    if role == "recipient":
        own = frozenset(chance.sample(PERSONS, chance.randint(1, 3)))
        return Caller("d", frozenset({role}), "app", scopes, own, chance.choice(sorted(own)))
    launched = chance.choice(PERSONS)
    if role == "registry":
        return Caller("d", frozenset({role}), "app", tuple(each.replace("user", "system") for each in scopes))
    return Caller("d", frozenset({role}), "app", scopes, patient=launched, organization=chance.choice(ORGANIZATIONS))


Matches = Callable[[Resource, Filter, Caller], bool]


def seen_patients(rule: Filter, who: Caller, identifier: str) -> set[str]:
    """Persons that a chain by this identifier leads through."""
    found = (each for each in rule.everything if each["resourceType"] == "Patient" and each["id"] == identifier)
    return {each["id"] for each in found if rule.sees(who, each, "s")}


def query(chance: random.Random) -> tuple[str, str, Matches]:
    """A type, a query, and which resources of that type it asks for."""
    person = chance.choice(PERSONS)
    kind = chance.choice(("Immunization", "Observation"))
    status = chance.choice(("completed", "not-done"))
    return chance.choice(
        [
            ("Patient", "", lambda r, f, c: True),
            (kind, "", lambda r, f, c: True),
            (kind, f"&patient=Patient/{person}", lambda r, f, c: person_of(r) == person),
            (
                kind,
                f"&patient:Patient.identifier=urn:people|{person}",
                lambda r, f, c: person_of(r) in seen_patients(f, c, person),
            ),
            ("Immunization", f"&status={status}", lambda r, f, c: r["status"] == status),
            ("Immunization", f"&status:not={status}&_sort=-date", lambda r, f, c: r["status"] != status),
            (kind, f"&patient=Patient/{person}&_sort=_id", lambda r, f, c: person_of(r) == person),
            ("Patient", f"&identifier=urn:people|{person}", lambda r, f, c: r["id"] == person),
            (
                "Patient",
                f"&_has:Immunization:patient:status={status}",
                lambda r, f, c: any(
                    each["resourceType"] == "Immunization"
                    and each["status"] == status
                    and person_of(each) == r["id"]
                    and f.sees(c, each, "s")
                    for each in f.everything
                ),
            ),
        ]
    )


@pytest.fixture(scope="module")
async def rule(house: House) -> Filter:
    made = world(random.Random(28))
    entries = [
        {"resource": each, "request": {"method": "PUT", "url": f"{each['resourceType']}/{each['id']}"}} for each in made
    ]
    answer = await house.ask(STEWARD, "POST", "", {"resourceType": "Bundle", "type": "transaction", "entry": entries})
    assert answer.status_code == 200, answer.text
    return Filter(made)


async def compare(house: House, rule: Filter, chance: random.Random) -> str:
    """Ask once; whether that was refused, empty, or found something."""
    who = caller(chance)
    kind, asked, matches = query(chance)
    extra = chance.choice(("", "", "&_total=accurate", f"&_include={kind}:patient", "&_summary=count"))
    if kind == "Patient":
        extra = extra.replace("&_include=Patient:patient", "&_revinclude=Immunization:patient")
    answer = await house.ask(who, "GET", f"{kind}?{WORLD}{asked}{extra}")
    through = (
        {"Immunization"} if "_has" in asked else {"Patient"} if "identifier=" in asked and kind != "Patient" else ()
    )
    scoped = [level_of(scope) for scope in who.scopes]
    if not all(any(each in ("*", needed) for each in scoped) for needed in {kind, *through}):
        assert answer.status_code == 403, (who, kind, asked, answer.text)
        return "refused"
    wanted = {
        each["id"]
        for each in rule.everything
        if each["resourceType"] == kind and rule.sees(who, each, "s") and matches(each, rule, who)
    }
    told = (who, kind, asked + extra)
    assert answer.status_code == 200, (told, answer.text)
    body = answer.json()
    if "count" in extra or "total" in extra:
        assert body["total"] == len(wanted), told
    entries = body.get("entry", [])
    if "count" not in extra:
        assert {each["resource"]["id"] for each in entries if each["search"]["mode"] == "match"} == wanted, told
    seen = [each for each in rule.everything if rule.sees(who, each, "r") or rule.sees(who, each, "s")]
    named = {each["id"] for each in seen} | {person_of(each) for each in seen}
    for each in rule.everything:
        if each["id"] not in named:
            assert f'"{each["id"]}"' not in answer.text, (told, each["id"])
            assert f'/{each["id"]}"' not in answer.text, (told, each["id"])
    return "found" if wanted else "empty"


def level_of(scope: str) -> str:
    """The type a scope of this test is about."""
    return scope.partition("/")[2].partition(".")[0]


async def test_random_callers_see_what_a_filter_would_leave(house: House, rule: Filter) -> None:
    chance = random.Random(2026)
    came_to = Counter([await compare(house, rule, chance) for _ in range(2_000)])
    assert min(came_to["found"], came_to["empty"], came_to["refused"]) >= 50, came_to


@pytest.mark.long
async def test_many_random_callers(house: House, rule: Filter) -> None:
    chance = random.Random(4)
    for _ in range(20_000):
        await compare(house, rule, chance)
