"""FhirError, the only expected failure; its OperationOutcome and HTTP status.

https://hl7.org/fhir/R4/operationoutcome.html
"""

import re
from collections.abc import Iterable
from typing import Any

from fhir_server.fhir import sentences
from profiles.issue import Issue

__all__ = ["DETAIL_SYSTEM", "FhirError", "Issue", "operation_outcome", "refuse"]

_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff]")

_TRANSLATION = "http://hl7.org/fhir/StructureDefinition/translation"
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


def operation_outcome(issues: Iterable[Issue], language: str = "") -> dict[str, Any]:
    """The OperationOutcome of these issues, as a JSON value, in `language` (the reader's where none is given). A
    sentence that came in two languages stands in the other one as its translation."""
    language = language or sentences.reader.get()
    return {"resourceType": "OperationOutcome", "issue": [_entry(issue, language) for issue in issues]}


def _entry(issue: Issue, language: str) -> dict[str, Any]:
    details: dict[str, Any] = {"coding": [{"system": DETAIL_SYSTEM, "code": issue.detail}]}
    entry: dict[str, Any] = {"severity": issue.severity, "code": issue.code, "details": details}
    if issue.spanish:
        texts = {"en": _printable(issue.text), "es": _printable(issue.spanish)}
        shown = "es" if language == "es" else "en"
        [(other, text)] = ((tag, text) for tag, text in texts.items() if tag != shown)
        parts = [{"url": "lang", "valueCode": other}, {"url": "content", "valueString": text}]
        details["text"] = texts[shown]
        details["_text"] = {"extension": [{"url": _TRANSLATION, "extension": parts}]}
    else:
        details["text"] = _printable(sentences.said(issue.text, language))
    places = [_printable(place) for place in issue.expression if place and not place.isspace()]
    if places:
        entry["expression"] = places
    return entry


def _printable(text: str) -> str:
    """The text as a FHIR string may have it: a sentence may quote what a client sent, control characters and all."""
    return text if text.isprintable() else _CONTROL.sub("\N{REPLACEMENT CHARACTER}", text)
