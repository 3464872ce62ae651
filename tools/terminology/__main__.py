"""Writes the terminology tables from their sources, or checks that the committed ones are up to date.

https://hl7.org/fhir/R4/terminology-module.html

    python -m tools.terminology FOLDER [--check]

FOLDER holds terminology/ (CDC's files) and us-core/ (HL7's packages), see terminology/SOURCES.md; the R4 definitions
are found as `python -m tools.definitions` finds them. The same input gives the same bytes.
"""

import argparse
from pathlib import Path

from tools.definitions.package import fetch, find, load
from tools.definitions.table import same
from tools.terminology import cdc, hl7, packages

DATA = Path(__file__).parents[2] / "terminology" / "data"


def tables(folder: Path, definitions: Path) -> dict[str, bytes]:
    """The committed files by name. OSError where a source is missing."""
    guides = [packages.load(folder / "us-core" / name) for name in packages.GUIDES]
    return {**cdc.tables(folder / "terminology"), **hl7.tables(load(definitions), guides)}


def outdated(found: dict[str, bytes]) -> list[str]:
    """The names of committed files that are missing or hold something else."""
    return [
        name
        for name, content in found.items()
        if not (DATA / name).is_file() or not same((DATA / name).read_bytes(), content)
    ]


def main() -> int:
    """Returns 1 if `--check` finds a table out of date."""
    parser = argparse.ArgumentParser(prog="python -m tools.terminology", description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--check", action="store_true", help="write nothing, exit 1 if a committed table is outdated")
    arguments = parser.parse_args()
    found = tables(arguments.folder, find() or fetch())
    stale = outdated(found)
    for name in stale:
        if not arguments.check:
            (DATA / name).write_bytes(found[name])
        print(f"{'outdated' if arguments.check else 'written'} {name}")
    print(f"{len(found)} tables, {len(stale)} {'outdated' if arguments.check else 'written'}")
    return 1 if arguments.check and stale else 0


if __name__ == "__main__":
    raise SystemExit(main())
