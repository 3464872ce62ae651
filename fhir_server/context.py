"""Context: all that an interaction or an operation may reach.

https://hl7.org/fhir/R4/http.html
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

from fhir_server.access.authority import Authority
from fhir_server.access.external import External
from fhir_server.access.issuer_keys import IssuerKeys
from fhir_server.access.tokens import Tokens
from fhir_server.guides import Guides
from fhir_server.settings import Settings
from fhir_server.store.store import Store
from smart_health_cards import KeyFolder

Clock = Callable[[], int]
"""Microseconds since 1970 in UTC."""


@dataclass(frozen=True, slots=True)
class Context:
    """What an interaction or operation works with; made once by app.py."""

    settings: Settings
    store: Store
    clock: Clock
    card_keys: KeyFolder
    tenants: Mapping[str, KeyFolder]
    """Card keys of the organizations that issue in their own name, by the Organization's id."""
    secret: bytes
    """Signs page tokens and card addresses; 32 bytes, shared by all workers."""
    tokens: Tokens
    """The access tokens that requests bring."""
    guides: Guides
    """The profiles that are known, to check resources against."""
    authority: Authority
    """The authorization server."""
    external: External | None
    """The OpenID provider elsewhere that is used instead, if any."""
    issuer_keys: IssuerKeys
    """What issuers of cards elsewhere publish, where this server may ask them (`outbound_hosts`)."""

    @property
    def today(self) -> date:
        """The calendar day it is now in the jurisdiction."""
        return self.day(self.clock())

    def day(self, instant: int) -> date:
        """The calendar day in the jurisdiction at an instant, microseconds since 1970 in UTC."""
        return calendar_day(instant, self.settings.time_zone)


def calendar_day(instant: int, time_zone: str) -> date:
    """The day in that time zone (IANA name) at an instant, microseconds since 1970 in UTC."""
    return datetime.fromtimestamp(instant // 1_000_000, UTC).astimezone(ZoneInfo(time_zone)).date()
