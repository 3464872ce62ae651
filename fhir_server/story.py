"""The story: what a vaccination programme does in its first weeks, told as requests to a running server.

https://hl7.org/fhir/R4/immunization.html

Every person, place and dose is invented and always the same; the dates lie in North Carolina's January 2021.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from typing import Any

import httpx

from fhir_server import sample
from fhir_server.sample import Sample
from fhir_server.signing_in import Person, as_person, as_system
from smart_health_cards import TrustList, verify

NPI = "http://hl7.org/fhir/sid/us-npi"
MRN = "https://mercy.example/mrn"
ORDERS = "https://mercy.example/orders"
CVX = "http://hl7.org/fhir/sid/cvx"
QUESTIONNAIRE = "https://fhir-server.example/fhir/Questionnaire/registration"
RESIDENCES = "https://fhir-server.example/fhir/CodeSystem/residence-setting"
OCCUPATIONS = "https://fhir-server.example/fhir/CodeSystem/occupation-class"

JSON = {"content-type": "application/fhir+json"}
Resource = dict[str, Any]


class StoryError(Exception):
    """Something in the story did not go as it must; the sentence says what."""


@dataclass(frozen=True, slots=True)
class Teller:
    """Who tells the story: the client on the server's base, who takes part, and what was learned on the way."""

    client: httpx.AsyncClient
    now: Callable[[], float]
    sample: Sample
    learned: dict[str, str] = field(default_factory=dict)
    tokens: dict[str, str] = field(default_factory=dict)
    """Access tokens, by the system or person they were given to."""
    speaker: str = ""

    def speaking(self, name: str) -> "Teller":
        """The same story, told by this system or person from here on."""
        return replace(self, speaker=name)

    @property
    def base(self) -> str:
        """The FHIR base."""
        return str(self.client.base_url).rstrip("/")

    @property
    def headers(self) -> dict[str, str]:
        """What says who speaks; nothing before anybody does."""
        return {"authorization": f"Bearer {self.tokens[self.speaker]}"} if self.speaker else {}

    async def get(self, address: str, **parameters: str) -> Resource:
        """The JSON at this address, which must be there."""
        return _json(await self.client.get(address, params=parameters, headers=self.headers), 200)

    async def put(self, resource: Resource) -> Resource:
        """Store under its id."""
        address = f"{resource['resourceType']}/{resource['id']}"
        return _json(await self.client.put(address, json=resource, headers={**JSON, **self.headers}), 200, 201)

    async def post(self, address: str, resource: Resource, *expected: int, **headers: str) -> Resource:
        """Post a resource."""
        answer = await self.client.post(address, json=resource, headers={**JSON, **self.headers, **headers})
        return _json(answer, *(expected or (200, 201)))

    async def eligibility(self, patient: str, day: str, **parameters: str) -> Resource:
        """The answer of $vaccine-eligibility as {name: first value}."""
        answer = await self.get(f"Patient/{patient}/$vaccine-eligibility", asOf=day, **parameters)
        return {found["name"]: _value(found) for found in reversed(answer["parameter"])}


Step = Callable[[Teller], Awaitable[str]]


async def _capabilities(teller: Teller) -> str:
    statement = await teller.get("metadata")
    _require(statement["fhirVersion"] == "4.0.1", "the CapabilityStatement does not say FHIR 4.0.1")
    types = len(statement["rest"][0]["resource"])
    return f"The server speaks FHIR {statement['fhirVersion']}: {types} resource types"


async def _systems(teller: Teller) -> str:
    unknown = await teller.client.get("Patient")
    _require(unknown.status_code == 401, f"without a token the answer must be 401, not {unknown.status_code}")
    for name, key in teller.sample.keys.items():
        scope = sample.SYSTEM_SCOPES
        teller.tokens[name] = await as_system(teller.client, teller.base, name, key, scope, teller.now())
    return f"Without a token there is nothing; {len(teller.tokens)} systems prove by their keys who they are"


