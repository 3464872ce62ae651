"""https://cheatsheetseries.owasp.org/cheatsheets/Server_Side_Request_Forgery_Prevention_Cheat_Sheet.html

The way out: nothing is sent to any address of the corpus; what may be asked is asked at the address that was looked at.
"""

import asyncio
import ssl
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from fhir_server.access import outbound
from fhir_server.access.outbound import Address, Outbound, OutboundError

HOST = "keys.example"


@dataclass
class Site:
    """A site on this machine that answers what it is told, and notes what it was asked."""

    port: int
    trust: ssl.SSLContext
    answer: bytes = b"{}"
    status: bytes = b"200 OK"
    more: bytes = b""
    delay: float = 0.0
    asked: list[bytes] = field(default_factory=list)

    def way(self) -> Outbound:
        """A way out to this site alone."""

        async def resolve(host: str, port: int) -> list[Address]:
            assert host == HOST
            return [ip_address("127.0.0.1")]

        name = f"{HOST}:{self.port}"
        return Outbound(frozenset({name}), resolve, lambda address: True, self.trust)

    @property
    def url(self) -> str:
        return f"https://{HOST}:{self.port}/jwks.json"


@pytest.fixture(scope="module")
async def site(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Site]:
    certificate = _certificate(tmp_path_factory.mktemp("site"))
    serving = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    serving.load_cert_chain(certificate)
    trust = ssl.create_default_context(cafile=str(certificate))
    found: list[Site] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        [running] = found
        running.asked.append(await reader.readuntil(b"\r\n\r\n"))
        await asyncio.sleep(running.delay)
        length = b"Content-Length: %d\r\n" % len(running.answer)
        writer.write(b"HTTP/1.1 %s\r\n%s%s\r\n%s" % (running.status, length, running.more, running.answer))
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0, ssl=serving)
    found.append(Site(server.sockets[0].getsockname()[1], trust))
    yield found[0]
    server.close()


@pytest.fixture(autouse=True)
def _fresh(request: pytest.FixtureRequest) -> None:
    if "site" in request.fixturenames:
        site: Site = request.getfixturevalue("site")
        site.answer, site.status, site.more, site.delay = b"{}", b"200 OK", b"", 0.0
        site.asked.clear()


def _certificate(folder: Path) -> Path:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, HOST)])
    day = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(day - timedelta(days=1))
        .not_valid_after(day + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(HOST)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    path = folder / "site.pem"
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path.write_bytes(private + made.public_bytes(serialization.Encoding.PEM))
    return path


async def test_what_may_be_asked_is_asked(site: Site) -> None:
    site.answer = b'{"keys":[]}'
    assert await site.way().get(site.url) == b'{"keys":[]}'
    head = site.asked[0].decode().lower()
    assert head.startswith("get /jwks.json http/1.1")
    assert f"host: {HOST}:{site.port}" in head
    assert "cookie" not in head and "authorization" not in head


async def test_a_certificate_of_another_name_is_refused(site: Site) -> None:
    async def resolve(host: str, port: int) -> list[Address]:
        return [ip_address("127.0.0.1")]

    other = Outbound(frozenset({f"other.example:{site.port}"}), resolve, lambda address: True, site.trust)
    with pytest.raises(OutboundError):
        await other.get(f"https://other.example:{site.port}/")
    assert site.asked == []


BAD_ANSWERS = {
    "a redirect": {"status": b"302 Found", "more": b"Location: https://keys.example/other\r\n"},
    "not there": {"status": b"404 Not Found"},
    "compressed": {"more": b"Content-Encoding: gzip\r\n"},
    "too large": {"answer": b"x" * (outbound.MOST_BYTES + 1)},
    "no HTTP": {"status": b"nonsense\x00"},
}


@pytest.mark.parametrize("what", BAD_ANSWERS)
async def test_answers_that_are_not_taken(site: Site, what: str) -> None:
    for name, value in BAD_ANSWERS[what].items():
        setattr(site, name, value)
    with pytest.raises(OutboundError):
        await site.way().get(site.url)
    assert len(site.asked) == 1


async def test_an_answer_that_does_not_come(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outbound, "SECONDS", 0.1)
    site.delay = 0.5
    with pytest.raises(OutboundError, match="did not answer"):
        await site.way().get(site.url)


CORPUS = [
    "http://keys.example/", "https://keys.example:8443/", "https://user:x@keys.example/", "https://keys.example.evil/",
    "https://evil.example/#keys.example", "https://evil.example/keys.example", "https://sub.keys.example/",
    "https://keys.example@evil.example/", "https://localhost/", "https://127.0.0.1/", "https://[::1]/",
    "https://2130706433/", "https://0x7f.1/", "https://169.254.169.254/latest/meta-data/", "file:///etc/passwd",
    "gopher://keys.example/", "ftp://keys.example/", "//keys.example/", "keys.example", "https://", "https:///x",
    "https://keys.example\\@evil.example/", "https://[::ffff:127.0.0.1]/", "https://keys.example:99999/",
    "https://xn--keys-example/", "https://keys.example.:443/", "https://keys.example/é",
    "",
]  # fmt: skip


@pytest.mark.parametrize("url", CORPUS)
async def test_no_packet_is_sent_to_others(url: str) -> None:
    async def resolve(host: str, port: int) -> list[Address]:
        raise AssertionError("nothing is resolved")

    with pytest.raises(OutboundError):
        await Outbound(frozenset({HOST}), resolve).get(url)


async def test_nothing_is_asked_by_default() -> None:
    with pytest.raises(OutboundError, match="outbound_hosts"):
        await Outbound(frozenset()).get("https://keys.example/")


INNER = [
    "127.0.0.1", "10.0.0.1", "172.16.0.1", "192.168.0.1", "169.254.169.254", "0.0.0.0", "100.64.0.1", "224.0.0.1",
    "255.255.255.255", "198.18.0.1", "::", "::1", "fe80::1", "fc00::1", "ff02::1", "::ffff:127.0.0.1",
    "::ffff:10.0.0.1", "64:ff9b::7f00:1", "64:ff9b::a00:1", "2002:7f00:1::", "2001:0:7f00:1::", "2001:db8::1",
]  # fmt: skip


@pytest.mark.parametrize("address", INNER)
async def test_names_of_inner_addresses_are_refused(address: str) -> None:
    """Also where only one of several addresses is an inner one."""

    async def resolve(host: str, port: int) -> list[Address]:
        return [ip_address("93.184.215.14"), ip_address(address)]

    with pytest.raises(OutboundError, match="public internet"):
        await Outbound(frozenset({HOST}), resolve).get(f"https://{HOST}/")


@pytest.mark.parametrize("address", ["93.184.215.14", "2606:2800:21f:cb07:6820:80da:af6b:8b2c", "::ffff:93.184.215.14"])
def test_addresses_of_the_internet(address: str) -> None:
    assert outbound.is_public(ip_address(address))


async def test_a_name_that_is_not_known() -> None:
    async def resolve(host: str, port: int) -> list[Address]:
        raise OSError

    with pytest.raises(OutboundError):
        await Outbound(frozenset({HOST}), resolve).get(f"https://{HOST}/")
    assert replace(Outbound(frozenset()), hosts=frozenset({HOST})).require_allowed(f"https://{HOST}/") == (HOST, 443)
