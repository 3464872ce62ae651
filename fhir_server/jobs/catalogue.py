"""The catalogue: every kind of job this server runs, and what runs it.

https://hl7.org/fhir/R4/async.html

To add one: something that enqueues it (`store.jobs.enqueue`), a function here that does it in recorded steps, and a
test that kills the process between two of them.
"""

from collections.abc import Awaitable, Callable, Mapping

from fhir_server.caller import Predicate
from fhir_server.context import Context
from fhir_server.operations import enrolment, who_would_be
from fhir_server.operations.rosters import job as roster_upload
from fhir_server.store.held import Held

Handler = Callable[[Context, Predicate, Held], Awaitable[None]]
"""Does the whole of a job for its caller, within what that caller may see, from wherever its records say it is; ends
by finishing it. FhirError where it cannot be done: 409 and 503 are tried again later, others are its answer."""

KINDS: Mapping[str, Handler] = {
    roster_upload.KIND: roster_upload.run,
    who_would_be.KIND: who_would_be.run,
    enrolment.KIND: enrolment.find_duplicates,
}
