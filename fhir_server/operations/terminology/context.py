"""Context: the value set that an element of R4 is bound to.

https://hl7.org/fhir/R4/valueset-operation-expand.html
"""

from fhir_server.fhir.outcome import refuse
from fhir_server.operations.registry import Call
from profiles.definitions import TYPES, child

_BASE = "http://hl7.org/fhir/StructureDefinition/"


def bound_value_set(call: Call) -> str:
    """The canonical of the required binding of the element that `context` names.

    It is written `[StructureDefinition]#Patient.gender` or `Patient.gender`. FhirError 400 without it, 404 for an
    element that has no such binding.
    """
    context = call.arguments.text("context")
    if context is None:
        text = "The value set is missing: 'url', 'valueSet' or 'context'."
        raise refuse(400, "required", "missing-parameter", text, "url")
    place = context.rpartition("#")[2].removeprefix(_BASE)
    head, *names = place.split(".")
    path, found = head, None
    for name in names:
        found = child(path, name) if path in TYPES or "." in path else None
        if found is None:
            break
        path = found[1]
    if found is None or found[0].value_set is None:
        text = f"'{context}' names no element of R4 with a required binding."
        raise refuse(404, "not-found", "unknown-value-set", text, "context")
    return found[0].value_set
