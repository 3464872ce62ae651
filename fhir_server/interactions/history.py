"""History of a resource, a type or everything: newest first.

https://hl7.org/fhir/R4/http.html#history
"""

from collections.abc import Sequence

from fhir_server.caller import Caller, Predicate
from fhir_server.context import Context
from fhir_server.fhir import bundle as bundles
from fhir_server.fhir.dates import moment
from fhir_server.fhir.outcome import refuse
from fhir_server.interactions import paging
from fhir_server.interactions.incoming import known_type
from fhir_server.interactions.reply import Reply
