"""A package that cannot be used is refused with a sentence, whatever is wrong with it; one that can is a guide."""

import gzip
import io
import json
import tarfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from profiles import package as packages
from profiles.checker import check
from profiles.guides import Guide, Library, shipped
from profiles.package import Package, PackageError, guide

ABOUT = {"name": "test.guide", "version": "1.0.0", "fhirVersions": ["4.0.1"]}
URL = "https://example.org/StructureDefinition/p"
PROFILE: dict[str, Any] = {
    "resourceType": "StructureDefinition",
    "id": "p",
    "url": URL,
    "type": "Patient",
    "kind": "resource",
    "derivation": "constraint",
    "baseDefinition": "http://hl7.org/fhir/StructureDefinition/Patient",
    "snapshot": {
        "element": [
            {"id": "Patient", "path": "Patient", "min": 0, "max": "*"},
            {
                "id": "Patient.gender",
                "path": "Patient.gender",
                "min": 1,
                "max": "1",
                "binding": {"strength": "extensible", "valueSet": "https://example.org/ValueSet/v"},
            },
        ]
    },
}


def value_set(name: str, *included: str) -> dict[str, Any]:
    urls = [f"https://example.org/ValueSet/{each}" for each in included]
    return {
        "resourceType": "ValueSet",
        "url": f"https://example.org/ValueSet/{name}",
        "compose": {"include": [{"valueSet": [url]} for url in urls]},
    }


def archive(path: Path, files: Mapping[str, object], *members: tarfile.TarInfo) -> Path:
    with tarfile.open(path, "w:gz") as tar:
        for name, content in files.items():
            data = content if isinstance(content, bytes) else json.dumps(content).encode()
            member = tarfile.TarInfo(name)
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
        for member in members:
            tar.addfile(member)
    return path


def packed(path: Path, *resources: object, about: object = ABOUT) -> Path:
    files = {f"package/{_name(each, n)}": each for n, each in enumerate(resources)}
    return archive(path / "test.tgz", {"package/package.json": about, **files})


def _name(resource: object, number: int) -> str:
    kind = resource["resourceType"] if isinstance(resource, dict) and "resourceType" in resource else "ValueSet"
    return f"{kind}-{number}.json"


def changed(**members: Any) -> dict[str, Any]:
    return {name: value for name, value in {**PROFILE, **members}.items() if value is not None}


def link(kind: bytes) -> tarfile.TarInfo:
    member = tarfile.TarInfo("package/StructureDefinition-x.json")
    member.type, member.linkname = kind, "/etc/passwd"
    return member


def refused(path: Path) -> str:
    with pytest.raises(PackageError) as caught:
        guide(Package.read(path))
    return str(caught.value)


def test_a_package_becomes_a_guide(tmp_path: Path) -> None:
    codes = {
        "resourceType": "ValueSet",
        "url": "https://example.org/ValueSet/v",
        "compose": {"include": [{"system": "http://e.org", "concept": [{"code": "x"}]}]},
    }
    made = Guide(guide(Package.read(packed(tmp_path, PROFILE, codes))))
    library = Library((*shipped(), made))
    patient = {"resourceType": "Patient", "text": {}, "gender": "male"}
    patient.pop("text")
    told = {(i.severity, i.detail, i.expression) for i in check(patient, URL, library=library)}
    assert ("warning", "code-not-in-extensible-value-set", ("Patient.gender",)) in told
    told = {(i.severity, i.detail, i.expression) for i in check({"resourceType": "Patient"}, URL, library=library)}
    assert ("error", "missing-element", ("Patient.gender",)) in told


