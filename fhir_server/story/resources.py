"""Invented people, places and doses of the story, as the resources and the roster that are sent.

https://hl7.org/fhir/R4/immunization.html
"""

from fhir_server.story.teller import Resource

NPI = "http://hl7.org/fhir/sid/us-npi"
MRN = "https://mercy.example/mrn"
ORDERS = "https://mercy.example/orders"
CVX = "http://hl7.org/fhir/sid/cvx"
QUESTIONNAIRE = "https://fhir-server.example/fhir/Questionnaire/registration"
RESIDENCES = "https://fhir-server.example/fhir/CodeSystem/residence-setting"
OCCUPATIONS = "https://fhir-server.example/fhir/CodeSystem/occupation-class"

ROSTER = """row_id,first_name,last_name,birth_date,sex,email,phone,zip,occupation
S-001,Maria,Nguyen,1984-03-11,F,maria.nguyen@sunrise.example,919-555-0101,27601,long-term-care-staff
S-002,José,Álvarez,07/22/1990,M,,919-555-0102,27604,long-term-care-staff
S-003,Aisha,Coleman,1979-12-30,F,,,27606,long-term-care-staff
S-004,Tom,O'Brien,1995-02-30,M,tom@sunrise.example,,27606,long-term-care-staff
S-005,Wei,Chen,1968-05-05,M,wei.chen@sunrise.example,919-555-0105,27513,long-term-care-staff
"""

PEOPLE = (
    ("ruth", "Whitfield", "Ruth", "1950-06-02", "", "other"),
    ("carlos", "Hernández", "Carlos", "1988-09-17", "carlos@mail.example", "health-care"),
    ("amy", "Larsen", "Amy", "1999-04-25", "amy@mail.example", "other"),
)
"""Slug, family, given, birth date, e-mail, occupation class."""


def organization(slug: str, name: str, npi: str, kind: str) -> Resource:
    system = "http://terminology.hl7.org/CodeSystem/organization-type"
    return {
        "resourceType": "Organization",
        "id": f"demo-{slug}",
        "identifier": [{"system": NPI, "value": npi}],
        "active": True,
        "type": [{"coding": [{"system": system, "code": kind}]}],
        "name": name,
    }


def put(resource: Resource) -> Resource:
    address = f"{resource['resourceType']}/{resource['id']}"
    return {"fullUrl": f"urn:demo:{address}", "resource": resource, "request": {"method": "PUT", "url": address}}


def dose(number: str, day: str, lot: str) -> Resource:
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
