"""The committed tables are what the generator makes of the official package."""

import io
import json
import tarfile
from pathlib import Path

import pytest

from tests.profiles.conftest import package_path
from tools.definitions.__main__ import GENERATORS, generate, main, outdated
from tools.definitions.package import Package, load
from tools.definitions.table import content, packed, same
from tools.definitions.value_sets import expansion


def test_committed_tables_are_up_to_date(package: Package) -> None:
    assert outdated(generate(package)) == []


def test_the_command_tells_whether_tables_are_outdated(
    package: Package, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["definitions", "--package", str(package_path()), "--check"])
    assert main() == 0
    monkeypatch.chdir(tmp_path)
    assert main() == 1
    assert list(tmp_path.iterdir()) == []
    assert "outdated profiles/data/elements.json.gz" in capsys.readouterr().out


def test_another_package_is_refused(tmp_path: Path) -> None:
    archive = tmp_path / "other.tgz"
    with tarfile.open(archive, "w:gz") as tar:
        about = b'{"name": "hl7.fhir.r5.core", "version": "5.0.0"}'
        member = tarfile.TarInfo("package/package.json")
        member.size = len(about)
        tar.addfile(member, io.BytesIO(about))
    with pytest.raises(ValueError, match=r"hl7\.fhir\.r5\.core 5\.0\.0 is not hl7\.fhir\.r4\.core 4\.0\.1"):
        load(archive)


def test_manifest_names_the_package() -> None:
    manifest = json.loads(Path("profiles/data/manifest.json").read_text())
    assert (manifest["package"], manifest["version"]) == ("hl7.fhir.r4.core", "4.0.1")
    assert len(manifest["sha256"]) == 64


def test_every_generator_is_listed() -> None:
    modules = {
        f"tools.definitions.{path.stem}"
        for path in Path("tools/definitions").glob("*.py")
        if "def generate(" in path.read_text() and path.stem != "__main__"
    }
    assert {module.__name__ for module in GENERATORS} == modules


def test_packed_is_deterministic() -> None:
    assert packed({"b": 1, "a": [2]}) == packed({"a": [2], "b": 1})
    assert content(packed({"b": 1, "a": "é"})) == '{"a":"é","b":1}'.encode()
    assert same(b"x", b"x") and not same(packed(1), packed(2))


def test_nested_codes_and_whole_systems_are_expanded(package: Package) -> None:
    types = expansion(package, "http://hl7.org/fhir/ValueSet/all-types|4.0.1")
    assert types is not None and {"Patient", "HumanName", "Any"} <= {
        c for codes in types["codes"].values() for c in codes
    }
    assert expansion(package, "http://example.org/ValueSet/none") is None
