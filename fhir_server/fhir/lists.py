"""Lists: the resources that a List names now.

https://hl7.org/fhir/R4/list.html
"""

from collections.abc import Mapping
from typing import Any

from fhir_server.fhir.references import local


def current(found: Mapping[str, Any], type: str, base: str = "") -> list[str]:
    """The ids of the resources of `type` that entries of the List refer to and that are not marked as deleted in it.

    `base` is the server's own URL without a slash at its end.
    """
    named = (
        local(entry.get("item", {}).get("reference", ""), base)
        for entry in found.get("entry", ())
        if entry.get("deleted") is not True
    )
    return [target.id for target in named if target is not None and target.type == type]
