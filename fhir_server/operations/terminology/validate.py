"""$validate-code: whether a code is in a code system or value set, and called right.

https://hl7.org/fhir/R4/valueset-operation-validate-code.html

https://hl7.org/fhir/R4/codesystem-operation-validate-code.html is the same for a code system. A code or its system that
is not known is an answer, not an error: `result` is false and `message` says why.
"""

from collections.abc import Iterable
from typing import NamedTuple

from fhir_server.fhir.outcome import refuse
from fhir_server.interactions.reply import Reply
from fhir_server.interactions.terminology import holding, refusal
from fhir_server.operations.registry import Call
from fhir_server.operations.terminology.asked import Coded, Resource, coded, day, language, parameters, subject
from fhir_server.operations.terminology.context import bound_value_set
from fhir_server.operations.terminology.sentences import sentence
from terminology import code_system, membership, value_set
from terminology.code_system import CodeSystem
from terminology.concept import Concept
from terminology.errors import TerminologyError, UnknownSystemError, UnknownValueSetError
from terminology.hl7 import Type
from terminology.library import Terminology
from terminology.value_set import ValueSet


class Verdict(NamedTuple):
    """`message` says why not, or what is worth knowing all the same; `display` is the name the code has."""

    result: bool
    message: str = ""
    display: str = ""


async def in_code_system(call: Call) -> Reply:
    """200 with `result`. FhirError 404 for a code system that is not known, 400 where none is named."""
    resource, canonical = await subject(call, "CodeSystem", "codeSystem", "version")
    given = call.arguments.one("codeableConcept") is None
    asked = coded(call, system="url") if call.id is None else coded(call)
    if not canonical and resource is None and given:
        # The coding itself says of which code system it is.
        canonical = asked[0].system
    if not canonical and resource is None:
        text = "The code system is missing: 'url', 'codeSystem', or 'coding' with a system."
        raise refuse(400, "required", "missing-parameter", text, "url")
    given_resources = [resource] if resource is not None else []
    wanted: list[tuple[Type, str]] = [("CodeSystem", canonical)] if canonical else []
    held = await holding(call.context, call.caller, call.predicate, wanted, given_resources)
    system = _system(held, resource, canonical)
    verdicts = [_of_system(call, held, system, each) for each in asked]
    return _reply(verdicts, sentence("no-coding", call.language))


async def in_value_set(call: Call) -> Reply:
    """200 with `result`. FhirError 404 for a value set that is not known, 400 where none is named, 422 where it is
    cyclic or composed in a way not served here."""
    resource, canonical = await subject(call, "ValueSet", "valueSet", "valueSetVersion")
    if not canonical and resource is None:
        canonical = bound_value_set(call)
    asked = coded(call, version="systemVersion")
    given = [resource] if resource is not None else []
    held = await holding(call.context, call.caller, call.predicate, [("ValueSet", canonical)], given)
    chosen = _value_set(held, resource, canonical)
    try:
        verdicts = [_of_value_set(call, held, chosen, each) for each in asked]
    except TerminologyError as error:
        raise refusal(error, "url") from None
    return _reply(verdicts, sentence("no-coding", call.language))


def _reply(verdicts: Iterable[Verdict], nothing: str) -> Reply:
    """One coding that is right is enough."""
    found = list(verdicts) or [Verdict(False, nothing)]
    best = next((each for each in found if each.result), found[0])
    message = best.message if best.result else " ".join(dict.fromkeys(each.message for each in found))
    told = (("result", "Boolean", best.result), ("message", "String", message), ("display", "String", best.display))
    return Reply(200, parameters(*told))


def _system(held: Terminology, resource: Resource | None, canonical: str) -> CodeSystem:
    if resource is not None:
        kept = held.code_system(f"{resource.get('url', '')}|{resource.get('version', '')}")
        # Published without its codes, which are in memory.
        return kept if kept is not None and "concept" not in resource else code_system.of_resource(resource)
    found = held.code_system(canonical)
    if found is None or not held.holds_code_system(canonical):
        raise refusal(UnknownSystemError(f"the code system '{canonical}' is not known here"), "url")
    return found


def _value_set(held: Terminology, resource: Resource | None, canonical: str) -> ValueSet:
    if resource is not None:
        return value_set.of_resource(resource)
    found = held.value_set(canonical)
    if found is None or not held.holds_value_set(canonical):
        raise refusal(UnknownValueSetError(f"the value set '{canonical}' is not known here"), "url")
    return found


