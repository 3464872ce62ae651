"""The story: what a vaccination programme does in its first weeks, told as requests to a running server.

https://hl7.org/fhir/R4/immunization.html

Every person, place and dose is invented and always the same; the dates lie in North Carolina's January 2021.
"""

from collections.abc import Awaitable, Callable

from fhir_server.story import sample
from fhir_server.story.resources import (
    MRN,
    NPI,
    OCCUPATIONS,
    ORDERS,
    PEOPLE,
    QUESTIONNAIRE,
    RESIDENCES,
    ROSTER,
    dose,
    organization,
    put,
)
from fhir_server.story.signing_in import Person, as_person, as_system
from fhir_server.story.teller import JSON, Resource, Teller, answered, require, value
from smart_health_cards import TrustList, verify

Step = Callable[[Teller], Awaitable[str]]


async def _capabilities(teller: Teller) -> str:
    statement = await teller.get("metadata")
    require(statement["fhirVersion"] == "4.0.1", "the CapabilityStatement does not say FHIR 4.0.1")
    types = len(statement["rest"][0]["resource"])
    return f"The server speaks FHIR {statement['fhirVersion']}: {types} resource types"


async def _systems(teller: Teller) -> str:
    unknown = await teller.client.get("Patient")
    require(unknown.status_code == 401, f"without a token the answer must be 401, not {unknown.status_code}")
    for name, key in teller.sample.keys.items():
        scope = sample.SYSTEM_SCOPES
        teller.tokens[name] = await as_system(teller.client, teller.base, name, key, scope, teller.now())
    return f"Without a token there is nothing; {len(teller.tokens)} systems prove by their keys who they are"


async def _organizations(teller: Teller) -> str:
    teller = teller.speaking("state-registry")
    hospital = organization("mercy", "Mercy Hospital", "1033110026", "prov")
    employer = organization("sunrise", "Sunrise Care Homes", "1972660028", "bus")
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
    entries = [put(resource) for resource in (hospital, employer, practitioner, location)]
    await teller.post("", {"resourceType": "Bundle", "type": "transaction", "entry": entries})
    return "A hospital, an employer, a nurse and a clinic are known"


async def _phases(teller: Teller) -> str:
    found = await teller.speaking("state-registry").get("Group", identifier="nc-2021-01", _count="100")
    opening = {
        group["resource"]["name"]: group["resource"]["characteristic"][0]["period"]["start"] for group in found["entry"]
    }
    require(len(opening) >= 5, "the phases of January 2021 are not loaded")
    last = max(opening.values())
    return f"North Carolina's plan of January 2021 is loaded: {len(opening)} phase Groups, the last opens {last}"


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
    require(summary["refused"] == 1 and len(refused) == 1, "one row of the roster has an impossible date")
    teller.learned["refusal"] = refused[0]
    return f"The employer uploads a roster: {summary['total']} rows, 1 refused: {refused[0]}"


async def _roster_again(teller: Teller) -> str:
    header, *rows = ROSTER.splitlines()
    mended = next(row for row in rows if row.startswith("S-004")).replace("1995-02-30", "1995-02-28")
    summary, _ = await _upload(teller, f"{header}\n{mended}\n")
    require(summary["refused"] == 0 and summary["total"] == 1, "the mended row was not taken")
    whole, _ = await _upload(teller, ROSTER.replace("1995-02-30", "1995-02-28"))
    require(whole["unchanged"] == 5 and whole["created"] == 0, "sending the same roster again changed something")
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
        entries += [put(patient), put(response)]
    registry = teller.speaking("state-registry")
    await registry.post("", {"resourceType": "Bundle", "type": "transaction", "entry": entries})
    without = sum(not person[4] for person in PEOPLE)
    return f"{len(PEOPLE)} people register, {without} of them without an e-mail address"


async def _sign_in(teller: Teller) -> str:
    for name in ("ruth", "amy"):
        person = Person(name, sample.PASSWORD)
        scope = "openid fhirUser launch/patient patient/*.rs patient/Consent.cruds"
        teller.tokens[name] = await as_person(teller.base, sample.APP, sample.REDIRECT, scope, person)
    ruth = teller.speaking("ruth")
    await ruth.get("Patient/demo-ruth")
    other = await teller.client.get("Patient/demo-amy", headers=ruth.headers)
    require(other.status_code == 404, f"somebody else's record must not be there for her, not {other.status_code}")
    return "Two people log in and let an app read their own records; nobody else's is there for them"


