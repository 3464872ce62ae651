"""Issue: one thing wrong with, or worth knowing of, a resource or request.

https://hl7.org/fhir/R4/operationoutcome-definitions.html#OperationOutcome.issue
"""

from dataclasses import dataclass
from typing import Literal

Severity = Literal["fatal", "error", "warning", "information"]


@dataclass(frozen=True, slots=True)
class Issue:
    """One entry of an OperationOutcome.

    `code` is from http://hl7.org/fhir/issue-type; `detail` is this product's own stable code (documented in
    docs/api/issue-codes.md); `text` a sentence a person understands; `expression` the FHIRPaths concerned; `spanish`
    the same sentence in Spanish, where there is one.
    """

    code: str
    detail: str
    text: str
    expression: tuple[str, ...] = ()
    severity: Severity = "error"
    spanish: str = ""
