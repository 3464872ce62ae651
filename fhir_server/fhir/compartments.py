"""Compartments: the resources that belong to one patient, practitioner, encounter, device or related person.

https://hl7.org/fhir/R4/compartmentdefinition.html
"""

from fhir_server.fhir.condition import SEPARATOR, Any, Condition, Ids, Keys
from fhir_server.fhir.outcome import refuse
from fhir_server.fhir.params import compartments, parameters


def compartment(kind: str, id: str, type: str) -> Condition:
    """The condition resources of `type` in the compartment `kind` (`Patient`) of `id` satisfy.

    FhirError 404 where there is no such compartment or the type can never be in it.
    """
    members = compartments().get(kind)
    if members is None:
        raise refuse(404, "not-supported", "unknown-compartment", f"There is no compartment of {kind}.")
    if kind == type:
        return Any((Ids((id,)), *_keys(kind, id, type, members.get(type, ()))))
    if type not in members:
        text = f"Resources of type {type} are never in the compartment of a {kind}."
        raise refuse(404, "not-supported", "not-in-compartment", text)
    if kind == "Patient":
        return Keys("pt", (f"Patient/{id}",))
    return Any(_keys(kind, id, type, members[type]))


def _keys(kind: str, id: str, type: str, names: tuple[str, ...]) -> tuple[Condition, ...]:
    known = parameters(type)
    keys = tuple(f"{known[name].label}{SEPARATOR}{kind}/{id}" for name in names if name in known)
    return (Keys("tk", keys),) if keys else ()
