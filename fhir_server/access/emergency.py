"""Emergency: breaking the glass, a read of one patient's record without a relationship, for a reason.

https://terminology.hl7.org/CodeSystem-v3-ActReason.html (BTG)

`Break-Glass: Patient/123 found unconscious, no documents` names the patient and says why. Whoever does it is written
into the patient's access log with the reason, and stewards get a Task to look at it.
"""

import re
from dataclasses import replace

from fhir_server.caller import Caller
from fhir_server.fhir.outcome import refuse

HEADER = "Break-Glass"
_GIVEN = re.compile(r"Patient/([A-Za-z0-9\-.]{1,64})\s+(\S.{3,499})")


def breaking(caller: Caller, given: str, method: str) -> Caller:
    """The caller with this patient's record open to them. FhirError 400 without patient or reason, or for anything but
    reading; 403 for who treats nobody."""
    if "provider" not in caller.roles or not caller.organization:
        raise refuse(403, "forbidden", "beyond-role", f"{HEADER} is for providers.", HEADER)
    match = _GIVEN.fullmatch(given.strip())
    if match is None:
        text = f"{HEADER} names one patient and a reason: `Patient/123 found unconscious`."
        raise refuse(400, "required", "break-glass-reason", text, HEADER)
    if method not in ("GET", "HEAD", "POST"):
        raise refuse(400, "not-supported", "break-glass-reading", f"{HEADER} opens a record for reading only.", HEADER)
    return replace(caller, emergency=match.group(1), purpose=match.group(2))
