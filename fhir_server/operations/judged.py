"""Judged: the input of an operation that says what is wrong with a resource, which therefore may be anything.

https://hl7.org/fhir/R4/resource-operation-validate.html
"""

from collections.abc import Mapping, Sequence
from typing import Any

from fhir_server.interactions.incoming import require_valid
from fhir_server.operations.arguments import Arguments, from_query, from_resource

NAME = "resource"
"""The parameter that holds what is judged."""

_STAND_IN = {"resourceType": "Basic", "code": {"text": NAME}}


def arguments(
    definition: Mapping[str, Any],
    type_name: str | None,
    sent: dict[str, Any] | None,
    pairs: Sequence[tuple[str, str]],
) -> Arguments:
    """The arguments of a POST: a Parameters resource, or the resource itself with the others in the address.

    A Parameters at `Parameters/$validate` is the resource itself unless it has a parameter `resource`. FhirError 400 or
    422 for input that is wrong apart from the resource.
    """
    if sent is None or not _is_input(sent, type_name):
        return _joined(from_query(pairs, definition), sent)
    given = sent.get("parameter")
    found: list[Any] = []
    shell = []
    for each in given if type(given) is list else ():
        if type(each) is dict and each.get("name") == NAME and "resource" in each:
            found.append(each["resource"])
            each = {**each, "resource": _STAND_IN}
        shell.append(each)
    checked = {**sent, "parameter": shell} if type(given) is list else sent
    require_valid(checked)
    asked = from_resource(checked, definition)
    return _joined(asked, found[0]) if found else asked


def _is_input(sent: Mapping[str, Any], type_name: str | None) -> bool:
    if sent.get("resourceType") != "Parameters":
        return False
    given = sent.get("parameter")
    named = any(type(each) is dict and each.get("name") == NAME for each in given) if type(given) is list else False
    return named or type_name != "Parameters"


def _joined(asked: Arguments, resource: Any) -> Arguments:
    return asked if resource is None else asked.having(NAME, resource)
