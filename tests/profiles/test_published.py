"""No false alarm of profiles and R4's own invariants on what HL7 publishes, nor on what we publish."""

import json
import tarfile
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from profiles.checker import check
from profiles.guides import Library, shipped
from tests.profiles.cases import DATA, load
from tests.profiles.test_official import BROKEN_EXAMPLES

LIBRARY = Library(shipped(), {"hl7.fhir.us.core": "6.1.0"})
BASE = "http://hl7.org/fhir/StructureDefinition/"
OURS = "https://fhir-server.example/fhir/StructureDefinition/"
DATA_OF_OURS = Path("fhir_server/operations/data")


def errors(resource: dict[str, Any], url: str) -> list[tuple[str, tuple[str, ...]]]:
    found = check(resource, url, library=LIBRARY)
    return [(issue.detail, issue.expression) for issue in found if issue.severity == "error"]


def examples(path: Path) -> Iterator[dict[str, Any]]:
    with tarfile.open(path) as archive:
        for member in archive:
            content = archive.extractfile(member) if member.name.startswith("package/example/") else None
            if content is not None:
                yield json.loads(content.read(), parse_float=Decimal)


@pytest.mark.parametrize(("name", "version"), [("us_core_610.tgz", "6.1.0"), ("us_core_800.tgz", "8.0.0")])
def test_examples_of_us_core_meet_what_they_claim(name: str, version: str) -> None:
    path = DATA / "us-core" / name
    if not path.is_file():
        pytest.skip("../shared/data/us-core is not at hand")
    checked, broken = 0, {}
    for resource in examples(path):
        for url in resource.get("meta", {}).get("profile", ()):
            pinned = f"{url}|{version}" if "/us/core/" in url and "|" not in url else url
            if LIBRARY.find(pinned) is None:
                continue  # a profile of a guide that is not shipped
            checked += 1
            if found := errors(resource, pinned):
                broken[resource["id"], pinned] = found
    assert checked > 150
    assert not broken


def test_examples_of_r4_break_no_invariant() -> None:
    paths = sorted(DATA.glob("fhir-r4-examples/*.json"))
    if not paths:
        pytest.skip("../shared/data is not at hand")
    broken = {}
    for path in paths:
        resource = load(path)
        if found := errors(resource, BASE + resource["resourceType"]):
            broken[path.name] = {detail for detail, _ in found}
    assert broken == BROKEN_EXAMPLES


def test_what_we_publish_is_valid() -> None:
    for path in sorted(DATA_OF_OURS.rglob("*.json")):
        resource = load(path)
        if "resourceType" not in resource:
            continue
        for each in [entry["resource"] for entry in resource.get("entry", ())] or [resource]:
            assert errors(each, BASE + each["resourceType"]) == [], path.name


def test_our_phases_meet_their_profile() -> None:
    groups = [
        entry["resource"] for path in sorted((DATA_OF_OURS / "phases").glob("*.json")) for entry in load(path)["entry"]
    ]
    assert [
        found for each in groups if each["resourceType"] == "Group" and (found := errors(each, OURS + "phase"))
    ] == []


def test_canonicals() -> None:
    core = "http://hl7.org/fhir/us/core/StructureDefinition/us-core-patient"
    found = {
        text: profile.version
        for text in ("", "|6.1.0", "|8.0.0", "|8.0", "|8")
        if (profile := LIBRARY.find(core + text))
    }
    assert found == {"": "6.1.0", "|6.1.0": "6.1.0", "|8.0.0": "8.0.0", "|8.0": "8.0.0", "|8": "8.0.0"}
    assert LIBRARY.find(core + "|7.0.0") is None
    newer = Library(shipped(), {"hl7.fhir.us.core": "8.0.0"}).find(core)
    assert newer is not None and newer.version == "8.0.0"
    us, uv = (f"http://hl7.org/fhir/{realm}/immds/StructureDefinition/immds-patient" for realm in ("us", "uv"))
    assert LIBRARY.find(us) is not None and LIBRARY.find(uv) is not None
    assert LIBRARY.find(BASE + "Patient") is not None and LIBRARY.find(BASE + "Nothing") is None


def test_must_support_is_told_when_asked() -> None:
    dose = load(Path("tests/profiles/seeds/us-core-immunization.json"))["resource"]
    core = "http://hl7.org/fhir/us/core/StructureDefinition/us-core-immunization"
    told = [i for i in check(dose, core, library=LIBRARY, must_support=True) if i.detail == "must-support-absent"]
    assert [(i.severity, i.expression) for i in told] == [("information", ("Immunization.statusReason",))]
    assert not [i for i in check(dose, core, library=LIBRARY) if i.detail == "must-support-absent"]


def test_a_profile_of_another_type() -> None:
    core = "http://hl7.org/fhir/us/core/StructureDefinition/us-core-patient"
    assert errors({"resourceType": "Immunization"}, core)[-1] == ("wrong-profile-type", ("Immunization",))
    with pytest.raises(KeyError):
        check({"resourceType": "Patient"}, "https://example.org/none", library=LIBRARY)


def test_an_extension_without_a_claim_may_be_of_any_version() -> None:
    """US Core 6.1 has a code in us-core-sex, 8.0 a Coding."""
    url = "http://hl7.org/fhir/us/core/StructureDefinition/us-core-sex"
    snomed = {"system": "http://snomed.info/sct", "code": "248152002"}
    patient = {"resourceType": "Patient", "extension": [{"url": url, "valueCoding": snomed}]}
    assert errors(patient, BASE + "Patient") == []
    patient["extension"] = [{"url": url, "valueString": "x"}]
    assert errors(patient, BASE + "Patient") == [("wrong-type-in-profile", ("Patient.extension[0].value",))]
