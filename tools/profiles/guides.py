"""Guides: each source as the one table that profiles/guides.py reads, and our own profiles as whole resources.

https://hl7.org/fhir/R4/structuredefinition.html
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from profiles.expansions import expand
from profiles.package import bindings
from profiles.snapshot import Table, table
from tools.definitions.bindings import PATH as EXTENSIBLE
from tools.definitions.table import content as unpacked
from tools.definitions.table import packed
from tools.profiles.packages import OURS, Sources

TABLES = Path("profiles/data/guides")
PUBLISHED = Path("fhir_server/operations/data/profiles")


def generate(sources: Sources) -> dict[Path, bytes]:
    """Every committed file's path from the project root and its bytes."""
    made: dict[Path, bytes] = {}
    for number, source in enumerate(sources.all()):
        tables = [table(definition) for definition in source.definitions]
        tables += [kept for definition in source.types if (kept := _narrowed(table(definition))) is not None]
        wanted = {*bindings(tables), *(v["url"] for v in source.value_sets), *(_base_bindings() if not number else ())}
        content = {
            "name": source.name,
            "version": source.version,
            "title": source.title,
            "aliases": source.aliases,
            "profiles": tables,
            "value_sets": dict(_expansions(sorted(wanted), sources)),
        }
        made[TABLES / f"{number}-{source.name}-{source.version}.json.gz"] = packed(_plain(content))
        if source.name == OURS:
            made |= {PUBLISHED / f"{d['id']}.json": _written(d) for d in source.definitions}
    return made


def _expansions(urls: Iterable[str], sources: Sources) -> Iterator[tuple[str, Any]]:
    for url in urls:
        expansion = expand(url, sources.find)
        if expansion is not None:
            yield url, expansion


def _narrowed(made: Table) -> Table | None:
    """Of a table of R4's own type what structure does not check: profiles of datatypes, such as SimpleQuantity."""
    rules = _only_profiles(made["rules"])
    return {**made, "rules": rules} if rules is not None else None


def _only_profiles(rule: Table) -> Table | None:
    children = [kept for each in rule.get("children", ()) if (kept := _only_profiles(each)) is not None]
    kept = {name: value for name, value in rule.items() if name in ("name", "profiles")}
    if children:
        kept["children"] = children
    return kept if len(kept) > 1 else None


def _base_bindings() -> set[str]:
    """Value sets that R4's own elements are bound to as extensible."""
    bound: dict[str, dict[str, str]] = json.loads(unpacked(EXTENSIBLE.read_bytes()))
    return {url for names in bound.values() for url in names.values()}


def _written(definition: Mapping[str, Any]) -> bytes:
    return (json.dumps(_plain(definition), indent=1, ensure_ascii=False) + "\n").encode()


def _plain(value: Any) -> Any:
    """The same JSON value with numbers that json can write; the definitions are read with exact ones."""
    return json.loads(json.dumps(value, default=float))
