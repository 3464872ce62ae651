"""Manifest: which package the committed tables came from.

https://hl7.org/fhir/R4/downloads.html
"""

import json
from pathlib import Path

from tools.definitions.package import DISTRIBUTION, Package

PATH = Path("profiles/data/manifest.json")


def generate(package: Package) -> dict[Path, bytes]:
    """The package's name, version and SHA-256, readable as it stands."""
    about = {
        "package": package.name,
        "version": package.version,
        "sha256": package.sha256,
        "distribution": DISTRIBUTION,
        "licence": "CC0-1.0",
    }
    return {PATH: (json.dumps(about, indent=2) + "\n").encode()}
