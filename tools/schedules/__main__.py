"""Writes the schedules and the observations they ask for, or checks that the committed ones are up to date.

https://www.cdc.gov/iis/cdsi/index.html

    python -m tools.schedules FOLDER [--check]

FOLDER holds CDC's supporting data (fhir_server/domain/data/schedules/SOURCES.md). The same input gives the same bytes.
"""

import argparse
import hashlib
import json
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from tools.schedules import antigen, observations
from tools.schedules.editions import EDITIONS, SCHEDULE, Edition

AUTHORITY = "CDC-ACIP"
DISEASE = "COVID-19"
SCHEDULES = Path("fhir_server/domain/data/schedules")
OBSERVATIONS = Path("fhir_server/operations/data/observations.json")
OBSERVATION_CODES = Path("fhir_server/operations/data/codesystems/cdsi-observation.json")


def generate(folder: Path) -> dict[Path, bytes]:
    """Every committed file's path from the project root and its bytes. OSError where a source is missing."""
    general = _parse(folder / SCHEDULE)
    made = {edition.version: _schedule(folder, edition, general) for edition in EDITIONS}
    files = {SCHEDULES / f"covid-19-{version}.json": _dump(found) for version, found in made.items()}
    files[OBSERVATIONS] = _dump(observations.table(general, made.values()))
    files[OBSERVATION_CODES] = _dump(observations.code_system(general, made.values()))
    hashes = {name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in _sources()}
    hashes |= {path.name: hashlib.sha256(data).hexdigest() for path, data in files.items()}
    files[SCHEDULES / "hashes.json"] = _dump(dict(sorted(hashes.items())))
    return files


def _schedule(folder: Path, edition: Edition, general: ElementTree.Element) -> dict[str, Any]:
    root = _parse(folder / edition.source)
    vaccines = _vaccines(general)
    return {
        "authority": AUTHORITY,
        "disease": DISEASE,
        "version": edition.version,
        **({"edition": edition.edition} if edition.edition else {}),
        "in_force": {"from": edition.starts, "to": edition.ends},
        "vaccines": vaccines,
        "unspecified": _unspecified(general, set(vaccines)),
        "conflicts": _conflicts(general, set(vaccines)),
        "contraindications": antigen.contraindications(root),
        "immunity": antigen.immunity(root),
        "series": antigen.series(root),
    }


def _vaccines(general: ElementTree.Element) -> list[str]:
    """The CVX codes that hold the antigen."""
    return [
        antigen.text(row, "cvx")
        for row in general.iterfind("cvxToAntigenMap/cvxMap")
        if any(antigen.text(one, "antigen") == DISEASE for one in row.iterfind("association"))
    ]


def _unspecified(general: ElementTree.Element, vaccines: set[str]) -> list[str]:
    """Those of the codes that name no product."""
    return [
        antigen.text(row, "cvx")
        for row in general.iterfind("cvxToAntigenMap/cvxMap")
        if antigen.text(row, "cvx") in vaccines
        and {"unspecified", "unknown"} & set(antigen.text(row, "shortDescription").lower().replace(",", " ").split())
    ]


def _conflicts(general: ElementTree.Element, vaccines: set[str]) -> list[dict[str, str]]:
    """Products that must not follow another one closely, where the later one is of this antigen."""
    return [
        {
            "previous": antigen.text(row, "previous/cvx"),
            "current": antigen.text(row, "current/cvx"),
            "begin": antigen.text(row, "conflictBeginInterval"),
            "minimum_end": antigen.text(row, "minConflictEndInterval"),
            "end": antigen.text(row, "conflictEndInterval"),
        }
        for row in general.iterfind("liveVirusConflicts/liveVirusConflict")
        if antigen.text(row, "current/cvx") in vaccines
    ]


def _parse(path: Path) -> ElementTree.Element:
    return ElementTree.fromstring(path.read_bytes())  # noqa: S314  # CDC's files, named one by one by the developer


def _sources() -> list[str]:
    return [SCHEDULE, *(edition.source for edition in EDITIONS)]


def _dump(value: dict[str, Any]) -> bytes:
    """A line for each member and each element of its lists, so that a change can be read."""
    lines = []
    for name, member in value.items():
        if isinstance(member, list) and any(isinstance(row, dict) for row in member):
            rows = ",\n".join(_line(row) for row in member)
            lines.append(f"{_line(name)}:[\n{rows}]")
        else:
            lines.append(f"{_line(name)}:{_line(member)}")
    return ("{\n" + ",\n".join(lines) + "\n}\n").encode()


def _line(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def main() -> int:
    """Runs from the project root; returns 1 if `--check` finds a file out of date."""
    parser = argparse.ArgumentParser(prog="python -m tools.schedules", description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--check", action="store_true", help="write nothing, exit 1 if a committed file is outdated")
    arguments = parser.parse_args()
    files = generate(arguments.folder)
    stale = [path for path, data in files.items() if not path.is_file() or path.read_bytes() != data]
    for path in stale:
        if not arguments.check:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(files[path])
        print(f"{'outdated' if arguments.check else 'written'} {path}")
    return 1 if arguments.check and stale else 0


if __name__ == "__main__":
    raise SystemExit(main())
