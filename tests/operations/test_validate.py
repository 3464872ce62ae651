"""$validate over HTTP: levels, modes, profiles named and claimed; and what becomes of claims on writes."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest

from fhir_server.fhir.outcome import FhirError
from fhir_server.guides import Guides, Mode, PackageError, claims
from profiles.checker import check
from tests.conftest import Server
from tests.http.answers import JSON, refused, shape
from tests.profiles.test_package import PROFILE, URL, packed

SEEDS = Path("tests/profiles/seeds")
CORE = "http://hl7.org/fhir/us/core/StructureDefinition/us-core-"
BASE = "http://hl7.org/fhir/StructureDefinition/"
OURS = "https://fhir-server.example/fhir/StructureDefinition/"

Told = list[tuple[str, str, str]]


def seed(kind: str, /, **members: Any) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((SEEDS / f"{kind}.json").read_text())["resource"]
    return {member: value for member, value in {**found, **members}.items() if value is not None}


def told(answer: httpx.Response, status: int = 200) -> Told:
    """(severity, detail, expression) of each issue."""
    assert answer.status_code == status, answer.text[:500]
    shape(answer.json())
    return issues(answer.json())


def issues(outcome: dict[str, Any]) -> Told:
    return [
        (i["severity"], i["details"]["coding"][0]["code"], ", ".join(i.get("expression", ()))) for i in outcome["issue"]
    ]


async def validate(client: httpx.AsyncClient, resource: dict[str, Any], query: str = "", **more: str) -> Told:
    address = f"{resource.get('resourceType', 'Patient')}/$validate{query}"
    return told(await client.post(address, json=resource, headers={**JSON, **more}))


def given(resource: object, **values: str | list[str] | bool) -> dict[str, Any]:
    """Parameters of $validate."""
    parameter: list[dict[str, Any]] = [{"name": "resource", "resource": resource}] if resource else []
    for name, value in values.items():
        for each in value if isinstance(value, list) else [value]:
            kind = {"mode": "valueCode", "profile": "valueUri"}.get(name, "valueBoolean")
            parameter.append({"name": name, kind: each})
    return {"resourceType": "Parameters", "parameter": parameter}


async def ask(client: httpx.AsyncClient, address: str, parameters: dict[str, Any]) -> Told:
    return told(await client.post(f"{address}/$validate", json=parameters, headers=JSON))


async def test_nothing_is_wrong(client: httpx.AsyncClient) -> None:
    assert await validate(client, seed("us-core-organization")) == [("information", "valid", "")]


async def test_r4_itself(client: httpx.AsyncClient) -> None:
    assert ("error", "code-not-in-value-set", "Patient.gender") in await validate(
        client, seed("us-core-patient", gender="unheard-of")
    )
    assert await validate(client, {"resourceType": "Patient", "text": "x"}) == [
        ("error", "wrong-json-type", "Patient.text")
    ]
    assert ("warning", "invariant-dom-6", "Patient") in await validate(client, {"resourceType": "Patient"})


async def test_a_profile_in_the_address_and_in_parameters(client: httpx.AsyncClient) -> None:
    nameless = seed("us-core-patient", name=None)
    expected = ("error", "missing-element", "Patient.name")
    assert expected not in await validate(client, nameless)
    assert expected in await validate(client, nameless, f"?profile={CORE}patient")
    assert expected in await ask(client, "Patient", given(nameless, profile=CORE + "patient"))


async def test_several_profiles_at_once(client: httpx.AsyncClient) -> None:
    dose = seed("us-core-immunization")
    both = [CORE + "immunization|8.0.0", OURS + "administered-dose"]
    found = await ask(client, "Immunization", given(dose, profile=both))
    assert ("warning", "constraint-us-core-5", "Immunization") in found
    assert not [each for each in found if each[0] == "error"]
    lotless = seed("us-core-immunization", lotNumber=None)
    assert ("error", "missing-element", "Immunization.lotNumber") in await ask(
        client, "Immunization", given(lotless, profile=both)
    )


async def test_a_broken_resource_is_still_judged_by_profiles(client: httpx.AsyncClient) -> None:
    person = seed("us-core-patient", name=None, telecom=[{"value": "919"}])
    found = await validate(client, person, f"?profile={CORE}patient")
    assert ("error", "invariant-cpt-2", "Patient.telecom[0]") in found
    assert ("error", "missing-element", "Patient.telecom[0].system") in found
    shapeless = await validate(client, seed("us-core-patient", name={}), f"?profile={CORE}patient")
    assert ("information", "profiles-not-checked", "") in shapeless


async def test_unknown_profiles(client: httpx.AsyncClient) -> None:
    unknown = "https://example.org/StructureDefinition/none"
    assert ("error", "unknown-profile", "profile") in await validate(
        client, seed("us-core-organization"), f"?profile={unknown}"
    )
    claiming = seed("us-core-organization", meta={"profile": [unknown]})
    assert ("warning", "unknown-profile", "Organization.meta.profile[0]") in await validate(client, claiming)


async def test_claims_are_looked_at_in_a_bundle(client: httpx.AsyncClient) -> None:
    claiming = seed("us-core-patient", meta={"profile": [CORE + "patient"]}, name=None)
    bundle = {"resourceType": "Bundle", "type": "collection", "entry": [{"resource": claiming}]}
    assert ("error", "missing-element", "Bundle.entry[0].resource.name") in await validate(client, bundle)


async def test_must_support(client: httpx.AsyncClient) -> None:
    dose = seed("us-core-immunization")
    found = await ask(client, "Immunization", given(dose, profile=CORE + "immunization", mustSupport=True))
    assert ("information", "must-support-absent", "Immunization.statusReason") in found


async def test_modes(client: httpx.AsyncClient) -> None:
    place = seed("us-core-location")
    assert await validate(client, place, "?mode=create") == [("information", "id-not-kept", "Location.id")]
    assert await validate(client, {**place, "id": "x"}, "?mode=update") == [("information", "valid", "")]
    del place["id"]
    assert await validate(client, place, "?mode=create") == [("information", "valid", "")]
    assert ("error", "missing-element", "Location.id") in await validate(client, place, "?mode=update")
    refused(await client.post("Location/$validate?mode=invent", json=place, headers=JSON), 400)
    refused(await client.post("Location/$validate?mode=delete", json=place, headers=JSON), 400)


async def test_an_instance(client: httpx.AsyncClient) -> None:
    place = seed("us-core-location", id="validated")
    await client.put("Location/validated", json=place, headers=JSON)
    assert told(await client.get("Location/validated/$validate")) == [("information", "valid", "")]
    profile = {"profile": CORE + "organization"}
    assert told(await client.get("Location/validated/$validate", params=profile)) == [
        ("error", "wrong-profile-type", "Location")
    ]
    assert told(await client.post("Location/validated/$validate", headers=JSON)) == [("information", "valid", "")]
    other = {**place, "id": "other"}
    assert ("error", "wrong-id", "Location.id") in told(
        await client.post("Location/validated/$validate", json=other, headers=JSON)
    )
    assert told(await client.get("Location/validated/$validate", params={"mode": "delete"})) == [
        ("information", "valid", "")
    ]
    refused(await client.get("Location/not-there/$validate"), 404)
    assert (await client.get("Location/validated")).json()["meta"]["versionId"] == "1"


async def test_what_is_sent_may_be_anything(client: httpx.AsyncClient) -> None:
    missing = await client.post("Patient/$validate", headers=JSON)
    assert refused(missing, 400) == ("required", "missing-parameter", ("resource",))
    assert (
        refused(await client.post("Patient/$validate", content=b'{"a":', headers=JSON), 400).detail == "malformed-json"
    )
    found = told(await client.post("Patient/$validate", json=seed("us-core-location"), headers=JSON))
    assert ("error", "wrong-type", "Patient") in found
    found = told(await client.post("Patient/$validate", json={"resourceType": "Pat"}, headers=JSON))
    assert ("error", "unknown-resource-type", "resourceType") in found
    inner = given({"resourceType": "Patient", "birthDate": "once"}, profile=CORE + "patient")
    assert ("error", "invalid-format", "Patient.birthDate") in await ask(client, "Patient", inner)
    wrong = {"resourceType": "Parameters", "parameter": [{"name": "resource"}, {"name": "nonsense", "valueCode": "x"}]}
    assert (await client.post("Patient/$validate", json=wrong, headers=JSON)).status_code in (400, 422)
    itself = {"resourceType": "Parameters", "parameter": [{"name": "x"}]}
    assert ("error", "invariant-inv-1", "Parameters.parameter[0]") in await validate(client, itself)


async def test_in_a_batch_and_in_xml(client: httpx.AsyncClient) -> None:
    request = {"method": "POST", "url": "Patient/$validate"}
    entry = {"resource": given({"resourceType": "Patient", "gender": "x"}), "request": request}
    answer = await client.post("", json={"resourceType": "Bundle", "type": "batch", "entry": [entry]}, headers=JSON)
    [done] = answer.json()["entry"]
    assert ("error", "code-not-in-value-set", "Patient.gender") in issues(done["resource"])
    body = '<Patient xmlns="http://hl7.org/fhir"><gender value="x"/></Patient>'
    xml = await client.post("Patient/$validate", content=body, headers={"content-type": "application/fhir+xml"})
    assert ("error", "code-not-in-value-set", "Patient.gender") in told(xml)


async def test_a_write_that_breaks_a_profile_of_ours_is_refused(client: httpx.AsyncClient) -> None:
    dose = seed("administered-dose", meta={"profile": [OURS + "administered-dose"]}, lotNumber=None)
    told_of = told(await client.post("Immunization", json=dose, headers=JSON), 422)
    assert ("error", "missing-element", "Immunization.lotNumber") in told_of
    bundle = {
        "resourceType": "Bundle",
        "type": "transaction",
        "entry": [{"resource": dose, "request": {"method": "POST", "url": "Immunization"}}],
    }
    found = told(await client.post("", json=bundle, headers=JSON), 422)
    assert ("error", "missing-element", "Bundle.entry[0].resource.lotNumber") in found


async def test_a_write_that_breaks_another_profile_is_told(client: httpx.AsyncClient) -> None:
    claims = [CORE + "organization", "https://example.org/StructureDefinition/none"]
    organization = seed("us-core-organization", meta={"profile": claims}, active=None)
    expected = {
        ("warning", "missing-element", "Organization.active"),
        ("warning", "unknown-profile", "Organization.meta.profile[1]"),
        ("information", "stored", ""),
    }
    asking = {**JSON, "prefer": "return=OperationOutcome"}
    assert set(told(await client.post("Organization", json=organization, headers=asking), 201)) == expected
    plain = await client.post("Organization", json=organization, headers=JSON)
    assert (plain.status_code, plain.json()["resourceType"]) == (201, "Organization")
    bundle = {
        "resourceType": "Bundle",
        "type": "transaction",
        "entry": [{"resource": organization, "request": {"method": "POST", "url": "Organization"}}],
    }
    [done] = (await client.post("", json=bundle, headers=JSON)).json()["entry"]
    assert set(issues(done["response"]["outcome"])) == expected - {("information", "stored", "")}


async def test_a_patch_is_told_and_refused_likewise(client: httpx.AsyncClient) -> None:
    organization = seed("us-core-organization", id="patched", meta={"profile": [CORE + "organization"]})
    await client.put("Organization/patched", json=organization, headers=JSON)
    patching = {"content-type": "application/json-patch+json", "prefer": "return=OperationOutcome"}
    change = [{"op": "remove", "path": "/active"}]
    answer = await client.patch("Organization/patched", json=change, headers=patching)
    assert ("warning", "missing-element", "Organization.active") in told(answer)
    change = [{"op": "add", "path": "/meta/profile/-", "value": OURS + "roster"}]
    answer = await client.patch("Organization/patched", json=change, headers=patching)
    assert ("error", "wrong-profile-type", "Organization") in told(answer, 422)


def test_claims_are_looked_at_once_and_not_without_end() -> None:
    urls = [f"https://example.org/{number // 2}" for number in range(1_000)]
    found = claims({"meta": {"profile": urls}})
    assert (len(found), found[1]) == (25, (2, "https://example.org/1"))


async def test_profiles_are_published_and_named(client: httpx.AsyncClient) -> None:
    for name in ("registered-recipient", "administered-dose", "historical-dose", "refusal", "roster", "phase"):
        found = await client.get(f"StructureDefinition/{name}")
        assert found.json()["url"] == OURS + name
        assert found.json()["snapshot"]["element"]
    guide = (await client.get("ImplementationGuide/fhir-server")).json()
    assert not [i for i in check(guide, f"{BASE}ImplementationGuide") if i.severity == "error"]
    listed = {each["reference"]["reference"] for each in guide["definition"]["resource"]}
    assert {"StructureDefinition/roster", "OperationDefinition/Resource-validate", "Measure/data-quality"} <= listed
    [rest] = (await client.get("metadata")).json()["rest"]
    supported = {each["type"]: each.get("supportedProfile", []) for each in rest["resource"]}
    assert {CORE + "patient", CORE + "patient|8.0.0", OURS + "registered-recipient"} <= set(supported["Patient"])
    assert {OURS + "roster", OURS + "phase"} == set(supported["Group"])


def run(*words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "fhir_server", *words]
    return subprocess.run(command, capture_output=True, text=True, env={**os.environ, "COLUMNS": "200"}, timeout=60)


async def test_a_loaded_guide_is_used_at_once(client: httpx.AsyncClient, server: Server, tmp_path: Path) -> None:
    patient = {"resourceType": "Patient"}
    assert ("error", "unknown-profile", "profile") in await validate(client, patient, f"?profile={URL}")
    ran = run("load-ig", str(packed(tmp_path, PROFILE)), "--data", str(server.data))
    assert (ran.returncode, ran.stderr) == (0, "")
    assert "test.guide 1.0.0: 1 profiles, 0 extensions, 0 value sets. In use from now on." in ran.stdout
    [written] = (server.data / "guides").glob("*.json.gz")
    try:
        found = await validate(client, patient, f"?profile={URL}")
        assert ("error", "missing-element", "Patient.gender") in found
    finally:
        written.unlink()
    assert ("error", "unknown-profile", "profile") in await validate(client, patient, f"?profile={URL}")


def test_a_broken_package_changes_nothing(tmp_path: Path) -> None:
    folder = tmp_path / "guides"
    known = Guides(folder, "6.1.0", "refuse", "warn")
    for resources in ((), ({**PROFILE, "snapshot": {}},), (PROFILE, b"{")):
        with pytest.raises(PackageError):
            known.load(packed(tmp_path, *resources))
    assert not folder.exists()


def test_a_file_that_is_no_guide_is_told_by_the_doctor_and_passed_over(tmp_path: Path) -> None:
    folder = tmp_path / "guides"
    known = Guides(folder, "6.1.0", "refuse", "warn")
    known.load(packed(tmp_path, PROFILE))
    (folder / "other.json.gz").write_bytes(b"x")
    assert known.find(URL) is not None
    with pytest.raises(PackageError, match="is no guide that load-ig made"):
        known.loaded()


@pytest.mark.parametrize(
    ("own", "others", "expected"),
    [("refuse", "warn", 422), ("warn", "refuse", "warning"), ("off", "refuse", None), ("off", "off", None)],
)
def test_settings(tmp_path: Path, own: Mode, others: Mode, expected: int | str | None) -> None:
    lotless = seed("administered-dose", meta={"profile": [OURS + "administered-dose"]}, lotNumber=None)
    known = Guides(tmp_path / "guides", "6.1.0", own, others)
    if expected == 422:
        with pytest.raises(FhirError) as caught:
            known.judge(lotless)
        assert caught.value.status == expected
    else:
        severities = {issue.severity for issue in known.judge(lotless) if issue.detail == "missing-element"}
        assert severities == ({expected} if expected else set())