async def _organizations(teller: Teller) -> str:
    teller = teller.speaking("state-registry")
    hospital = _organization("mercy", "Mercy Hospital", "1033110026", "prov")
    employer = _organization("sunrise", "Sunrise Care Homes", "1972660028", "bus")
    practitioner = {
        "resourceType": "Practitioner",
        "id": "demo-nurse-ortiz",
        "identifier": [{"system": NPI, "value": "1528060639"}],
        "name": [{"family": "Ortiz", "given": ["Elena"], "prefix": ["RN"]}],
    }
    location = {
        "resourceType": "Location",
        "id": "demo-mercy-clinic",
        "status": "active",
        "name": "Mercy vaccination clinic",
        "managingOrganization": {"reference": "Organization/demo-mercy"},
    }
    entries = [_put(resource) for resource in (hospital, employer, practitioner, location)]
    await teller.post("", {"resourceType": "Bundle", "type": "transaction", "entry": entries})
    return "A hospital, an employer, a nurse and a clinic are known"


async def _phases(teller: Teller) -> str:
    found = await teller.speaking("state-registry").get("Group", identifier="nc-2021-01", _count="100")
    opening = {
        group["resource"]["name"]: group["resource"]["characteristic"][0]["period"]["start"] for group in found["entry"]
    }
    _require(len(opening) >= 5, "the phases of January 2021 are not loaded")
    last = max(opening.values())
    return f"North Carolina's plan of January 2021 is loaded: {len(opening)} phase Groups, the last opens {last}"


ROSTER = """row_id,first_name,last_name,birth_date,sex,email,phone,zip,occupation
S-001,Maria,Nguyen,1984-03-11,F,maria.nguyen@sunrise.example,919-555-0101,27601,long-term-care-staff
S-002,José,Álvarez,07/22/1990,M,,919-555-0102,27604,long-term-care-staff
S-003,Aisha,Coleman,1979-12-30,F,,,27606,long-term-care-staff
S-004,Tom,O'Brien,1995-02-30,M,tom@sunrise.example,,27606,long-term-care-staff
S-005,Wei,Chen,1968-05-05,M,wei.chen@sunrise.example,919-555-0105,27513,long-term-care-staff
"""


async def _roster(teller: Teller) -> str:
    await teller.speaking("state-registry").put(
        {
            "resourceType": "Group",
            "id": "demo-sunrise-roster",
            "active": True,
            "type": "person",
            "actual": True,
            "name": "Sunrise Care Homes: staff",
            "managingEntity": {"reference": "Organization/demo-sunrise"},
        }
    )
    summary, refused = await _upload(teller, ROSTER)
    _require(summary["refused"] == 1 and len(refused) == 1, "one row of the roster has an impossible date")
    teller.learned["refusal"] = refused[0]
    return f"The employer uploads a roster: {summary['total']} rows, 1 refused: {refused[0]}"


async def _roster_again(teller: Teller) -> str:
    header, *rows = ROSTER.splitlines()
    mended = next(row for row in rows if row.startswith("S-004")).replace("1995-02-30", "1995-02-28")
    summary, _ = await _upload(teller, f"{header}\n{mended}\n")
    _require(summary["refused"] == 0 and summary["total"] == 1, "the mended row was not taken")
    whole, _ = await _upload(teller, ROSTER.replace("1995-02-30", "1995-02-28"))
    _require(whole["unchanged"] == 5 and whole["created"] == 0, "sending the same roster again changed something")
    return "The mended row is sent alone and taken; sending the whole file again changes nothing"


