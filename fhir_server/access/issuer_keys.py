"""Issuer keys: what the issuers on the trust list publish now, asked for where a card needs it and it is allowed.

https://hl7.org/fhir/uv/smart-health-cards-and-links/cards-specification.html#determining-keys-associated-with-an-issuer

Nobody who is not on the list already is ever asked, so a card cannot make this server fetch anything. Of what a holder
presents, nothing is sent along: keys and revocation lists are asked for as a whole.
"""

import asyncio
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from fhir_server.access.outbound import Outbound, OutboundError
from smart_health_cards import CardError, Report, TrustList, strict_json
from smart_health_cards.directory import TrustedIssuer

KEPT_SECONDS = 300.0
"""How long what an issuer published is taken for what it publishes now, and a failure for one."""
MOST_LISTS = 20
"""Revocation lists asked for of one issuer."""


@dataclass(slots=True)
class IssuerKeys:
    """Published keys and revocation lists over `outbound`. `clock` gives seconds that only go forward."""

    outbound: Outbound
    clock: Callable[[], float] = time.monotonic
    _kept: dict[str, tuple[TrustList, float]] = field(default_factory=dict)

    async def renew(self, trust: TrustList, reports: Iterable[Report]) -> TrustList | None:
        """`trust` with what the issuers of these cards publish now in place of what was known of them.

        None where nothing was to be had: what the list says then stands.
        """
        presented = {report.content.iss for report in reports if report.content is not None}
        known = [trust.issuers[iss] for iss in sorted(presented & trust.issuers.keys()) if trust.issuers[iss].trusted]
        renewed: dict[str, TrustedIssuer] = {}
        for found in await asyncio.gather(*map(self._of, known)):
            renewed |= found.issuers
        return TrustList({**trust.issuers, **renewed}, trust.skipped) if renewed else None

    async def _of(self, issuer: TrustedIssuer) -> TrustList:
        kept = self._kept.get(issuer.iss)
        if kept is not None and self.clock() - kept[1] < KEPT_SECONDS:
            return kept[0]
        try:
            jwks = await self.outbound.get(f"{issuer.iss}/.well-known/jwks.json")
            found = TrustList.from_jwks(issuer.iss, jwks, name=issuer.name)
            lists = await self._lists(found.issuers[issuer.iss])
            found = TrustList.from_jwks(issuer.iss, jwks, name=issuer.name, revocations=lists)
        except (OutboundError, CardError):
            found = TrustList()
        self._kept[issuer.iss] = (found, self.clock())
        return found

    async def _lists(self, issuer: TrustedIssuer) -> list[Mapping[str, Any]]:
        kids = [kid for kid, key in issuer.keys.items() if key.crl_version is not None][:MOST_LISTS]
        return [found for found in await asyncio.gather(*(self._list(issuer.iss, kid) for kid in kids)) if found]

    async def _list(self, iss: str, kid: str) -> Mapping[str, Any] | None:
        try:
            content = await self.outbound.get(f"{iss}/.well-known/crl/{kid}.json")
            return strict_json.parse(content, "The revocation list")
        except (OutboundError, CardError):
            return None
