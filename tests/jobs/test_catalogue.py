"""Every kind of job can be enqueued by somebody and run by somebody."""

from fhir_server.jobs.catalogue import KINDS
from fhir_server.operations import enrolment, who_would_be
from fhir_server.operations.rosters import job


def test_kinds() -> None:
    assert set(KINDS) == {job.KIND, who_would_be.KIND, enrolment.KIND}
