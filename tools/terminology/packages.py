"""Packages: the terminology resources inside the npm archives of implementation guides.

https://confluence.hl7.org/display/FHIR/NPM+Package+Specification
"""

import json
import tarfile
from pathlib import Path
from typing import Any

GUIDES = ("us_core_610.tgz", "us_core_800.tgz")
"""In this order: of a canonical without a version the first one counts."""

TYPES = ("CodeSystem", "ValueSet", "ConceptMap")


def load(path: Path) -> list[dict[str, Any]]:
    """The code systems, value sets and concept maps of a package, sorted by file name. OSError without it."""
    found = {}
    with tarfile.open(path) as archive:
        for member in archive:
            folder, _, name = member.name.partition("/")
            if folder == "package" and name.startswith(TYPES) and name.endswith(".json"):
                content = archive.extractfile(member)
                if content is not None:
                    found[name] = json.loads(content.read())
    return [found[name] for name in sorted(found)]
