"""The synthetic population: posted as transactions, read back as it was, its links resolved.

https://hl7.org/fhir/R4/http.html#trules
"""

import json
import re

from tests.http.answers import everything, found, link
from tests.real_input.conftest import Loaded
from tests.real_input.lossless import parsed, resolved, without_stamps

CVX = "http://hl7.org/fhir/sid/cvx"


async def test_everything_reads_back_equal(loaded: Loaded) -> None:
    assert len(loaded.stored) > 1_200
    for number, (address, posted) in enumerate(loaded.posted.items()):
        expected = resolved(without_stamps(parsed(posted)), loaded.names)
        assert without_stamps(parsed(loaded.stored[address])) == expected, address
        # Search pages below show every byte of all of them.
        if number % 10 == 0:
            assert (await loaded.client.get(address)).content == loaded.stored[address]


async def test_every_resource_is_on_one_page(loaded: Loaded) -> None:
    for resource_type in sorted({address.partition("/")[0] for address in loaded.stored}):
        expected = set(loaded.of_type(resource_type))
        following: str | None = f"{resource_type}?_count=100"
        rows: list[str] = []
        while following is not None:
            answer = await loaded.client.get(following)
            here = found(answer)
            for address in here:
                assert loaded.stored.get(address, b"") in answer.content
            rows += [address.partition("/")[2] for address in here]
            following = link(answer.json(), "next")
        assert len(rows) == len(set(rows))
        # Some Organizations come with the product.
        assert expected == set(rows) if resource_type != "Organization" else expected <= set(rows)


def test_no_link_is_left_open(loaded: Loaded) -> None:
    for address, stored in loaded.stored.items():
        links = re.findall(rb'"reference":"(urn:[^"]*|[A-Za-z]*\?[^"]*)"', stored)
        assert links == [], address


async def test_doses_by_code_and_patient(loaded: Loaded) -> None:
    doses = loaded.of_type("Immunization")
    codes = {coding["code"] for dose in doses.values() for coding in dose["vaccineCode"]["coding"]}
    assert len(codes) > 3
    for code in sorted(codes):
        expected = {id for id, dose in doses.items() if code in [c["code"] for c in dose["vaccineCode"]["coding"]]}
        assert set(await everything(loaded.client, f"Immunization?vaccine-code={CVX}|{code}&_count=10")) == expected
    for patient in loaded.of_type("Patient"):
        expected = {id for id, dose in doses.items() if dose["patient"]["reference"] == f"Patient/{patient}"}
        assert set(await everything(loaded.client, f"Immunization?patient={patient}&_count=10")) == expected


async def test_patients_by_name_and_birth(loaded: Loaded) -> None:
    people = loaded.of_type("Patient")
    for id, person in people.items():
        family, born = person["name"][0]["family"], person["birthDate"]
        rows = await everything(loaded.client, f"Patient?family={family.lower()}&birthdate={born}")
        assert rows == [id]
    before = {id for id, person in people.items() if person["birthDate"] < "1980"}
    assert set(await everything(loaded.client, "Patient?birthdate=lt1980")) == before
    women = {id for id, person in people.items() if person["gender"] == "female"}
    assert set(await everything(loaded.client, "Patient?gender=female")) == women


async def test_measurements(loaded: Loaded) -> None:
    tall = {
        id
        for id, measured in loaded.of_type("Observation").items()
        if "8302-2" in [coding["code"] for coding in measured["code"]["coding"]]
        and measured.get("valueQuantity", {}).get("value", 0) > 150
    }
    assert tall
    query = "Observation?code=http://loinc.org|8302-2&value-quantity=gt150&_count=20"
    assert set(await everything(loaded.client, query)) == tall


async def test_chains_and_reverse_chains(loaded: Loaded) -> None:
    people, doses = loaded.of_type("Patient"), loaded.of_type("Immunization")
    family = next(iter(people.values()))["name"][0]["family"]
    named = {f"Patient/{id}" for id, person in people.items() if person["name"][0]["family"] == family}
    expected = {id for id, dose in doses.items() if dose["patient"]["reference"] in named}
    assert set(await everything(loaded.client, f"Immunization?patient.family={family}&_count=10")) == expected
    code = next(iter(doses.values()))["vaccineCode"]["coding"][0]["code"]
    vaccinated = {
        dose["patient"]["reference"].partition("/")[2]
        for dose in doses.values()
        if code in [coding["code"] for coding in dose["vaccineCode"]["coding"]]
    }
    assert set(await everything(loaded.client, f"Patient?_has:Immunization:patient:vaccine-code={code}")) == vaccinated


async def test_includes(loaded: Loaded) -> None:
    for id, dose in list(loaded.of_type("Immunization").items())[:5]:
        answer = await loaded.client.get(
            f"Immunization?_id={id}&_include=Immunization:patient&_revinclude:iterate=Encounter:patient&_count=1"
        )
        patient = dose["patient"]["reference"]
        encounters = {
            f"Encounter/{each}"
            for each, encounter in loaded.of_type("Encounter").items()
            if encounter["subject"]["reference"] == patient
        }
        assert found(answer) == [f"Immunization/{id}"]
        assert patient in found(answer, "include")
        assert set(found(answer, "include")) - {patient} in (set(), encounters)


def test_decimals_are_not_rounded(loaded: Loaded) -> None:
    numbers = [text for body in loaded.posted.values() for text in re.findall(rb'"value":\s*(-?\d+\.\d+)', body)]
    assert len(numbers) > 100
    assert sorted(numbers) == sorted(
        text for body in loaded.stored.values() for text in re.findall(rb'"value":\s*(-?\d+\.\d+)', body)
    )
    assert json.loads(next(iter(loaded.stored.values())))["meta"]["versionId"] == "1"
