"""https://www.rfc-editor.org/rfc/rfc5321

What a server says, and what it means for the message; and how one gets in.
"""

import ssl
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.smtp import AuthResult, LoginPassword
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from fhir_server.jobs.reminders import post as module
from fhir_server.jobs.reminders.account import account
from fhir_server.jobs.reminders.post import Account, InDoubtError, Post, RefusedError, UnavailableError
from fhir_server.settings import Settings
from tests.reminders.conftest import BROKEN_OFF, Mailbox, smtp

CONTENT = b"Subject: a\r\n\r\nb\r\n"


class Intent:
    """Counts how often sending was intended."""

    times = 0

    async def __call__(self) -> None:
        self.times += 1


def to(mailbox: Mailbox, **more: Any) -> Post:
    base = {"host": "127.0.0.1", "port": mailbox.port, "security": "none", "user": "", "password": ""}
    return Post(Account(**{**base, "sender": "r@vaccines.example", **more}))


@pytest.mark.parametrize(
    ("answer", "lasting"),
    [
        ("550 5.1.1 no such user", True),
        ("550 no such user", True),
        ("553 5.1.3 bad address", True),
        ("552 5.2.2 mailbox full", True),
        ("450 4.2.0 greylisted", False),
        ("451 try later", False),
        ("550 5.7.1 relaying denied", False),
        ("554 5.7.1 blocked", False),
        ("530 5.7.0 log in first", False),
        ("530 log in first", False),
    ],
)
async def test_refused_recipients(mailbox: Mailbox, answer: str, lasting: bool) -> None:
    post, intent = to(mailbox), Intent()
    mailbox.on_recipient = lambda session, address: answer if address == "ana@example.org" else None
    with pytest.raises(RefusedError) as refused:
        await post.hand_over(CONTENT, "ana@example.org", intent)
    assert (refused.value.code, refused.value.lasting, intent.times) == (int(answer[:3]), lasting, 0)
    # The connection is as good as before.
    await post.hand_over(CONTENT, "luz@example.org", intent)
    await post.close()
    assert (mailbox.recipients, intent.times) == (["luz@example.org"], 1)


async def test_refused_messages(mailbox: Mailbox) -> None:
    post, intent = to(mailbox), Intent()
    for answer, lasting in (("554 5.6.0 not like this", True), ("451 4.3.0 later", False)):
        mailbox.on_message = lambda session, address, answer=answer: answer  # type: ignore[misc]  # bound now
        with pytest.raises(RefusedError) as refused:
            await post.hand_over(CONTENT, "ana@example.org", intent)
        assert refused.value.lasting is lasting
    mailbox.on_message = lambda session, address: BROKEN_OFF
    with pytest.raises(InDoubtError):
        await post.hand_over(CONTENT, "ana@example.org", intent)
    mailbox.on_message = lambda session, address: None
    await post.hand_over(CONTENT, "ana@example.org", intent)
    await post.close()
    assert (len(mailbox.taken), intent.times) == (1, 4)


async def test_an_address_beyond_ascii(mailbox: Mailbox) -> None:
    post = to(mailbox)
    await post.hand_over(CONTENT, "peña@example.org", Intent(), utf8=True)
    await post.close()
    assert mailbox.recipients == ["peña@example.org"]
    async with smtp(Mailbox(), enable_SMTPUTF8=False) as old:
        post = to(old)
        with pytest.raises(RefusedError):
            await post.hand_over(CONTENT, "peña@example.org", Intent(), utf8=True)
        await post.close()


async def test_commands_in_an_address(mailbox: Mailbox) -> None:
    post = to(mailbox)
    await post.hand_over(CONTENT, "ana@example.org>\r\nRCPT TO:<x@example.org", Intent())
    await post.close()
    assert mailbox.recipients == ["ana@example.org"]


async def test_nobody_listens() -> None:
    async with smtp(Mailbox()) as closed:
        pass
    with pytest.raises(UnavailableError):
        await to(closed).hand_over(CONTENT, "ana@example.org", Intent())


async def test_starttls_and_a_login(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "TIMEOUT", 1.0)
    theirs, ours = certificate(tmp_path)

    def login(server: Any, session: Any, envelope: Any, mechanism: str, data: Any) -> AuthResult:
        assert isinstance(data, LoginPassword)
        return AuthResult(success=(data.login, data.password) == (b"mailer", b"right"))

    options = {"tls_context": theirs, "require_starttls": True, "authenticator": login, "auth_required": True}
    async with smtp(Mailbox(), **options) as mailbox:
        post = to(mailbox, security="starttls", user="mailer", password="right", context=ours)
        await post.hand_over(CONTENT, "ana@example.org", Intent())
        await post.close()
        for wrong in ({"password": "wrong"}, {"context": None}, {"security": "none", "user": ""}):
            given = {"security": "starttls", "user": "mailer", "password": "right", "context": ours} | wrong
            with pytest.raises(UnavailableError) as away:
                await to(mailbox, **given).hand_over(CONTENT, "ana@example.org", Intent())
            assert "right" not in str(away.value) and "mailer" not in str(away.value)
        assert len(mailbox.taken) == 1


def certificate(folder: Path) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """Of a server on 127.0.0.1, and what trusts it."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number(), now, now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(IPv4Address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    chain = folder / "chain.pem"
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    chain.write_bytes(private + made.public_bytes(serialization.Encoding.PEM))
    theirs = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    theirs.load_cert_chain(chain)
    return theirs, ssl.create_default_context(cafile=str(chain))


def test_the_password_stands_in_a_file_of_ones_own(tmp_path: Path) -> None:
    file = tmp_path / "password"
    file.write_text("secret\nmore\n")
    file.chmod(0o600)
    given = {"smtp_host": "mx.example", "smtp_from": "r@vaccines.example", "smtp_user": "mailer", "smtp_password": file}
    settings = Settings.model_validate(given)
    assert account(settings) == Account("mx.example", 587, "starttls", "mailer", "secret", "r@vaccines.example")
    file.chmod(0o644)
    with pytest.raises(UnavailableError, match="must not be accessible to others"):
        account(settings)
    with pytest.raises(UnavailableError, match="no SMTP server"):
        account(Settings.model_validate({}))


@pytest.mark.parametrize("given", [{"smtp_host": "mx.example"}, {"smtp_from": "nobody"}, {"smtp_security": "some"}])
def test_settings_that_cannot_be(given: dict[str, str]) -> None:
    with pytest.raises(ValueError):
        Settings.model_validate(given)
