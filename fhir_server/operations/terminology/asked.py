"""Asked: which code, and of which code system, value set or concept map, an operation is asked about.

https://hl7.org/fhir/R4/terminology-service.html
"""

from typing import Any, NamedTuple

from fhir_server.fhir import json
from fhir_server.fhir.outcome import refuse
from fhir_server.operations.registry import Call
from terminology.hl7 import Type

Resource = dict[str, Any]


class Coded(NamedTuple):
    """A code to judge; empty where a part was not given. `place` is its parameter."""

    system: str
    code: str
    display: str
    version: str
    place: str


def coded(call: Call, *, system: str = "system", version: str = "version", concepts: bool = True) -> list[Coded]:
    """The codings asked about: of `code`, `coding` or, with `concepts`, `codeableConcept`; one must be given.

    `system` and `version` are the parameters that go with `code`. FhirError 400 for none, or several.
    """
    arguments = call.arguments
    names = ("code", "coding", "codeableConcept") if concepts else ("code", "coding")
    given = [name for name in names if arguments.one(name) is not None]
    if len(given) != 1:
        told = f"{' and '.join(given)} are" if given else "none is"
        text = f"One of {', '.join(names)} says which code is asked about; {told} given."
        if given:
            raise refuse(400, "invalid", "unexpected-parameter", text, *given)
        raise refuse(400, "required", "missing-parameter", text, *names)
    if given == ["code"]:
        said = {name: arguments.text(name) or "" for name in (system, "code", "display", version)}
        return [Coded(said[system], said["code"], said["display"], said[version], "code")]
    if given == ["coding"]:
        return [_coding(arguments.one("coding"), "coding")]
    codings = (arguments.one("codeableConcept") or {}).get("coding", ())
    return [_coding(each, f"codeableConcept.coding[{number}]") for number, each in enumerate(codings)]


def _coding(coding: Any, place: str) -> Coded:
    system, code, display, version = (coding.get(name, "") for name in ("system", "code", "display", "version"))
    return Coded(system, code, display, version, place)


async def subject(call: Call, kind: Type, inline: str, version: str) -> tuple[Resource | None, str]:
    """The resource asked about, or its canonical: the instance at the address, the parameter `inline`, or `url`.

    `version` is the parameter that goes with `url`. (None, "") where nothing is said. FhirError 400 where it is said
    twice, 404 or 410 for the instance.
    """
    arguments = call.arguments
    said = [name for name in ("url", inline) if arguments.one(name) is not None]
    if call.id is not None:
        if said:
            text = f"The {kind} is named by the address; '{said[0]}' is for the type level."
            raise refuse(400, "invalid", "unexpected-parameter", text, *said)
        stored = await call.context.store.read(call.caller, call.predicate, kind, call.id)
        return json.parse(stored.raw or b"{}"), ""
    if len(said) > 1:
        text = f"The {kind} is given by 'url' or as '{inline}', not both."
        raise refuse(400, "invalid", "unexpected-parameter", text, *said)
    resource = arguments.one(inline)
    if resource is not None:
        return resource, ""
    url, asked = arguments.text("url") or "", arguments.text(version)
    return None, f"{url}|{asked}" if url and asked and "|" not in url else url


def day(call: Call) -> str | None:
    """The day the question is asked for, as an ISO date; None for now and always. FhirError 400."""
    found = call.arguments.date("date")
    return found.isoformat() if found is not None else None


def language(call: Call) -> str:
    """The language names are wanted in."""
    return call.arguments.text("displayLanguage") or call.language


def parameters(*entries: tuple[str, str, Any]) -> bytes:
    """The bytes of a Parameters resource of (name, type, value)s; those whose value is empty or None are left out."""
    given = [{"name": name, f"value{kind}": value} for name, kind, value in entries if value not in ("", None)]
    return json.dump({"resourceType": "Parameters", "parameter": given})
