"""Includes: what the resources of a page refer to, and what refers to them.

https://hl7.org/fhir/R4/search.html#include
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cache
from types import MappingProxyType

from fhir_server.caller import Caller, Predicate, reaches
from fhir_server.context import Context
from fhir_server.fhir import index, json
from fhir_server.fhir.condition import SEPARATOR, Keys
from fhir_server.fhir.outcome import refuse
from fhir_server.fhir.params import parameters
from fhir_server.fhir.references import local
from fhir_server.fhir.results import Include
from fhir_server.store.records import Selection, Stored
from profiles.definitions import RESOURCE_TYPES

_ROUNDS = 3
"""How often `:iterate` goes on from what was added."""
_MOST = 1_000
"""Resources that may be included in one page."""
_AT_ONCE = 100
"""Keys asked for at a time."""


async def follow(
    context: Context, caller: Caller, predicate: Predicate, includes: Sequence[Include], rows: Sequence[Stored]
) -> list[Stored]:
    """The included resources, each once, none that is a match. FhirError 400 `too-costly` beyond 1,000."""
    seen = {(row.type, row.id) for row in rows}
    added: list[Stored] = []
    fresh: Sequence[Stored] = rows
    for round_ in range(_ROUNDS):
        asked = [include for include in includes if round_ == 0 or include.iterate]
        found = await _round(context, caller, predicate, asked, fresh) if asked and fresh else []
        fresh = [row for row in {(row.type, row.id): row for row in found}.values() if (row.type, row.id) not in seen]
        seen |= {(row.type, row.id) for row in fresh}
        added += fresh
        if len(added) > _MOST:
            text = f"More than {_MOST:,} resources would be included; ask for a smaller page (_count)."
            raise refuse(400, "too-costly", "too-many-included", text, "_include")
    return added


async def _round(
    context: Context, caller: Caller, predicate: Predicate, includes: Sequence[Include], rows: Sequence[Stored]
) -> list[Stored]:
    wanted = {target for row in rows for target in _targets(context, row, includes)}
    found = await context.store.read_many(caller, predicate, sorted(wanted)) if wanted else []
    for include in includes:
        if include.reverse:
            for source in _sources(include, rows, predicate):
                found += await _referring(context, caller, predicate, replace(include, source=source), rows)
    return found


def _sources(include: Include, rows: Sequence[Stored], predicate: Predicate) -> Iterable[str]:
    """The types whose resources may refer to the rows: the one asked for, for `*` all that have a way to and that the
    caller may search."""
    if include.source != "*":
        return (include.source,)
    sources = {source for kind in {row.type for row in rows} for source in referring(kind)}
    return sorted(source for source in sources if reaches(predicate, "s", source))


@cache
def referring(target: str) -> Mapping[str, tuple[str, ...]]:
    """Resource type -> the names of its parameters by which it may refer to resources of the type `target`."""
    found = {}
    for source in RESOURCE_TYPES:
        known = parameters(source).values()
        names = tuple(each.name for each in known if each.type == "reference" and target in (each.targets or (target,)))
        if names:
            found[source] = names
    return MappingProxyType(found)


def _targets(context: Context, row: Stored, includes: Sequence[Include]) -> Iterator[tuple[str, str]]:
    """(type, id) of what a row refers to by the parameters asked for."""
    asked = [include for include in includes if not include.reverse and include.source in (row.type, "*")]
    if not asked or row.raw is None:
        return
    keys = index.entries(json.parse(row.raw), context.settings.base).tk
    for include in asked:
        for label in _labels(row.type, include.parameter):
            for key in keys:
                if key.startswith(label + SEPARATOR):
                    target = local(key[len(label) + 1 :])
                    if target is not None and include.target in (None, target.type):
                        yield target.type, target.id


async def _referring(
    context: Context, caller: Caller, predicate: Predicate, include: Include, rows: Sequence[Stored]
) -> list[Stored]:
    """What refers to the rows by the parameter, of the include's source type."""
    known = parameters(include.source)
    keys = [
        f"{label}{SEPARATOR}{row.type}/{row.id}"
        for row in rows
        if include.target in (None, row.type)
        for label in sorted(_labels(include.source, include.parameter))
        if row.type in (known[label].targets or (row.type,))
    ]
    found: list[Stored] = []
    for start in range(0, len(keys), _AT_ONCE):
        where = Keys("tk", tuple(keys[start : start + _AT_ONCE]))
        page = await context.store.search(caller, predicate, Selection(include.source, where, limit=_MOST + 1))
        found += page.rows
    return found


def _labels(resource_type: str, name: str) -> set[str]:
    known = parameters(resource_type)
    if name == "*":
        return {parameter.label for parameter in known.values() if parameter.type == "reference"}
    return {known[name].label} if name in known else set()