@pytest.mark.parametrize(
    ("resources", "sentence"),
    [
        ((changed(snapshot=None),), "built without snapshots: p"),
        ((), "no profiles and no extension definitions"),
        ((changed(type="Nothing"),), "about the type 'Nothing', which R4 does not have"),
        ((changed(snapshot={"element": [{"path": "Patient"}]}),), "no cardinality"),
        ((changed(snapshot={"element": "x"}),), "no snapshot"),
        ((changed(baseDefinition=URL),), "based on itself"),
        (
            (
                changed(baseDefinition=URL + "2"),
                changed(url=URL + "2", baseDefinition=URL),
            ),
            "based on itself",
        ),
        ((PROFILE, value_set("v", "w"), value_set("w", "v")), "includes itself"),
        ((PROFILE, value_set("v", "v")), "includes itself"),
        ((PROFILE, b"[1]"), "is no FHIR resource"),
        ((PROFILE, b"{"), "is no JSON"),
        (
            (
                changed(
                    snapshot={
                        "element": [
                            {"path": "Patient", "min": 0, "max": "*"},
                            {"id": 7, "path": "Patient.x", "min": 0, "max": "x"},
                        ]
                    }
                ),
            ),
            "no valid R4 resource",
        ),
    ],
    ids=lambda value: value[:30] if isinstance(value, str) else "",
)
def test_resources_that_cannot_be_used(tmp_path: Path, resources: tuple[object, ...], sentence: str) -> None:
    assert sentence in refused(packed(tmp_path, *resources))


@pytest.mark.parametrize(
    ("about", "sentence"),
    [
        ({**ABOUT, "fhirVersions": ["5.0.0"]}, "is for FHIR 5.0.0; this server speaks R4"),
        ({"name": "test.guide", "version": "1"}, "none that it names"),
        ({**ABOUT, "name": "../../etc"}, "which no package may"),
        ({**ABOUT, "version": "1/2"}, "which no package may"),
        ([], "is no FHIR resource"),
    ],
)
def test_what_a_package_says_of_itself(tmp_path: Path, about: object, sentence: str) -> None:
    assert sentence in refused(packed(tmp_path, PROFILE, about=about))


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        ("plain.tgz", b"this is no archive", "no gzipped tar archive"),
        ("empty.tgz", b"", "no gzipped tar archive"),
        ("gzip.tgz", gzip.compress(b"this is no tar", mtime=0), "no gzipped tar archive"),
        ("cut.tgz", gzip.compress(b"x" * 5000, mtime=0)[:40], "no gzipped tar archive"),
    ],
)
def test_what_is_no_archive(tmp_path: Path, name: str, content: bytes, sentence: str) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    assert sentence in refused(path)


@pytest.mark.parametrize("name", ["package/../../outside.json", "/package/x.json", "package\\..\\x.json"])
def test_paths_that_lead_out(tmp_path: Path, name: str) -> None:
    path = archive(tmp_path / "out.tgz", {"package/package.json": ABOUT, name: PROFILE})
    assert "would lie outside" in refused(path)
    assert not (tmp_path / "outside.json").exists()


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE])
def test_links_and_devices(tmp_path: Path, kind: bytes) -> None:
    assert "a link or a device" in refused(archive(tmp_path / "l.tgz", {"package/package.json": ABOUT}, link(kind)))


def test_an_archive_without_a_package(tmp_path: Path) -> None:
    assert "no package/package.json" in refused(archive(tmp_path / "n.tgz", {"other/x.json": PROFILE}))


def test_too_much_of_anything(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = packed(tmp_path, PROFILE, value_set("v"), value_set("w"))
    for name, most, sentence in (
        ("MAX_FILE", 100, "no guide is that large"),
        ("MAX_CONTENT", 600, "unpacks to more than"),
        ("MAX_MEMBER", 200, "holds a file of more than"),
        ("MAX_MEMBERS", 2, "holds more than 2 files"),
    ):
        with monkeypatch.context() as patched:
            patched.setattr(packages, name, most)
            assert sentence in refused(path)


def test_a_file_nested_beyond_reason(tmp_path: Path) -> None:
    assert "is no JSON" in refused(packed(tmp_path, PROFILE, b"[" * 200_000))
