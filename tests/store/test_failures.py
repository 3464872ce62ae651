"""https://hl7.org/fhir/R4/http.html#Status-Codes"""

import logging
import socket

import pytest
from pymongo.errors import (
    AutoReconnect,
    BulkWriteError,
    CursorNotFound,
    DocumentTooLarge,
    DuplicateKeyError,
    ExecutionTimeout,
    OperationFailure,
    PyMongoError,
    ServerSelectionTimeoutError,
)

from fhir_server.fhir.outcome import FhirError
from fhir_server.store import driver, failures
from fhir_server.store.store import Store
from tests.store.conftest import Opener
from tests.store.world import ANYBODY, create, patient

SECRET = "Canary Jane 1980-01-02"


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (AutoReconnect(SECRET), 503, "transient"),
        (ServerSelectionTimeoutError(SECRET), 503, "transient"),
        (OperationFailure(SECRET, 112), 503, "transient"),
        (CursorNotFound(SECRET, 43), 503, "transient"),
        (OperationFailure(SECRET, 237), 503, "transient"),
        (OperationFailure(SECRET, 1, {"errmsg": 'Internal("transaction already closed")'}), 503, "transient"),
        (OperationFailure(SECRET, 1, {"errmsg": SECRET}), 500, "exception"),
        (OperationFailure(SECRET, 313), 413, "too-costly"),
        (DocumentTooLarge(SECRET), 413, "too-costly"),
        (DuplicateKeyError(SECRET, 11000), 409, "conflict"),
        (BulkWriteError({"writeErrors": [{"code": 11000, "errmsg": SECRET}]}), 409, "conflict"),
        (BulkWriteError({"writeErrors": []}), 500, "exception"),
        (ExecutionTimeout(SECRET, 50), 503, "timeout"),
        (OperationFailure(SECRET, 18), 503, "transient"),
        (OperationFailure(SECRET, 9), 500, "exception"),
    ],
)
def test_each_failure_has_its_status_and_keeps_its_text_to_itself(
    error: PyMongoError, status: int, code: str, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG):
        told = failures.explain(error)
    assert (told.status, told.issues[0].code) == (status, code)
    assert "Canary" not in str(told.issues) + caplog.text
    assert ("Retry-After" in told.headers) == (status == 503)


# PyMongo leaves the socket of a connection that its monitor was just making when the client is closed.
@pytest.mark.filterwarnings("ignore:Exception ignored in. <socket:pytest.PytestUnraisableExceptionWarning")
async def test_an_unreachable_database_is_503(opened: Opener, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(driver, "SELECTION_MS", 200)
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        uri = f"mongodb://127.0.0.1:{unused.getsockname()[1]}/?directConnection=true"
        for name in ("pymongo", "motor"):
            with pytest.raises(FhirError) as caught:
                await Store.open(uri, driver=name)
            assert (caught.value.status, caught.value.issues[0].detail) == (503, "database-unavailable")


async def test_a_call_has_a_deadline(one: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    await one.commit(*ANYBODY, [create("a", patient())])
    # All places are taken and nobody gives one back.
    for _ in range(16):
        await one.database._reads.acquire()
    monkeypatch.setattr("fhir_server.store.database.Database.reading.__wrapped__.__defaults__", (0.05,))
    with pytest.raises(FhirError) as caught:
        await one.read(*ANYBODY, "Patient", "a")
    assert (caught.value.status, caught.value.issues[0].code) == (503, "timeout")


def test_a_driver_is_one_of_two() -> None:
    with pytest.raises(ValueError, match="pymongo or motor"):
        driver.driver("mongoengine")
