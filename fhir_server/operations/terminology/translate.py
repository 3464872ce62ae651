"""$translate: what a code corresponds to in another code system.

https://hl7.org/fhir/R4/conceptmap-operation-translate.html
"""

from collections.abc import Iterable, Iterator
from typing import Any

from fhir_server.fhir import json
from fhir_server.fhir.outcome import refuse
from fhir_server.interactions.reply import Reply
from fhir_server.interactions.terminology import holding, maps_from, refusal
from fhir_server.operations.registry import Call
from fhir_server.operations.terminology.asked import Coded, Resource, coded, language, subject
from fhir_server.operations.terminology.sentences import sentence
from terminology import concept_map, membership, translation
from terminology.concept_map import MATCHING, ConceptMap, Target
from terminology.errors import TerminologyError, UnknownConceptMapError
from terminology.hl7 import Type
from terminology.library import Terminology
from terminology.translation import Match


async def translate(call: Call) -> Reply:
    """200 with `result` and every `match`; `result` is false where nothing corresponds.

    FhirError 404 for a concept map that is not known, 400 where the code or its system is missing.
    """
    arguments = call.arguments
    resource, canonical = await subject(call, "ConceptMap", "conceptMap", "conceptMapVersion")
    asked = coded(call)
    for each in asked:
        if not each.system:
            text = "The code system of the code is missing: 'system' beside 'code', or in the coding."
            raise refuse(400, "required", "missing-parameter", text, "system" if each.place == "code" else each.place)
    held, maps = await _maps(call, resource, canonical, asked)
    target = arguments.text("target")
    found = [
        match
        for each in asked
        for match in translation.translate(
            held,
            maps,
            each.system,
            each.code,
            target_system=arguments.text("targetsystem") or "",
            back=bool(arguments.one("reverse")),
        )
        if target is None or await _within(call, held, match, target)
    ]
    unique = list({(m.target.system, m.target.code, m.target.equivalence, m.source): m for m in found}.values())
    return Reply(200, _answer(call, held, asked, bool(maps), unique))


async def _maps(
    call: Call, resource: Resource | None, canonical: str, asked: Iterable[Coded]
) -> tuple[Terminology, list[ConceptMap]]:
    """The map that is asked for, or all that name a code system asked about."""
    context, caller, predicate = call.context, call.caller, call.predicate
    wanted: list[tuple[Type, str]] = [("ConceptMap", canonical)] if canonical else []
    given = [resource] if resource is not None else []
    if not canonical and resource is None:
        stored = [
            each
            for system in dict.fromkeys(c.system for c in asked)
            for each in await maps_from(context, caller, predicate, system)
        ]
        held = await holding(context, caller, predicate, [], stored)
        source = call.arguments.text("source")
        return held, [each for each in held.maps() if source is None or each.source.partition("|")[0] == source]
    held = await holding(context, caller, predicate, wanted, given)
    if resource is not None:
        mapping = concept_map.of_resource(resource)
        # Published without its correspondences, which are in memory.
        kept = held.concept_map(mapping.canonical) if not mapping.groups else None
        return held, [kept or mapping]
    found = held.concept_map(canonical)
    if found is None or not held.holds_concept_map(canonical):
        raise refusal(UnknownConceptMapError(f"the concept map '{canonical}' is not known here"), "url")
    return held, [found]


async def _within(call: Call, held: Terminology, match: Match, target: str) -> bool:
    """Whether a match is in the target value set: its map says so, or the value set does."""
    mapping = held.concept_map(match.source)
    if mapping is not None and mapping.target.partition("|")[0] == target.partition("|")[0]:
        return True
    known = await holding(call.context, call.caller, call.predicate, [("ValueSet", target)])
    chosen = known.value_set(target)
    if chosen is None or not match.target.code:
        return False
    try:
        return membership.member(known, chosen, match.target.system, match.target.code).known is True
    except TerminologyError as error:
        raise refusal(error, "target") from None


def _answer(call: Call, held: Terminology, asked: list[Coded], mapped: bool, found: list[Match]) -> bytes:
    result = any(match.target.equivalence in MATCHING for match in found)
    parts: list[dict[str, Any]] = [{"name": "result", "valueBoolean": result}]
    if not result:
        first = asked[0] if asked else Coded("", "", "", "", "")
        name = "no-match" if mapped and asked else "no-map"
        text = sentence(name, call.language, code=first.code, system=first.system)
        parts.append({"name": "message", "valueString": text})
    parts += ({"name": "match", "part": list(_match(call, held, match))} for match in found)
    return json.dump({"resourceType": "Parameters", "parameter": parts})


def _match(call: Call, held: Terminology, match: Match) -> Iterator[dict[str, Any]]:
    target = match.target
    yield {"name": "equivalence", "valueCode": target.equivalence}
    if target.code:
        yield {"name": "concept", "valueCoding": _coding(call, held, target)}
    for each in target.product:
        coding = {"system": each.get("system"), "code": each.get("value"), "display": each.get("display")}
        concept = {name: value for name, value in coding.items() if value is not None}
        part = [{"name": "element", "valueUri": each.get("property")}, {"name": "concept", "valueCoding": concept}]
        yield {"name": "product", "part": part}
    if match.source:
        yield {"name": "source", "valueUri": match.source}


def _coding(call: Call, held: Terminology, target: Target) -> dict[str, Any]:
    system = held.code_system(target.system) if target.system else None
    concept = system.find(target.code) if system is not None else None
    display = concept.named(language(call)) if concept is not None else target.display
    coding = {"system": target.system, "code": target.code, "display": display}
    return {name: value for name, value in coding.items() if value}
