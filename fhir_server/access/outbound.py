"""Outbound: the one way out of this server: https to hosts that were allowed by name, and to nobody else.

https://cheatsheetseries.owasp.org/cheatsheets/Server_Side_Request_Forgery_Prevention_Cheat_Sheet.html

Off by default: without an allowed host nothing is sent. A name is resolved once and connected to at that address, so
that it cannot mean another one meanwhile; addresses of this machine and of inner networks are refused; redirects are
not followed; time and size are limited; nothing that identifies this server to others is sent along.
"""

import asyncio
import socket
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address
from ssl import SSLContext
from urllib.parse import urlsplit

import httpx

SECONDS = 5.0
MOST_BYTES = 1_000_000

Address = IPv4Address | IPv6Address
_TRANSLATED = IPv6Network("64:ff9b::/96")
"""Stands for IPv4 addresses, inner ones included, behind a translator."""
Resolve = Callable[[str, int], Awaitable[list[Address]]]


class OutboundError(Exception):
    """Something was not fetched; the sentence says why."""


async def resolve(host: str, port: int) -> list[Address]:
    """The addresses of a name. OSError where it has none."""
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [ip_address(each[4][0]) for each in found]


def is_public(address: Address) -> bool:
    """Whether an address is one of the internet at large; addresses wrapped into others are looked at, too."""
    inner = address.ipv4_mapped or address.sixtofour if isinstance(address, IPv6Address) else None
    if isinstance(address, IPv6Address) and (address.teredo is not None or address in _TRANSLATED):
        return False
    return address.is_global and not address.is_multicast and (inner is None or is_public(inner))


@dataclass(frozen=True, slots=True)
class Outbound:
    """The way out, to `hosts` (exact names, with `:port` where it is not 443)."""

    hosts: frozenset[str]
    resolve: Resolve = resolve
    permitted: Callable[[Address], bool] = is_public
    trust: SSLContext | bool = field(default=True, repr=False)

    async def get(self, url: str, accept: str = "application/json") -> bytes:
        """What is at this address. OutboundError where it is not allowed, not reached in time, or too large."""
        host, port = self.require_allowed(url)
        try:
            async with asyncio.timeout(SECONDS):
                return await self._fetch(url, host, port, accept)
        except TimeoutError:
            raise OutboundError(f"{host} did not answer in {SECONDS:.0f} s.") from None
        except (httpx.HTTPError, OSError) as error:
            raise OutboundError(f"{host} cannot be reached ({type(error).__name__}).") from None

    def require_allowed(self, url: str) -> tuple[str, int]:
        """Host and port of an address that may be asked. OutboundError for any other."""
        try:
            parts = urlsplit(url)
            host, port = parts.hostname or "", parts.port or 443
        except ValueError:
            raise OutboundError("The address is malformed.") from None
        if parts.scheme != "https" or parts.username is not None or not host or not url.isascii():
            raise OutboundError("Only https addresses in ASCII, without credentials, are asked.")
        if (host if port == 443 else f"{host}:{port}") not in self.hosts:
            raise OutboundError(f"{host} is not among the hosts that this server may ask (setting outbound_hosts).")
        return host, port

    async def _fetch(self, url: str, host: str, port: int, accept: str) -> bytes:
        addresses = await self.resolve(host, port)
        if not addresses or not all(self.permitted(address) for address in addresses):
            raise OutboundError(f"{host} does not lie in the public internet.")
        address = f"[{addresses[0]}]" if isinstance(addresses[0], IPv6Address) else str(addresses[0])
        parts = urlsplit(url)
        target = httpx.URL(
            scheme="https",
            host=address.strip("[]"),
            port=port,
            raw_path=((parts.path or "/") + (f"?{parts.query}" if parts.query else "")).encode("ascii", "strict"),
        )
        name = host if port == 443 else f"{host}:{port}"
        headers = {"Host": name, "Accept": accept, "Accept-Encoding": "identity", "User-Agent": "fhir-server"}
        async with (
            httpx.AsyncClient(verify=self.trust, trust_env=False, follow_redirects=False) as client,
            client.stream("GET", target, headers=headers, extensions={"sni_hostname": host}) as answer,
        ):
            if answer.status_code != 200:
                raise OutboundError(f"{host} answered {answer.status_code}.")
            if answer.headers.get("content-encoding", "identity") != "identity":
                raise OutboundError(f"{host} answered compressed, which was not asked for.")
            body = bytearray()
            async for chunk in answer.aiter_raw():
                body += chunk
                if len(body) > MOST_BYTES:
                    raise OutboundError(f"{host} answered more than {MOST_BYTES} bytes.")
            return bytes(body)