async def _registration(teller: Teller) -> str:
    entries: list[Resource] = []
    for slug, family, given, born, telecom, occupation in PEOPLE:
        patient: Resource = {
            "resourceType": "Patient",
            "id": f"demo-{slug}",
            "identifier": [{"system": MRN, "value": f"MRN-{slug}"}],
            "name": [{"family": family, "given": [given]}],
            "birthDate": born,
            "managingOrganization": {"reference": "Organization/demo-mercy"},
        }
        if telecom:
            patient["telecom"] = [{"system": "email", "value": telecom}]
        answers: list[Resource] = [{"linkId": "birth-date", "answer": [{"valueDate": born}]}]
        coding = {"system": OCCUPATIONS, "code": occupation}
        answers += [
            {"linkId": "occupation", "answer": [{"valueCoding": coding}]},
            {"linkId": "in-person", "answer": [{"valueBoolean": occupation == "health-care"}]},
            {"linkId": "patient-contact", "answer": [{"valueBoolean": occupation == "health-care"}]},
            {"linkId": "residence", "answer": [{"valueCoding": {"system": RESIDENCES, "code": "household"}}]},
        ]
        response = {
            "resourceType": "QuestionnaireResponse",
            "id": f"demo-{slug}-registration",
            "questionnaire": QUESTIONNAIRE,
            "status": "completed",
            "subject": {"reference": f"Patient/demo-{slug}"},
            "source": {"reference": f"Patient/demo-{slug}"},
            "authored": "2021-01-04T09:00:00-05:00",
            "item": answers,
        }
        entries += [_put(patient), _put(response)]
    registry = teller.speaking("state-registry")
    await registry.post("", {"resourceType": "Bundle", "type": "transaction", "entry": entries})
    without = sum(not person[4] for person in PEOPLE)
    return f"{len(PEOPLE)} people register, {without} of them without an e-mail address"


PEOPLE = (
    ("ruth", "Whitfield", "Ruth", "1950-06-02", "", "other"),
    ("carlos", "Hernández", "Carlos", "1988-09-17", "carlos@mail.example", "health-care"),
    ("amy", "Larsen", "Amy", "1999-04-25", "amy@mail.example", "other"),
)
"""Slug, family, given, birth date, e-mail, occupation class."""


async def _sign_in(teller: Teller) -> str:
    for name in ("ruth", "amy"):
        person = Person(name, sample.PASSWORD)
        scope = "openid fhirUser launch/patient patient/*.rs patient/Consent.cruds"
        teller.tokens[name] = await as_person(teller.base, sample.APP, sample.REDIRECT, scope, person)
    ruth = teller.speaking("ruth")
    await ruth.get("Patient/demo-ruth")
    other = await teller.client.get("Patient/demo-amy", headers=ruth.headers)
    _require(other.status_code == 404, f"somebody else's record must not be there for her, not {other.status_code}")
    return "Two people log in and let an app read their own records; nobody else's is there for them"


async def _eligible(teller: Teller) -> str:
    carlos = await teller.speaking("mercy-ehr").eligibility("demo-carlos", "2021-01-05")
    _require(carlos["status"] == "eligible", f"the nurse must be eligible on 5 January, not {carlos['status']}")
    return "On 5 January 2021 a nurse with patient contact is eligible"


async def _not_yet(teller: Teller) -> str:
    teller = teller.speaking("ruth")
    before = await teller.eligibility("demo-ruth", "2021-01-05", policy="nc-2021-01")
    after = await teller.eligibility("demo-ruth", "2021-01-14")
    _require(before["status"] == "not-yet", f"a woman of 70 must wait on 5 January, not {before['status']}")
    _require(before.get("opensOn") == "2021-01-14", "she must be told that her phase opens on 14 January")
    _require(after["status"] == "eligible", f"a woman of 70 must be eligible on 14 January, not {after['status']}")
    return f"A woman of 70 is not yet on 5 January (opens {before['opensOn']}), eligible on 14 January"


async def _first_dose(teller: Teller) -> str:
    teller = teller.speaking("mercy-ehr")
    for _ in range(2):
        await teller.post("", _dose("demo-ehr-1", "2021-01-20", "EL0140"))
    found = await teller.get("Immunization", identifier=f"{ORDERS}|demo-ehr-1", _total="accurate")
    _require(found["total"] == 1, f"sent twice, the dose must stand once, not {found['total']} times")
    return "The hospital's system records the first dose by its own patient number; sent twice, it stands once"