def _of_system(call: Call, held: Terminology, system: CodeSystem, asked: Coded) -> Verdict:
    language_of_message = call.language
    if asked.system and asked.place != "code" and held.preferred(asked.system) != held.preferred(system.url):
        return Verdict(False, sentence("other-system", language_of_message, system=asked.system, expected=system.url))
    if asked.place != "code" and asked.version and asked.version != system.version:
        told = f"{asked.system}|{asked.version}"
        return Verdict(False, sentence("unknown-system", language_of_message, system=told))
    concept = system.find(asked.code) if asked.code else None
    if concept is None:
        name = "unknown-code" if system.is_complete else "code-not-held"
        return Verdict(False, sentence(name, language_of_message, code=asked.code, system=system.url))
    return _named(call, concept, asked, (concept,))


def _of_value_set(call: Call, held: Terminology, chosen: ValueSet, asked: Coded) -> Verdict:
    name = chosen.url or chosen.name or "ValueSet"
    if not asked.code:
        return Verdict(False, sentence("no-coding", call.language))
    if not asked.system:
        return _of_plain_code(call, held, chosen, asked)
    canonical = f"{asked.system}|{asked.version}" if asked.version else asked.system
    found = membership.member(held, chosen, asked.system, asked.code)
    if found.known is None:
        return Verdict(False, sentence("cannot-tell", call.language, code=asked.code, unheld=found.unheld))
    if asked.version and held.code_system(asked.system) is not None and not held.holds_code_system(canonical):
        return Verdict(False, sentence("unknown-system", call.language, system=canonical))
    if not found.known:
        told = sentence("not-in-value-set", call.language, code=asked.code, system=asked.system, value_set=name)
        held_system = held.code_system(asked.system)
        if held_system is None:
            told = f"{told} {sentence('unknown-system', call.language, system=asked.system)}"
        elif held_system.is_complete and held_system.find(asked.code) is None:
            told = f"{told} {sentence('unknown-code', call.language, code=asked.code, system=held_system.url)}"
        return Verdict(False, told, found.concept.named(language(call)) if found.concept is not None else "")
    concept = found.concept or Concept(asked.code, asked.code)
    return _named(call, concept, asked, (concept, *_listed(chosen, held, asked)))


def _of_plain_code(call: Call, held: Terminology, chosen: ValueSet, asked: Coded) -> Verdict:
    """A code without its system is right where the value set has it in one system only."""
    systems = dict.fromkeys(map(held.preferred, held.systems_in(chosen)))
    found = {each: membership.member(held, chosen, each, asked.code) for each in systems}
    right = [each for each, member in found.items() if member.known]
    if len(right) == 1:
        return _of_value_set(call, held, chosen, asked._replace(system=right[0]))
    if right:
        return Verdict(False, sentence("several-systems", call.language, code=asked.code, systems=", ".join(right)))
    unsure = next((member for member in found.values() if member.known is None), None)
    if unsure is not None:
        return Verdict(False, sentence("cannot-tell", call.language, code=asked.code, unheld=unsure.unheld))
    name = chosen.url or chosen.name or "ValueSet"
    return Verdict(False, sentence("plain-not-in-value-set", call.language, code=asked.code, value_set=name))


def _listed(chosen: ValueSet, held: Terminology, asked: Coded) -> Iterable[Concept]:
    """The names the value set itself gives the code."""
    for part in chosen.include:
        if part.concepts is not None and held.preferred(part.system) == held.preferred(asked.system):
            each = part.listed.get(asked.code)
            if each is not None and each.display:
                yield Concept(each.code, each.display, "", each.designations)


def _named(call: Call, concept: Concept, asked: Coded, named: Iterable[Concept]) -> Verdict:
    """The code is there: is it called so, may it be used?"""
    display = concept.named(language(call))
    if concept.abstract and call.arguments.one("abstract") is False:
        return Verdict(False, sentence("abstract", call.language, code=asked.code), display)
    if asked.display and not any(_same(asked.display, name) for each in named for name in each.names()):
        told = sentence("wrong-display", call.language, given=asked.display, code=asked.code, display=display)
        return Verdict(False, told, display)
    warning = "" if concept.is_active(day(call)) else sentence("inactive", call.language, code=asked.code)
    return Verdict(True, warning, display)


def _same(one: str, other: str) -> bool:
    return " ".join(one.split()).casefold() == " ".join(other.split()).casefold()
