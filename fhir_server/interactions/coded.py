"""Coded: the codes that `:in`, `:not-in`, `:above` and `:below` stand for.

https://hl7.org/fhir/R4/search.html#modifiers
"""

from collections.abc import Iterable
from dataclasses import replace

from fhir_server.caller import Caller, Predicate, to
from fhir_server.context import Context
from fhir_server.fhir import json, references
from fhir_server.fhir.coded import VALUE_SETS, Coded
from fhir_server.fhir.condition import Condition
from fhir_server.fhir.outcome import refuse
from fhir_server.interactions.terminology import holding, refusal
from terminology import value_set
from terminology.errors import TerminologyError, TooCostlyError, UnknownSystemError, UnknownValueSetError
from terminology.library import Terminology
from terminology.systems import spellings
from terminology.value_set import Part, ValueSet

CODES = 1_000
"""Codes a search may ask for by one parameter."""

Code = tuple[str, str | None]


async def resolve(context: Context, caller: Caller, predicate: Predicate, link: Coded) -> Condition:
    """The condition it comes to.

    FhirError 400 naming the value set or code system that is not known, or cannot be listed here; `too-costly` for more
    than 1,000 codes.
    """
    predicate = to(predicate, "r")
    codes: dict[Code, None] = {}
    if link.modifier in VALUE_SETS:
        for canonical in link.values:
            held, chosen = await _value_set(context, caller, predicate, link, canonical)
            try:
                codes |= dict.fromkeys(_members(held, chosen))
            except TerminologyError as error:
                told = type(error)(f"the value set {canonical} cannot be searched by: {error}")
                raise refusal(told, link.name, status=400) from None
    else:
        asked = link.tokens()
        held = await holding(context, caller, predicate, [("CodeSystem", system) for system, _ in asked])
        for system, code in asked:
            codes |= dict.fromkeys(_around(held, link, system, code))
    if len(codes) > CODES:
        text = f"{link.name} asks for {len(codes):,} codes; at most {CODES:,} can be searched for at once."
        raise refuse(400, "too-costly", "expansion-too-large", text, link.name)
    return link.condition((spelt, code) for system, code in codes for spelt in spellings(system))


async def _value_set(
    context: Context, caller: Caller, predicate: Predicate, link: Coded, canonical: str
) -> tuple[Terminology, ValueSet]:
    """The value set of that canonical, or the one at that address on this server."""
    found = references.local(references.normalise(canonical, context.settings.base))
    if found is not None and found.type == "ValueSet":
        rows = await context.store.read_many(caller, predicate, [("ValueSet", found.id)])
        resources = [json.parse(row.raw) for row in rows if row.raw is not None]
        held = await holding(context, caller, predicate, [], resources)
        if resources:
            return held, value_set.of_resource(resources[0])
    else:
        held = await holding(context, caller, predicate, [("ValueSet", canonical)])
        chosen = held.value_set(canonical)
        if chosen is not None and held.holds_value_set(canonical):
            return held, chosen
    raise refusal(UnknownValueSetError(f"the value set '{canonical}' is not known here"), link.name, status=400)


def _members(held: Terminology, chosen: ValueSet) -> Iterable[Code]:
    """Every code, but a whole code system as one: its codes need not be known then."""
    whole = [part for part in chosen.include if _is_whole(part)] if not chosen.exclude and chosen.inactive else []
    rest = tuple(part for part in chosen.include if part not in whole)
    codes: list[Code] = [(held.preferred(part.system), None) for part in whole]
    if rest:
        expanded = held.expand(chosen if not whole else replace(chosen, include=rest))
        if expanded.missing:
            raise UnknownSystemError(f"{expanded.missing[0]} is not held here")
        codes += [(system, code) for system, code in expanded.entries]
    if len(codes) > CODES:
        raise TooCostlyError(f"it has {len(codes):,} codes, and at most {CODES:,} can be searched for at once")
    return codes


def _is_whole(part: Part) -> bool:
    return bool(part.system) and part.concepts is None and not part.filters and not part.value_sets


def _around(held: Terminology, link: Coded, system: str, code: str) -> Iterable[Code]:
    """The code itself, and all above or below it."""
    found = held.code_system(system)
    if found is None:
        told = UnknownSystemError(f"the code system '{system}' is not known here, so nothing is known above and below")
        raise refusal(told, link.name, status=400)
    concept = found.find(code)
    if concept is None:
        return [(held.preferred(system), code)]
    others = found.descendants(concept.code) if link.modifier == "below" else found.ancestors(concept.code)
    return [(found.url, each) for each in (concept.code, *sorted(others))]