async def _second_dose(teller: Teller) -> str:
    await teller.speaking("mercy-ehr").post("", _dose("demo-ehr-2", "2021-02-10", "EL3247"))
    status = (await teller.speaking("ruth").eligibility("demo-ruth", "2021-02-11"))["status"]
    _require(status == "complete", f"after two doses the answer must be complete, not {status}")
    return "After the second dose, 21 days later, her series is complete"


async def _opt_out(teller: Teller) -> str:
    teller = teller.speaking("amy")
    await teller.post(
        "Consent",
        {
            "resourceType": "Consent",
            "identifier": [{"system": MRN, "value": "MRN-amy-declines"}],
            "status": "active",
            "scope": {
                "coding": [{"system": "http://terminology.hl7.org/CodeSystem/consentscope", "code": "patient-privacy"}]
            },
            "category": [
                {
                    "coding": [
                        {
                            "system": "https://fhir-server.example/fhir/CodeSystem/consent-category",
                            "code": "decline-vaccine",
                        }
                    ]
                }
            ],
            "patient": {"reference": "Patient/demo-amy"},
            "dateTime": "2021-01-06",
            "policyRule": {"text": "The person does not want the vaccine."},
            "provision": {"type": "deny"},
        },
        **{"if-none-exist": f"identifier={MRN}|MRN-amy-declines"},
    )
    status = (await teller.eligibility("demo-amy", "2021-04-10"))["status"]
    _require(status == "opted-out", f"who declines must be opted out, not {status}")
    return "Somebody who does not want the vaccine opts out, and is left alone"


async def _card(teller: Teller) -> str:
    asked = {"resourceType": "Parameters", "parameter": [{"name": "credentialType", "valueUri": "Immunization"}]}
    issued = await teller.speaking("ruth").post("Patient/demo-ruth/$health-cards-issue", asked)
    credential = issued["parameter"][0]
    teller.learned["jws"] = credential["valueString"]
    teller.learned["card"] = credential["extension"][0]["valueUrl"]
    links = sum(parameter["name"] == "resourceLink" for parameter in issued["parameter"])
    length = len(credential["valueString"])
    return f"Her proof is a signed SMART Health Card of {length} characters, {links} resources linked"


async def _picture(teller: Teller) -> str:
    address = teller.learned["card"]
    origin = str(teller.client.base_url).rstrip("/").removesuffix("/fhir")
    picture = await teller.client.get(address)
    drawing = await teller.client.get(address.removesuffix(".png") + ".svg")
    file = await teller.client.get(address.removesuffix(".png") + ".smart-health-card")
    _require(picture.content.startswith(b"\x89PNG"), "the picture is no PNG")
    _require(b"<svg" in drawing.content, "the drawing is no SVG")
    keys = (await teller.client.get(f"{origin}/shc/.well-known/jwks.json")).json()
    trust = TrustList.from_jwks(f"{origin}/shc", keys, name="the demo")
    for presented in (picture.content, file.content, teller.learned["jws"]):
        [report] = verify(presented, trust, teller.now())
        refused = "; ".join(verdict.text for verdict in report.verdicts if verdict.status == "fail")
        _require(report.accepted, f"the card does not verify: {refused}")
    return "Its QR picture, read back, its file and its text all verify against the published keys"


async def _refusal(teller: Teller) -> str:
    wrong = {"resourceType": "Immunization", "status": "done", "lot": "EL0140"}
    headers = {**JSON, **teller.speaking("mercy-ehr").headers}
    answer = await teller.client.post("Immunization", json=wrong, headers=headers)
    issues = _json(answer, 422)["issue"]
    _require(len(issues) >= 3, "every problem must be told, not only the first")
    return f"A bad record is refused with every reason: {len(issues)} problems, each with its place"


STEPS: tuple[Step, ...] = (
    _capabilities,
    _systems,
    _organizations,
    _phases,
    _roster,
    _roster_again,
    _registration,
    _sign_in,
    _eligible,
    _not_yet,
    _first_dose,
    _second_dose,
    _opt_out,
    _card,
    _picture,
    _refusal,
)


