"""Opening: a file whose shape is understood and whose rows are counted, before anything is stored of it.

https://hl7.org/fhir/R4/operationoutcome.html
"""

import asyncio
from typing import BinaryIO

from fhir_server.domain.roster_file import RosterFileError
from fhir_server.domain.sentences import sentence
from fhir_server.fhir.outcome import refuse
from fhir_server.operations.rosters.lines import File, TooManyRowsError
from fhir_server.operations.rosters.upload import MOST_MEMBERS, Upload


async def opened(content: BinaryIO, media_type: str, upload: Upload) -> tuple[File, int]:
    """The file and how many rows it has.

    FhirError 400 where it is no roster, or has no rows and would end every membership; 413 for too many rows.
    """
    try:
        file, rows = await asyncio.to_thread(_counted, content, media_type)
    except RosterFileError as error:
        text = sentence("roster", error.code, upload.language, error.details)
        raise refuse(400, "invalid", error.code, text) from None
    except TooManyRowsError:
        text = f"A file may have {MOST_MEMBERS:,} rows. Send it in parts; rows sent twice do no harm."
        raise refuse(413, "too-costly", "too-many-rows", text) from None
    if upload.replace and not rows:
        text = "The file has no rows; with 'replace' it would end every membership."
        raise refuse(400, "invalid", "empty-roster", text, "replace")
    return file, rows


def _counted(content: BinaryIO, media_type: str) -> tuple[File, int]:
    file = File(content, media_type)
    return file, file.count(MOST_MEMBERS)
