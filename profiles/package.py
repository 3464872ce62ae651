"""Package: a FHIR package (.tgz) read without trusting it, and made into a guide.

https://confluence.hl7.org/display/FHIR/NPM+Package+Specification

Nothing is unpacked onto the disk. What is refused: no gzip or tar, links and paths that lead out, more files or bytes
than any guide has, another FHIR version, profiles without snapshots, value sets or profiles that go round in circles.
"""

import gzip
import json
import re
import tarfile
import zlib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import IO, Any

from profiles.expansions import ExpansionError, expand
from profiles.snapshot import DefinitionError, Table, table

Resource = dict[str, Any]

MAX_FILE = 100_000_000
"""Bytes of the archive."""
MAX_CONTENT = 1_000_000_000
"""Bytes of all it holds, unpacked."""
MAX_READ = 300_000_000
"""Bytes of the definitions among it, which are parsed."""
MAX_MEMBER = 50_000_000
MAX_MEMBERS = 50_000

_NAME = re.compile(r"[a-z][a-z0-9-]*(\.[a-z0-9-]+)+")
_VERSION = re.compile(r"[A-Za-z0-9][A-Za-z0-9.+-]{0,40}")
_TYPES = ("StructureDefinition", "ValueSet", "CodeSystem")


class PackageError(ValueError):
    """A package that cannot be used; the message is a sentence for whoever wants to load it."""


class Package:
    """The conformance resources of a package."""

    def __init__(self, about: Mapping[str, Any], resources: list[Resource]) -> None:
        self.name, self.version = str(about.get("name")), str(about.get("version"))
        self.title = str(about.get("title") or self.name)
        self.about = about
        self.resources = resources
        self._canonicals = {r["url"]: r for r in resources if type(r.get("url")) is str}

    @classmethod
    def read(cls, path: Path) -> "Package":
        """The package in a file. PackageError where it is none, or not one to trust; OSError if it cannot be read."""
        if path.stat().st_size > MAX_FILE:
            raise PackageError(f"{path.name} has more than {MAX_FILE // 1_000_000} MB; no guide is that large.")
        files = dict(_files(path))
        about = files.pop("package.json", None)
        if type(about) is not dict:
            raise PackageError(f"{path.name} has no package/package.json: it is no FHIR package.")
        package = cls(about, list(files.values()))
        if not _NAME.fullmatch(package.name) or not _VERSION.fullmatch(package.version):
            raise PackageError(f"{path.name} names itself {package.name!r} {package.version!r}, which no package may.")
        return package

    def of_type(self, resource_type: str) -> list[Mapping[str, Any]]:
        """The resources of one type."""
        return [r for r in self.resources if r["resourceType"] == resource_type]

    def definitions(self) -> list[Mapping[str, Any]]:
        """The profiles and extension definitions; definitions of types and logical models are left out."""
        return [
            d
            for d in self.of_type("StructureDefinition")
            if d.get("derivation") == "constraint" and d.get("kind") in ("resource", "complex-type", "primitive-type")
        ]

    def find(self, canonical: str) -> Resource | None:
        """The resource of this package with the canonical, without version."""
        return self._canonicals.get(canonical.partition("|")[0])


def guide(package: Package) -> dict[str, Any]:
    """The content of a Guide (profiles/guides.py). PackageError where anything in the package cannot be used."""
    versions = [str(v) for v in _listed(package.about.get("fhirVersions") or package.about.get("fhir-version-list"))]
    if not any(version.startswith("4.0") for version in versions):
        told = ", ".join(versions) or "none that it names"
        raise PackageError(f"{package.name} {package.version} is for FHIR {told}; this server speaks R4 (4.0.1).")
    definitions = package.definitions()
    if not definitions:
        raise PackageError(f"{package.name} {package.version} has no profiles and no extension definitions.")
    without = sorted(str(d.get("id") or d.get("url")) for d in definitions if not d.get("snapshot"))
    if without:
        named = ", ".join(without[:5]) + (f" and {len(without) - 5} more" if len(without) > 5 else "")
        raise PackageError(f"{package.name} {package.version} was built without snapshots: {named}.")
    _require_no_circle(package, definitions)
    try:
        tables = [table(definition) for definition in definitions]
        urls = sorted({*bindings(tables), *(str(v.get("url")) for v in package.of_type("ValueSet"))})
        value_sets = {url: made for url in urls if (made := expand(url, package.find)) is not None}
    except (DefinitionError, ExpansionError) as error:
        raise PackageError(f"{package.name} {package.version}: {error}") from error
    except (AttributeError, KeyError, TypeError, ValueError, RecursionError) as error:
        # A definition that is not shaped as R4 says meets code that relies on it.
        raise PackageError(
            f"{package.name} {package.version} has a definition that is no valid R4 resource ({error!r:.120})."
        ) from error
    return {
        "name": package.name,
        "version": package.version,
        "title": package.title,
        "profiles": tables,
        "value_sets": value_sets,
    }


