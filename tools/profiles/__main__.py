"""Writes the tables of the shipped guides and our own profiles, or checks that the committed ones are up to date.

https://hl7.org/fhir/R4/profiling.html
"""

import argparse
import hashlib
import json
from pathlib import Path

from tools.definitions.__main__ import outdated
from tools.definitions.package import Package, find, load
from tools.profiles import guides
from tools.profiles.packages import Sources

MANIFEST = guides.TABLES / "manifest.json"


def generate(r4: Package, folder: Path) -> dict[Path, bytes]:
    """Every committed file, with the manifest that names the packages and their SHA-256."""
    sources = Sources(r4, folder)
    made = guides.generate(sources)
    hashes = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(folder.glob("*.tgz"))}
    about = {
        "packages": [
            {"package": p.name, "version": p.version, "sha256": hashes[path], "licence": "CC0-1.0"}
            for p, path in zip(sources.packages, hashes, strict=True)
        ],
        "hand-made": "tools/profiles/sources",
    }
    return {**made, MANIFEST: (json.dumps(about, indent=2) + "\n").encode()}


def main() -> int:
    """Runs from the project root; returns 1 if `--check` finds a file out of date."""
    parser = argparse.ArgumentParser(prog="python -m tools.profiles", description=__doc__)
    parser.add_argument("--definitions", type=Path, help="the R4 definitions (wheel or .tgz); by default .definitions/")
    parser.add_argument("--packages", type=Path, default=Path(".definitions/guides"), help="folder of guides' .tgz")
    parser.add_argument("--check", action="store_true", help="write nothing, exit 1 if a committed file is outdated")
    arguments = parser.parse_args()
    r4 = arguments.definitions or find()
    if r4 is None or not any(arguments.packages.glob("*.tgz")):
        parser.error("run python -m tools.definitions once, and put US Core 6.1.0 and 8.0.0 (.tgz) into --packages")
    files = generate(load(r4), arguments.packages)
    stale = outdated(files)
    verb = "outdated" if arguments.check else "written"
    for path in stale:
        if not arguments.check:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(files[path])
        print(f"{verb} {path}")
    print(f"{len(files)} files, {len(stale)} {verb}")
    return 1 if arguments.check and stale else 0


if __name__ == "__main__":
    raise SystemExit(main())
