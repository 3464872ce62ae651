"""JSON Patch: changes to a resource as a list of operations on its JSON.

https://hl7.org/fhir/R4/http.html#patch

RFC 6902, by the library `jsonpatch` (docs/decisions/0009-patch.md); Decimals pass through it as they are.
"""

from copy import deepcopy
from typing import Any

from jsonpatch import InvalidJsonPatch, JsonPatch, JsonPatchException, JsonPatchTestFailed
from jsonpointer import JsonPointerException

from fhir_server.fhir.json import DEPTH, dump
from fhir_server.fhir.json import parse as parse_object
from fhir_server.fhir.outcome import FhirError, refuse

OPERATIONS = 1_000
"""A patch may have this many operations."""

Patch = list[dict[str, Any]]


def parse(body: bytes) -> Patch:
    """The operations of a JSON Patch document. FhirError 400 where it is malformed, or one of them is."""
    # The strict parser takes objects only. The list is read as a member of one, and nothing may stand beside it.
    wrapped = parse_object(b'{"patch":' + body + b"}")
    patch = wrapped["patch"]
    if len(wrapped) != 1 or not isinstance(patch, list) or not all(isinstance(each, dict) for each in patch):
        raise refuse(400, "structure", "not-a-patch", "A JSON Patch is an array of operations, each an object.")
    if len(patch) > OPERATIONS:
        raise refuse(400, "too-costly", "too-many-operations", f"A patch has at most {OPERATIONS} operations.")
    for number, operation in enumerate(patch):
        if not isinstance(operation.get("op"), str) or not isinstance(operation.get("path"), str):
            raise _refused(number, "invalid", "invalid-operation", "It needs the texts 'op' and 'path'.")
        if not isinstance(operation.get("from", ""), str):
            raise _refused(number, "invalid", "invalid-operation", "Its 'from' must be a text.")
        _understood(number, operation)
    return patch


def apply(resource: dict[str, Any], patch: Patch, limit: int) -> dict[str, Any]:
    """A changed copy of the resource; it need not be a valid one any more.

    FhirError 422 where a test fails, 400 where a path does not exist or the outcome is no JSON object, 413 where it
    grows beyond `limit` bytes.
    """
    changed: Any = deepcopy(resource)
    for number, operation in enumerate(patch):
        try:
            changed = _understood(number, operation).apply(changed, in_place=True)
            # A few copies of a whole into itself would double it beyond all memory.
            if operation["op"] == "copy" and len(dump(changed)) > limit:
                raise _refused(number, "too-long", "resource-too-large", f"The outcome exceeds {limit} bytes.", 413)
        except JsonPatchTestFailed:
            text = f"The value at {operation['path'] or 'the root'} is not the one that the test expects."
            raise _refused(number, "business-rule", "test-failed", text, 422) from None
        except (JsonPatchException, JsonPointerException) as error:
            raise _refused(number, "not-found", "no-element", _reason(error)) from None
        except RecursionError:
            raise _refused(number, "structure", "too-deep", f"The outcome nests deeper than {DEPTH}.") from None
    try:
        return parse_object(dump(changed))
    except RecursionError:
        raise refuse(400, "structure", "too-deep", f"The outcome nests deeper than {DEPTH}.", "patch") from None


def _understood(number: int, operation: dict[str, Any]) -> JsonPatch:
    try:
        return JsonPatch([operation])
    except (InvalidJsonPatch, JsonPointerException) as error:
        raise _refused(number, "invalid", "invalid-operation", _reason(error)) from None


def _reason(error: JsonPatchException | JsonPointerException) -> str:
    text = str(error.args[0]) if error.args else "it is not possible"
    return f"{text[:1].upper()}{text[1:200]}."


def _refused(number: int, code: str, detail: str, text: str, status: int = 400) -> FhirError:
    return refuse(
        status, code, detail, f"Operation {number + 1} of the patch cannot be done. {text}", f"patch[{number}]"
    )
