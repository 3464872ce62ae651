"""https://hl7.org/fhir/uv/smart-health-cards-and-links/cards-specification.html#determining-keys-associated-with-an-issuer

An issuer over real TLS: its keys and revocations of now are asked for, of trusted issuers alone, and one at a time.
"""

import asyncio
import datetime
import json
import ssl
from collections.abc import AsyncIterator
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from fhir_server.access.issuer_keys import KEPT_SECONDS, IssuerKeys
from fhir_server.access.outbound import Address, Outbound
from smart_health_cards import Card, Issuer, RevocationList, SigningKey, TrustList, issue, rid, verify

NOW = 1_720_000_000
HOST = "health.example"


class Published:
    """What an issuer's web server has, by path, and who asked for what."""

    def __init__(self) -> None:
        self.files: dict[str, Any] = {}
        self.asked: list[str] = []

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        path = head.split()[1]
        self.asked.append(path)
        status, body = ("200 OK", json.dumps(self.files[path])) if path in self.files else ("404 Not Found", "")
        writer.write(f"HTTP/1.1 {status}\r\ncontent-length: {len(body)}\r\nconnection: close\r\n\r\n{body}".encode())
        await writer.drain()
        writer.close()


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    private = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, HOST)])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder(name, name, private.public_key(), x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(HOST)]), critical=False)
        .sign(private, hashes.SHA256())
    )
    path = tmp_path_factory.mktemp("tls") / "certificate.pem"
    plain = serialization.NoEncryption()
    key = private.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain)
    path.write_bytes(key + made.public_bytes(serialization.Encoding.PEM))
    return path


@pytest.fixture
async def published(certificate: Path) -> AsyncIterator[tuple[Published, int]]:
    files = Published()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    server = await asyncio.start_server(files.answer, "127.0.0.1", 0, ssl=context)
    async with server:
        yield files, server.sockets[0].getsockname()[1]


def outbound(certificate: Path, *hosts: str) -> Outbound:
    """A way out to the test's own server: the name resolves to this machine, which is let through here alone."""

    async def here(host: str, port: int) -> list[Address]:
        return [ip_address("127.0.0.1")]

    return Outbound(frozenset(hosts), here, lambda address: True, ssl.create_default_context(cafile=str(certificate)))


def card_of(iss: str, key: SigningKey) -> Card:
    person = {"resourceType": "Patient", "name": [{"family": "Li", "given": ["Ana"]}], "birthDate": "1990-01-01"}
    dose = {
        "resourceType": "Immunization",
        "status": "completed",
        "vaccineCode": {"coding": [{"system": "http://hl7.org/fhir/sid/cvx", "code": "208"}]},
        "occurrenceDateTime": "2021-01-29",
    }
    issuer = Issuer(iss, group_of=lambda dose: "COVID-19")

    def named(group: str) -> str:
        return rid(bytes(32), key.kid, group)

    (card,) = issue(issuer, key, person, [dose], not_before=NOW, rid=named, log=lambda entry: None).cards
    return card


async def test_what_the_issuer_says_now_counts(published: tuple[Published, int], certificate: Path) -> None:
    files, port = published
    iss, old, new = f"https://{HOST}:{port}/shc", SigningKey.generate(), SigningKey.generate()
    card = card_of(iss, new)
    known = TrustList.from_jwks(iss, {"keys": [old.public.jwk()]}, name="Example Health")
    reports = verify(card.jws, known, NOW)
    assert reports[0].verdict("signature").code == "key-unknown"
    clock = [0.0]
    keys = IssuerKeys(outbound(certificate, f"{HOST}:{port}"), lambda: clock[0])

    files.files["/shc/.well-known/jwks.json"] = {"keys": [new.public.jwk()]}
    renewed = await keys.renew(known, reports)
    assert renewed is not None
    assert verify(card.jws, renewed, NOW)[0].accepted
    # The withdrawn key counts no longer, although the list had it.
    assert list(renewed.issuers[iss].keys) == [new.kid]

    revoked = RevocationList(new.kid, 1, {card.entry.rid or "": NOW + 1})
    files.files["/shc/.well-known/jwks.json"] = {"keys": [new.public.jwk(1)]}
    files.files[f"/shc/.well-known/crl/{new.kid}.json"] = revoked.document()
    asked = len(files.asked)
    assert await keys.renew(known, reports) == renewed, "kept for a while"
    assert len(files.asked) == asked
    clock[0] += KEPT_SECONDS
    renewed = await keys.renew(known, reports)
    assert renewed is not None
    assert verify(card.jws, renewed, NOW)[0].verdict("revocation").code == "revoked"


async def test_nobody_else_is_asked(published: tuple[Published, int], certificate: Path) -> None:
    files, port = published
    iss, key = f"https://{HOST}:{port}/shc", SigningKey.generate()
    files.files["/shc/.well-known/jwks.json"] = {"keys": [key.public.jwk()]}
    reports = verify(card_of(iss, key).jws, TrustList(), NOW)
    allowed = outbound(certificate, f"{HOST}:{port}")
    assert await IssuerKeys(allowed).renew(TrustList(), reports) is None
    known = TrustList.from_jwks(iss, {"keys": []}, trusted=False)
    assert await IssuerKeys(allowed).renew(known, reports) is None
    trusted = TrustList.from_jwks(iss, {"keys": []})
    assert await IssuerKeys(outbound(certificate)).renew(trusted, reports) is None, "the host is not allowed"
    assert files.asked == []


async def test_an_issuer_that_is_away_changes_nothing(published: tuple[Published, int], certificate: Path) -> None:
    files, port = published
    iss, key = f"https://{HOST}:{port}/shc", SigningKey.generate()
    trusted = TrustList.from_jwks(iss, {"keys": [key.public.jwk()]})
    reports = verify(card_of(iss, key).jws, trusted, NOW)
    assert await IssuerKeys(outbound(certificate, f"{HOST}:{port}")).renew(trusted, reports) is None
    assert files.asked == ["/shc/.well-known/jwks.json"]
