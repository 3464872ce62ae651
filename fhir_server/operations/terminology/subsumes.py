"""$subsumes: whether one code is a kind of another.

https://hl7.org/fhir/R4/codesystem-operation-subsumes.html
"""

from fhir_server.fhir import json
from fhir_server.fhir.outcome import refuse
from fhir_server.interactions.reply import Reply
from fhir_server.interactions.terminology import holding, refusal
from fhir_server.operations.registry import Call
from fhir_server.operations.terminology.asked import parameters
from terminology import code_system
from terminology.code_system import CodeSystem
from terminology.concept import Concept
from terminology.errors import UnknownCodeError, UnknownSystemError


async def subsumes(call: Call) -> Reply:
    """200 with `outcome`. FhirError 404 where the code system or a code is not known, 400 where one is missing."""
    (system_a, code_a), (system_b, code_b) = _coding(call, "A"), _coding(call, "B")
    system = await _system(call, system_a, system_b)
    a, b = _concept(system, code_a, "A"), _concept(system, code_b, "B")
    return Reply(200, parameters(("outcome", "Code", system.subsumes(a.code, b.code))))


async def _system(call: Call, *named: str) -> CodeSystem:
    """The one code system both codes are of."""
    resource = None
    if call.id is not None:
        stored = await call.context.store.read(call.caller, call.predicate, "CodeSystem", call.id)
        resource = json.parse(stored.raw or b"{}")
    own = resource.get("url", "") if resource is not None else call.arguments.text("system") or ""
    version = call.arguments.text("version")
    canonical = next((each for each in (own, *named) if each), "")
    if not canonical and resource is None:
        text = "The code system is missing: 'system', or codings with a system."
        raise refuse(400, "required", "missing-parameter", text, "system")
    asked = f"{canonical}|{version}" if version else canonical
    held = await holding(call.context, call.caller, call.predicate, [("CodeSystem", asked)])
    if any(each and held.preferred(each) != held.preferred(canonical) for each in named):
        text = "Both codes must be of the same code system to be compared."
        raise refuse(400, "invalid", "several-code-systems", text, "codingA", "codingB")
    if resource is not None and "concept" in resource:
        return code_system.of_resource(resource)
    found = held.code_system(asked)
    if found is None or not held.holds_code_system(asked):
        raise refusal(UnknownSystemError(f"the code system '{asked}' is not known here"), "system")
    return found


def _coding(call: Call, letter: str) -> tuple[str, str]:
    """System (empty where it is not said) and code of one side."""
    code, coding = call.arguments.text(f"code{letter}"), call.arguments.one(f"coding{letter}")
    if coding is not None and code is None:
        return coding.get("system", ""), coding.get("code", "")
    if code is None or coding is not None:
        text = f"One of 'code{letter}' and 'coding{letter}' must be given."
        raise refuse(400, "required", "missing-parameter", text, f"code{letter}")
    return "", code


def _concept(system: CodeSystem, code: str, letter: str) -> Concept:
    found = system.find(code)
    if found is None:
        raise refusal(UnknownCodeError(f"'{code}' is not a code of {system.url}"), f"code{letter}")
    return found
