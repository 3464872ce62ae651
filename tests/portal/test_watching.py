"""https://www.rfc-editor.org/rfc/rfc9557#section-2.1

How long somebody stays after a dose, also in the night in which the clocks are changed.
"""

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from fhir_server.http.portal.clinic import watching

HERE = ZoneInfo("America/New_York")


@pytest.mark.parametrize(
    ("given", "until"),
    [
        ("2026-06-01T09:50:00-04:00", "2026-06-01T10:05:00-04:00"),
        ("2026-06-01T13:50:00Z", "2026-06-01T10:05:00-04:00"),
        ("2026-03-08T01:50:00-05:00", "2026-03-08T03:05:00-04:00"),
        ("2026-11-01T01:50:00-04:00", "2026-11-01T01:05:00-05:00"),
        ("2026-11-01T01:50:00-05:00", "2026-11-01T02:05:00-05:00"),
    ],
)
def test_fifteen_minutes_are_fifteen(given: str, until: str) -> None:
    dose = {"occurrenceDateTime": given, "status": "completed"}
    end = datetime.fromisoformat(until)
    for second, over in ((-1, False), (0, True)):
        at = (end + timedelta(seconds=second)).astimezone(HERE)
        found = watching.of(dose, {}, "a", "A", at)
        assert found is not None
        assert (found.until.isoformat(), found.minutes, found.over) == (until, 15, over)
