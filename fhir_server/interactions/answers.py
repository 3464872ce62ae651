"""Answers: Bundle entries for what the store gave.

https://hl7.org/fhir/R4/http.html#search
"""

from collections.abc import Mapping, Sequence
from http import HTTPStatus

from fhir_server.fhir import bundle
from fhir_server.fhir.json import dump
from fhir_server.fhir.outcome import FhirError, Issue, operation_outcome
from fhir_server.interactions.reply import Reply, acknowledged
from fhir_server.store.records import Stored


def searchset(
    base: str,
    matches: Sequence[Stored],
    included: Sequence[Stored],
    ignored: Sequence[Issue],
    links: Mapping[str, str],
    total: int | None,
) -> bytes:
    """A searchset: matches, then what was included, then what is to be said about the search itself."""
    entries = [bundle.Entry(row.raw, f"{base}/{row.type}/{row.id}", "match") for row in matches]
    entries += [bundle.Entry(row.raw, f"{base}/{row.type}/{row.id}", "include") for row in included]
    if ignored:
        entries.append(bundle.outcome(dump(operation_outcome(ignored))))
    return bundle.searchset(entries, links, total)


def history(base: str, rows: Sequence[Stored], links: Mapping[str, str], total: int | None) -> bytes:
    """A history: each version with what was asked and what came of it."""
    return bundle.bundle("history", [_version(base, row) for row in rows], links, total)


def of_reply(reply: Reply, base: str, preferred: str = "") -> bundle.Entry:
    """The entry of a batch or transaction response. For a resource just written `preferred` is what is to come back:
    `minimal` or `OperationOutcome` in its place."""
    location = f"{base}/{reply.location}" if reply.location is not None else None
    issues = (*reply.issues, acknowledged(reply)) if reply.written and preferred == "OperationOutcome" else reply.issues
    outcome = dump(operation_outcome(issues)) if issues else None
    response = bundle.Response(_status(reply.status), location, reply.version, reply.updated, outcome)
    withheld = reply.written and preferred in ("minimal", "OperationOutcome")
    return bundle.Entry(None if withheld else reply.body, response=response)


def of_failure(error: FhirError) -> bundle.Entry:
    """The entry of a batch response that tells a failure."""
    return bundle.Entry(response=bundle.Response(_status(error.status), outcome=dump(operation_outcome(error.issues))))


def _version(base: str, row: Stored) -> bundle.Entry:
    address = f"{row.type}/{row.id}"
    status = 204 if row.raw is None else 201 if row.created else 200
    return bundle.Entry(
        row.raw,
        f"{base}/{address}",
        request=bundle.Request(row.method, row.type if row.method == "POST" else address),
        response=bundle.Response(_status(status), None, row.version, row.updated),
    )


def _status(status: int) -> str:
    return f"{status} {HTTPStatus(status).phrase}"