def _organization(slug: str, name: str, npi: str, kind: str) -> Resource:
    system = "http://terminology.hl7.org/CodeSystem/organization-type"
    return {
        "resourceType": "Organization",
        "id": f"demo-{slug}",
        "identifier": [{"system": NPI, "value": npi}],
        "active": True,
        "type": [{"coding": [{"system": system, "code": kind}]}],
        "name": name,
    }


def _put(resource: Resource) -> Resource:
    address = f"{resource['resourceType']}/{resource['id']}"
    return {"fullUrl": f"urn:demo:{address}", "resource": resource, "request": {"method": "PUT", "url": address}}


def _dose(number: str, day: str, lot: str) -> Resource:
    """What a hospital's system sends: an encounter and its dose, for the patient it knows by its own number."""
    patient = {"reference": f"Patient?identifier={MRN}|MRN-ruth"}
    encounter = {
        "resourceType": "Encounter",
        "identifier": [{"system": ORDERS, "value": f"{number}-visit"}],
        "status": "finished",
        "class": {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "AMB"},
        "subject": patient,
    }
    dose = {
        "resourceType": "Immunization",
        "identifier": [{"system": ORDERS, "value": number}],
        "status": "completed",
        "vaccineCode": {"coding": [{"system": CVX, "code": "208"}]},
        "patient": patient,
        "encounter": {"reference": "urn:uuid:0c9a3f3e-6f4b-4a5e-9d0b-3f1a0c0e7a11"},
        "occurrenceDateTime": day,
        "primarySource": True,
        "lotNumber": lot,
        "location": {"reference": "Location/demo-mercy-clinic"},
        "performer": [
            {"actor": {"reference": "Practitioner/demo-nurse-ortiz", "display": "Elena Ortiz, RN"}},
        ],
    }
    visit = {"method": "POST", "url": "Encounter", "ifNoneExist": f"identifier={ORDERS}|{number}-visit"}
    given = {"method": "POST", "url": "Immunization", "ifNoneExist": f"identifier={ORDERS}|{number}"}
    return {
        "resourceType": "Bundle",
        "type": "transaction",
        "entry": [
            {"fullUrl": "urn:uuid:0c9a3f3e-6f4b-4a5e-9d0b-3f1a0c0e7a11", "resource": encounter, "request": visit},
            {"fullUrl": "urn:uuid:5b8d3c1a-9e35-4f0f-8a43-6a9b1d6f2c22", "resource": dose, "request": given},
        ],
    }


async def _upload(teller: Teller, text: str) -> tuple[dict[str, int], list[str]]:
    """The counts of the roster's summary, and what is said of the refused rows."""
    answer = await teller.client.post(
        "Group/demo-sunrise-roster/$roster-upload",
        content=text.encode(),
        headers={"content-type": "text/csv", **teller.speaking("sunrise-hr").headers},
    )
    parameters = _json(answer, 200)["parameter"]
    summary = next(found for found in parameters if found["name"] == "summary")
    rows = [{part["name"]: part for part in found["part"]} for found in parameters if found["name"] == "row"]
    refused = [row for row in rows if _value(row["status"]) == "refused"]
    return {part["name"]: _value(part) for part in summary["part"]}, [_reason(row) for row in refused]


def _reason(row: dict[str, Resource]) -> str:
    issue = row["issue"]
    outcome = issue.get("resource", issue)
    texts = [found["details"]["text"] for found in outcome.get("issue", [])] or [str(_value(issue))]
    return f"line {_value(row['line'])}: {' '.join(texts)}"


def _value(parameter: Resource) -> Any:
    return next((value for name, value in parameter.items() if name.startswith("value")), None)


def _json(answer: httpx.Response, *expected: int) -> Resource:
    if answer.status_code not in expected:
        issues = answer.json().get("issue", []) if "json" in answer.headers.get("content-type", "") else []
        told = "; ".join(issue["details"]["text"] for issue in issues) or answer.text[:200]
        raise StoryError(f"{answer.request.method} {answer.request.url.path} answered {answer.status_code}: {told}")
    found: Resource = answer.json()
    return found


def _require(holds: bool, otherwise: str) -> None:
    if not holds:
        raise StoryError(otherwise)
