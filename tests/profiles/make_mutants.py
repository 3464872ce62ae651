"""Makes the corpus of mutants: each seed broken in one way, by what the profile's snapshot says of each element.

    python -m tests.profiles.make_mutants --definitions R4.whl --packages FOLDER

It reads snapshots, not the tables that the checker follows, so that a rule lost on the way from one to the other shows.
What is written (mutants/*.json) is committed, looked over, and what the tests read.
"""

import argparse
import json
from collections.abc import Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any

from tools.definitions.package import load
from tools.profiles.packages import Sources

HERE = Path(__file__).parent
SEEDS, MUTANTS = HERE / "seeds", HERE / "mutants"

Place = tuple[str | int, ...]
"""Members and positions that lead from the resource to a value."""

FOREIGN = {"system": "https://example.org/codes", "code": "no-such-code"}

EXTRA = HERE / "mutants_by_hand.json"
"""What no element's definition says by itself: constraints, order, places of extensions."""


def mutants(definition: dict[str, Any], resource: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Each way to break the resource: `{name, edit: [place, value or null], expected: [severity, place]}`."""
    by_id = {element["id"]: element for element in definition["snapshot"]["element"]}
    for name, element in by_id.items():
        if ":" in name:
            continue
        for place in _places(resource, name.split(".")[1:]):
            yield from _broken(name, element, by_id, resource, place)


def _broken(
    name: str, element: dict[str, Any], by_id: dict[str, Any], resource: dict[str, Any], place: Place
) -> Iterator[dict[str, Any]]:
    value = _at(resource, place)
    last = place[-1] if place else ""
    first = isinstance(last, str) or last == 0
    if element["min"] > 0 and place and first:
        gone = place if isinstance(last, str) else place[:-1]
        if len(_at(resource, gone[:-1])) == 1:
            # Nothing would be left of what holds it: another breach.
            return
        yield _mutant(f"{name} is missing", gone, None, "error", _expression(name, gone))
    if element["max"] == "1" and element["base"]["max"] == "*" and last == 0:
        twice = [*_at(resource, place[:-1]), value]
        yield _mutant(f"{name} twice", place[:-1], twice, "error", _expression(name, place[:-1]))
    for member, wanted in element.items():
        if member.startswith(("fixed", "pattern")) and place and isinstance(wanted, str | bool):
            other: Any = not wanted if isinstance(wanted, bool) else _another(element, wanted)
            yield _mutant(f"{name} is not {wanted}", place, other, "error", _expression(name, place))
    if element.get("binding", {}).get("strength") == "required" and place:
        changed = _miscoded(value)
        if changed is not None and not any(m.startswith(("fixed", "pattern")) for m in element):
            yield _mutant(
                f"{name} has a code that is not in the value set", place, changed, "error", _expression(name, place)
            )
    targets = [url for entry in element.get("type", ()) for url in entry.get("targetProfile", ())]
    own = definition_targets(by_id, name)
    if targets and own and place and isinstance(value, dict) and "reference" in value:
        at = (*place, "reference")
        yield _mutant(
            f"{name} refers to another type", at, "Substance/1", "error", _expression(f"{name}.reference", at)
        )


def definition_targets(by_id: dict[str, Any], name: str) -> bool:
    """Whether the profile narrows where the references lead; R4's own targets only cost a warning."""
    urls = [u for entry in by_id[name].get("type", ()) for u in entry.get("targetProfile", ())]
    return any(not url.startswith("http://hl7.org/fhir/StructureDefinition/") for url in urls) and not any(
        url.endswith("/Resource") for url in urls
    )


def _another(element: dict[str, Any], wanted: str) -> str:
    return {"completed": "not-done", "not-done": "completed", "person": "animal", "collection": "batch"}.get(
        wanted, wanted + "x"
    )


def _miscoded(value: Any) -> Any:
    if isinstance(value, str):
        return "no-such-code"
    if isinstance(value, dict) and "coding" in value:
        return {**value, "coding": [FOREIGN]}
    return value | FOREIGN if isinstance(value, dict) and "code" in value else None


def _mutant(name: str, place: Place, value: Any, severity: str, expression: str) -> dict[str, Any]:
    return {"name": name, "edit": [list(place), value], "expected": [severity, expression]}


def _expression(name: str, place: Place) -> str:
    """The FHIRPath of a place: names of choices are those of the element, not of the JSON member."""
    words = [word.removesuffix("[x]") for word in name.split(".")]
    told, names = words[0], iter(words[1:])
    for step in place:
        told += f"[{step}]" if isinstance(step, int) else f".{next(names)}"
    return told


def _places(value: Any, names: list[str], so_far: Place = ()) -> Iterator[Place]:
    """Every place an element of these names has a value."""
    if not names:
        yield so_far
        return
    name = names[0]
    members = [name]
    if name.endswith("[x]") and isinstance(value, dict):
        stem = name.removesuffix("[x]")
        members = [m for m in value if m.startswith(stem) and m[len(stem) : len(stem) + 1].isupper()]
    for member in members:
        found = value.get(member) if isinstance(value, dict) else None
        if isinstance(found, list):
            for number, one in enumerate(found):
                yield from _places(one, names[1:], (*so_far, member, number))
        elif found is not None:
            yield from _places(found, names[1:], (*so_far, member))


def _at(value: Any, place: Place) -> Any:
    for step in place:
        value = value[step]
    return value


def edited(resource: dict[str, Any], place: list[str | int], value: Any) -> dict[str, Any]:
    """The resource with the value at the place, or without what was there (None); arrays left empty go too."""
    made = deepcopy(resource)
    holder = _at(made, tuple(place[:-1]))
    if value is None:
        del holder[place[-1]]
        while place[:-1] and _at(made, tuple(place[:-1])) in ({}, []):
            place = place[:-1]
            del _at(made, tuple(place[:-1]))[place[-1]]
    elif isinstance(holder, list) and place[-1] == len(holder):
        holder.append(value)
    else:
        holder[place[-1]] = value
    return made


def main() -> None:
    """Writes the corpus."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--definitions", type=Path, required=True)
    parser.add_argument("--packages", type=Path, required=True)
    arguments = parser.parse_args()
    sources = Sources(load(arguments.definitions), arguments.packages)
    for source in sources.all():
        # Hand-made guides get their snapshots on the way.
        assert source.name
    by_hand = json.loads(EXTRA.read_text())
    MUTANTS.mkdir(exist_ok=True)
    for path in sorted(SEEDS.glob("*.json")):
        seed = json.loads(path.read_text())
        corpus = {}
        for url in seed["profiles"]:
            definition = sources.find(url.replace("/us/immds/", "/uv/immds/"))
            assert definition is not None, url
            corpus[url] = [*mutants(dict(definition), seed["resource"]), *by_hand.get(path.stem, ())]
        (MUTANTS / path.name).write_text(json.dumps(corpus, indent=1, ensure_ascii=False) + "\n")
        print(path.name, {url.rpartition("|")[2][-12:]: len(found) for url, found in corpus.items()})


if __name__ == "__main__":
    main()
