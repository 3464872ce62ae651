"""Failures: what the database can answer instead of a result, as the FhirError a client deserves.

https://hl7.org/fhir/R4/http.html#Status-Codes

Driver exceptions carry whole documents and key values: they are told apart by class and code, and their text goes
nowhere.
"""

import logging

from pymongo.errors import (
    BulkWriteError,
    ConnectionFailure,
    DocumentTooLarge,
    ExecutionTimeout,
    OperationFailure,
    PyMongoError,
)

from fhir_server.fhir.outcome import FhirError, Issue, refuse

_log = logging.getLogger(__name__)

WRITE_CONFLICT = 112
DUPLICATE_KEY = 11000
NO_SUCH_TRANSACTION = 251
LOST_CURSOR = frozenset({43, 237})
"""The database was started again, or has ended the query, between two batches of its rows."""
INTERNAL, CLOSED = 1, "transaction already closed"
"""What the embedded engine says of a transaction that was ended in the middle, as those of all are when a worker died
(`killAllSessions`)."""
TOO_LARGE = frozenset({10334, 17420, 257, 313})
"""A document beyond 16 MB, a transaction beyond its limit (313 is the embedded engine's)."""
REFUSED = frozenset({8000, 11, 13, 18})
"""Wrong credentials, missing rights."""
RETRY_AFTER = "2"


def code_of(error: PyMongoError) -> int | None:
    """The server's error code, of the first write where several failed."""
    if isinstance(error, BulkWriteError):
        failed = error.details.get("writeErrors") or [{}] if error.details else [{}]
        first = failed[0].get("code")
        return first if isinstance(first, int) else error.code
    return error.code if isinstance(error, OperationFailure) else None


def is_transient(error: PyMongoError) -> bool:
    """Whether the same transaction may succeed when it is run again from its beginning."""
    return (
        isinstance(error, ConnectionFailure)
        or error.has_error_label("TransientTransactionError")
        or code_of(error) in (WRITE_CONFLICT, NO_SUCH_TRANSACTION, *LOST_CURSOR)
        or (isinstance(error, OperationFailure) and error.code == INTERNAL and CLOSED in _told(error))
    )


def _told(error: OperationFailure) -> str:
    return str((error.details or {}).get("errmsg", ""))


def explain(error: PyMongoError) -> FhirError:
    """The answer a client gets. Nothing of the exception's text is kept."""
    code = code_of(error)
    if isinstance(error, DocumentTooLarge) or code in TOO_LARGE:
        return refuse(413, "too-costly", "write-too-large", "This is more than the database takes in one transaction.")
    if code == DUPLICATE_KEY:
        return refuse(409, "conflict", "duplicate-id", "A resource with this id exists already.")
    if isinstance(error, ExecutionTimeout):
        return timed_out()
    if is_transient(error):
        return unavailable()
    if code in REFUSED:
        _log.error("the database refuses the configured credentials (code %s)", code)
        return unavailable()
    _log.error("the database failed: %s, code %s", type(error).__name__, code)
    return refuse(500, "exception", "database-failure", f"The database could not do this (code {code}).")


def unavailable() -> FhirError:
    """503: the database cannot be reached, or is busy with others; nothing was stored, or it cannot be known."""
    issue = Issue("transient", "database-unavailable", "The database cannot be reached right now. Please try again.")
    return FhirError(503, (issue,), {"Retry-After": RETRY_AFTER})


def timed_out() -> FhirError:
    """503: the call took longer than its deadline."""
    issue = Issue(
        "timeout", "database-timeout", "The database did not answer in time. Please try again, or ask for less."
    )
    return FhirError(503, (issue,), {"Retry-After": RETRY_AFTER})


def contended() -> FhirError:
    """409: others kept changing the same resources until the deadline."""
    return refuse(409, "conflict", "write-contention", "Others keep changing the same resources. Please try again.")
