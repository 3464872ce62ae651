"""FhirError, the only expected failure; its OperationOutcome and HTTP status.

https://hl7.org/fhir/R4/operationoutcome.html
"""

from collections.abc import Iterable
from typing import Any

from profiles.issue import Issue

__all__ = ["DETAIL_SYSTEM", "FhirError", "Issue", "operation_outcome", "refuse"]

DETAIL_SYSTEM = "https://fhir-server.example/fhir/CodeSystem/issue-detail"


class FhirError(Exception):
    """A request that cannot be served as asked: an HTTP status and the issues that explain it.

    `headers` are added to the HTTP answer (`Retry-After`, `WWW-Authenticate`).
    """

    def __init__(self, status: int, issues: Iterable[Issue], headers: dict[str, str] | None = None) -> None:
        self.status = status
        self.issues = tuple(issues)
        self.headers = headers or {}
        super().__init__("; ".join(issue.text for issue in self.issues))


def refuse(status: int, code: str, detail: str, text: str, *expression: str) -> FhirError:
    """A FhirError with a single issue: `raise refuse(404, "not-found", "unknown-resource", "...")`."""
    return FhirError(status, (Issue(code, detail, text, expression),))


def operation_outcome(issues: Iterable[Issue]) -> dict[str, Any]:
    """The OperationOutcome of these issues, as a JSON value."""
    return {"resourceType": "OperationOutcome", "issue": [_entry(issue) for issue in issues]}


def _entry(issue: Issue) -> dict[str, Any]:
    entry: dict[str, Any] = {
        "severity": issue.severity,
        "code": issue.code,
        "details": {"coding": [{"system": DETAIL_SYSTEM, "code": issue.detail}], "text": issue.text},
    }
    if issue.expression:
        entry["expression"] = list(issue.expression)
    return entry