async def _eligible(teller: Teller) -> str:
    carlos = await teller.speaking("mercy-ehr").eligibility("demo-carlos", "2021-01-05")
    require(carlos["status"] == "eligible", f"the nurse must be eligible on 5 January, not {carlos['status']}")
    return "On 5 January 2021 a nurse with patient contact is eligible"


async def _not_yet(teller: Teller) -> str:
    teller = teller.speaking("ruth")
    before = await teller.eligibility("demo-ruth", "2021-01-05", policy="nc-2021-01")
    after = await teller.eligibility("demo-ruth", "2021-01-14")
    require(before["status"] == "not-yet", f"a woman of 70 must wait on 5 January, not {before['status']}")
    require(before.get("opensOn") == "2021-01-14", "she must be told that her phase opens on 14 January")
    require(after["status"] == "eligible", f"a woman of 70 must be eligible on 14 January, not {after['status']}")
    return f"A woman of 70 is not yet on 5 January (opens {before['opensOn']}), eligible on 14 January"


async def _first_dose(teller: Teller) -> str:
    teller = teller.speaking("mercy-ehr")
    for _ in range(2):
        await teller.post("", dose("demo-ehr-1", "2021-01-20", "EL0140"))
    found = await teller.get("Immunization", identifier=f"{ORDERS}|demo-ehr-1", _total="accurate")
    require(found["total"] == 1, f"sent twice, the dose must stand once, not {found['total']} times")
    return "The hospital's system records the first dose by its own patient number; sent twice, it stands once"


async def _second_dose(teller: Teller) -> str:
    await teller.speaking("mercy-ehr").post("", dose("demo-ehr-2", "2021-02-10", "EL3247"))
    status = (await teller.speaking("ruth").eligibility("demo-ruth", "2021-02-11"))["status"]
    require(status == "complete", f"after two doses the answer must be complete, not {status}")
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
    require(status == "opted-out", f"who declines must be opted out, not {status}")
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
    require(picture.content.startswith(b"\x89PNG"), "the picture is no PNG")
    require(b"<svg" in drawing.content, "the drawing is no SVG")
    keys = (await teller.client.get(f"{origin}/shc/.well-known/jwks.json")).json()
    trust = TrustList.from_jwks(f"{origin}/shc", keys, name="the demo")
    for presented in (picture.content, file.content, teller.learned["jws"]):
        [report] = verify(presented, trust, teller.now())
        refused = "; ".join(verdict.text for verdict in report.verdicts if verdict.status == "fail")
        require(report.accepted, f"the card does not verify: {refused}")
    return "Its QR picture, read back, its file and its text all verify against the published keys"


async def _refusal(teller: Teller) -> str:
    wrong = {"resourceType": "Immunization", "status": "done", "lot": "EL0140"}
    headers = {**JSON, **teller.speaking("mercy-ehr").headers}
    answer = await teller.client.post("Immunization", json=wrong, headers=headers)
    issues = answered(answer, 422)["issue"]
    require(len(issues) >= 3, "every problem must be told, not only the first")
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


async def _upload(teller: Teller, text: str) -> tuple[dict[str, int], list[str]]:
    """The counts of the roster's summary, and what is said of the refused rows."""
    answer = await teller.client.post(
        "Group/demo-sunrise-roster/$roster-upload",
        content=text.encode(),
        headers={"content-type": "text/csv", **teller.speaking("sunrise-hr").headers},
    )
    parameters = answered(answer, 200)["parameter"]
    summary = next(found for found in parameters if found["name"] == "summary")
    rows = [{part["name"]: part for part in found["part"]} for found in parameters if found["name"] == "row"]
    refused = [row for row in rows if value(row["status"]) == "refused"]
    return {part["name"]: value(part) for part in summary["part"]}, [_reason(row) for row in refused]


def _reason(row: dict[str, Resource]) -> str:
    issue = row["issue"]
    outcome = issue.get("resource", issue)
    texts = [found["details"]["text"] for found in outcome.get("issue", [])] or [str(value(issue))]
    return f"line {value(row['line'])}: {' '.join(texts)}"