def bindings(tables: Iterable[Table]) -> set[str]:
    """The value sets that profiles are bound to."""
    return {url for each in tables for url in _bound(each["rules"])}


def _bound(rule: Table) -> Iterator[str]:
    if "binding" in rule:
        yield rule["binding"][1]
    if "most" in rule:
        yield rule["most"]
    for below in (*rule.get("children", ()), *rule.get("slices", ())):
        yield from _bound(below)


def _require_no_circle(package: Package, definitions: list[Mapping[str, Any]]) -> None:
    for definition in definitions:
        seen: list[str] = []
        at: Mapping[str, Any] | None = definition
        while at is not None:
            url = str(at.get("url"))
            if url in seen:
                raise PackageError(f"{package.name} {package.version}: the profile {url} is based on itself.")
            seen.append(url)
            at = package.find(str(at.get("baseDefinition", "")))


def _files(path: Path) -> Iterator[tuple[str, Any]]:
    """The JSON resources directly in `package/`, and package.json, by file name."""
    total = read = 0
    try:
        with gzip.open(path) as stream, tarfile.open(fileobj=_capped(stream), mode="r|") as archive:
            for number, member in enumerate(archive):
                _require_harmless(path, member, number)
                total += member.size
                if total > MAX_CONTENT:
                    raise PackageError(f"{path.name} unpacks to more than {MAX_CONTENT // 1_000_000} MB.")
                folder, _, name = member.name.removeprefix("./").partition("/")
                if folder == "package" and member.isfile() and _wanted(name):
                    read += member.size
                    if read > MAX_READ:
                        raise PackageError(f"{path.name} has more than {MAX_READ // 1_000_000} MB of definitions.")
                    content = archive.extractfile(member)
                    yield name, _parsed(path, name, content.read() if content else b"")
    except (tarfile.TarError, gzip.BadGzipFile, zlib.error, EOFError) as error:
        raise PackageError(f"{path.name} is no gzipped tar archive, or is damaged ({error}).") from error


def _capped(stream: gzip.GzipFile) -> IO[bytes]:
    return stream  # type: ignore[return-value]  # GzipFile reads bytes; its stub does not say IO


def _wanted(name: str) -> bool:
    return name == "package.json" or ("/" not in name and name.endswith(".json") and name.startswith(_TYPES))


def _require_harmless(path: Path, member: tarfile.TarInfo, number: int) -> None:
    if number >= MAX_MEMBERS:
        raise PackageError(f"{path.name} holds more than {MAX_MEMBERS} files.")
    if member.name.startswith("/") or ".." in member.name.split("/") or "\\" in member.name:
        raise PackageError(f"{path.name} holds a file that would lie outside of it: {member.name[:100]!r}.")
    if not (member.isfile() or member.isdir()):
        raise PackageError(f"{path.name} holds a link or a device: {member.name[:100]!r}.")
    if member.size > MAX_MEMBER:
        raise PackageError(
            f"{path.name} holds a file of more than {MAX_MEMBER // 1_000_000} MB: {member.name[:100]!r}."
        )


def _parsed(path: Path, name: str, content: bytes) -> Any:
    try:
        parsed = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise PackageError(f"{path.name}: {name} is no JSON ({error}).") from error
    if type(parsed) is not dict or (name != "package.json" and type(parsed.get("resourceType")) is not str):
        raise PackageError(f"{path.name}: {name} is no FHIR resource.")
    return parsed


def _listed(value: Any) -> list[Any]:
    return value if type(value) is list else []
