"""$lookup: what a code is called and what else is said of it.

https://hl7.org/fhir/R4/codesystem-operation-lookup.html
"""

from collections.abc import Collection, Iterator
from typing import Any

from fhir_server.fhir import json
from fhir_server.fhir.outcome import refuse
from fhir_server.interactions.reply import Reply
from fhir_server.interactions.terminology import holding, refusal
from fhir_server.operations.registry import Call
from fhir_server.operations.terminology.asked import coded, day, language
from terminology.code_system import CodeSystem
from terminology.concept import Concept
from terminology.errors import UnknownCodeError, UnknownSystemError


async def lookup(call: Call) -> Reply:
    """200 with names and properties. FhirError 404 where the code system or its code is not known, 400 without one."""
    [asked] = coded(call, concepts=False)
    if not asked.system:
        text = "$lookup needs the code system: 'system' beside 'code', or 'coding' with a system."
        raise refuse(400, "required", "missing-parameter", text, "system" if asked.place == "code" else "coding")
    canonical = f"{asked.system}|{asked.version}" if asked.version else asked.system
    held = await holding(call.context, call.caller, call.predicate, [("CodeSystem", canonical)])
    system = held.code_system(canonical)
    if system is None or (asked.version and not held.holds_code_system(canonical)):
        raise refusal(UnknownSystemError(f"the code system '{canonical}' is not known here"), "system")
    concept = system.find(asked.code)
    if concept is None:
        told = "is not a code of" if system.is_complete else "is not among the codes held here of"
        raise refusal(UnknownCodeError(f"'{asked.code}' {told} {system.url}"), asked.place)
    wanted = call.arguments.all("property")
    answer = [
        {"name": "name", "valueString": system.title or system.name},
        *([{"name": "version", "valueString": system.version}] if system.version else []),
        {"name": "display", "valueString": concept.named(language(call))},
        *_designations(concept, wanted),
        *_properties(system, concept, wanted, day(call)),
    ]
    return Reply(200, json.dump({"resourceType": "Parameters", "parameter": answer}))


def _designations(concept: Concept, wanted: Collection[str]) -> Iterator[dict[str, Any]]:
    languages = {name.removeprefix("lang.") for name in wanted if name.startswith("lang.")}
    if wanted and "designation" not in wanted and not languages:
        return
    for each in concept.designations:
        if languages and each.language not in languages:
            continue
        part: list[dict[str, Any]] = [{"name": "language", "valueCode": each.language}] if each.language else []
        if each.use is not None:
            part.append({"name": "use", "valueCoding": each.use})
        yield {"name": "designation", "part": [*part, {"name": "value", "valueString": each.value}]}


def _properties(
    system: CodeSystem, concept: Concept, wanted: Collection[str], on: str | None
) -> Iterator[dict[str, Any]]:
    """`definition`, `inactive`, `parent` and `child` are told of every concept, then those of its own."""
    known: list[tuple[str, str, Any]] = []
    if concept.definition:
        known.append(("definition", "String", concept.definition))
    known.append(("inactive", "Boolean", not concept.is_active(on)))
    known += [("parent", "Code", parent) for parent in concept.parents]
    known += [("child", "Code", child) for child in system.children.get(concept.code, ())]
    told = {"inactive", "parent", "child"}
    known += [
        (each.code, each.kind[0].upper() + each.kind[1:], each.value)
        for each in concept.properties
        if each.code not in told and each.value is not None
    ]
    for code, kind, value in known:
        if not wanted or code in wanted:
            description = _description(system, code, value)
            yield {
                "name": "property",
                "part": [
                    {"name": "code", "valueCode": code},
                    {"name": "value", f"value{kind}": value},
                    *([{"name": "description", "valueString": description}] if description else []),
                ],
            }


def _description(system: CodeSystem, code: str, value: Any) -> str | None:
    """The name of the concept a property leads to."""
    other = system.find(value) if code in ("parent", "child") else None
    return other.display if other is not None else None
