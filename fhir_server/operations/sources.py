"""Sources: where something was said, and when, as far as a resource tells.

https://hl7.org/fhir/R4/provenance.html
"""

from collections.abc import Mapping
from datetime import date, datetime
from typing import Any
from zoneinfo import ZoneInfo

Resource = Mapping[str, Any]


def reference(resource: Resource) -> str | None:
    """The resource's relative reference; None where it was never stored."""
    return f"{resource['resourceType']}/{resource['id']}" if "id" in resource else None


def day(text: str | None) -> date | None:
    """The local calendar day of a date or dateTime; None where it is absent or not precise to the day."""
    try:
        return None if text is None else date.fromisoformat(text[:10])
    except ValueError:
        return None


def lasts(period: Mapping[str, str], on: date) -> bool:
    """Whether a period has not ended before that day. A partial end is compared as written: `2021-03` lasts as long as
    the month."""
    end = period.get("end")
    return end is None or on.isoformat()[: len(end[:10])] <= end[:10]


def stored_on(resource: Resource, zone: str) -> date | None:
    """The day in that time zone on which this version was stored; None where it never was."""
    try:
        return datetime.fromisoformat(resource["meta"]["lastUpdated"]).astimezone(ZoneInfo(zone)).date()
    except (KeyError, ValueError, OverflowError):
        return None
