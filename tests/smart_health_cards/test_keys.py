import hashlib
import json
from collections.abc import Callable

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from joserfc import jws as jose
from joserfc.jwk import ECKey
from joserfc.registry import HeaderParameter

from smart_health_cards import Card, CardError, PublicKey, SigningKey, base64url
from tests.smart_health_cards.conftest import fixed_key


def refused(code: str, member: str, value: object, key: SigningKey) -> None:
    jwk = {**key.public.jwk(), member: value}
    with pytest.raises(CardError) as raised:
        PublicKey.from_jwk(jwk)
    assert raised.value.code == code


def test_public_jwk_has_exactly_the_published_members(key: SigningKey) -> None:
    assert set(key.public.jwk()) == {"kty", "use", "alg", "crv", "x", "y", "kid"}
    assert key.public.jwk(4)["crlVersion"] == 4


def test_kid_is_the_thumbprint(key: SigningKey) -> None:
    jwk = key.public.jwk()
    members = json.dumps({name: jwk[name] for name in ("crv", "kty", "x", "y")}, separators=(",", ":"))
    assert key.kid == base64url.encode(hashlib.sha256(members.encode()).digest())


def test_coordinates_keep_leading_zero_bytes() -> None:
    keys = [fixed_key(secret) for secret in range(1, 400)]
    short = [key for key in keys if base64url.decode(str(key.public.jwk()["x"]))[0] == 0]
    assert short, "no key of the range has a leading zero byte"
    for key in short:
        assert len(str(key.public.jwk()["x"])) == len(str(key.public.jwk()["y"])) == 43
        assert PublicKey.from_jwk(key.public.jwk()).kid == key.kid


def test_signature_is_what_another_library_accepts(key: SigningKey, issue_one: Callable[..., Card]) -> None:
    card = issue_one()
    registry = jose.JWSRegistry({"zip": HeaderParameter("Compression", "str")}, algorithms=["ES256"])
    done = jose.deserialize_compact(
        card.jws, ECKey.import_key({name: str(value) for name, value in key.public.jwk().items()}), registry=registry
    )
    assert list(done.headers()) == ["zip", "alg", "kid"]


@pytest.mark.parametrize(
    ("code", "member", "value"),
    [
        ("jwk-not-es256", "kty", "RSA"),
        ("jwk-not-es256", "crv", "secp256k1"),
        ("jwk-not-es256", "use", "enc"),
        ("jwk-not-es256", "alg", "ES256K"),
        ("jwk-private", "d", "AAAA"),
        ("jwk-invalid", "x", None),
        ("jwk-invalid", "x", "AAAA"),
        ("jwk-invalid", "y", base64url.encode(bytes(32))),
        ("base64url-padding", "x", "A" * 43 + "="),
        ("kid-not-thumbprint", "kid", "my-key"),
    ],
)
def test_published_keys_that_are_not_taken(code: str, member: str, value: object, key: SigningKey) -> None:
    refused(code, member, value, key)


def test_pem_round_trip_with_and_without_passphrase(key: SigningKey) -> None:
    assert SigningKey.from_pem(key.pem()).kid == key.kid
    encrypted = key.pem(b"correct horse")
    assert b"ENCRYPTED" in encrypted
    assert SigningKey.from_pem(encrypted, b"correct horse").kid == key.kid


@pytest.mark.parametrize(
    ("written", "given", "code"),
    [(b"right", b"wrong", "key-unreadable"), (b"right", None, "key-passphrase"), (None, b"any", "key-passphrase")],
)
def test_passphrase_that_does_not_fit(key: SigningKey, written: bytes | None, given: bytes | None, code: str) -> None:
    with pytest.raises(CardError) as raised:
        SigningKey.from_pem(key.pem(written), given)
    assert raised.value.code == code


def test_other_kinds_of_key_are_refused() -> None:
    with pytest.raises(CardError, match="key-not-p256"):
        SigningKey(ec.generate_private_key(ec.SECP384R1()))
    other = rsa.generate_private_key(65537, 2048).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    with pytest.raises(CardError, match="key-not-p256"):
        SigningKey.from_pem(other)
    with pytest.raises(CardError, match="key-unreadable"):
        SigningKey.from_pem(b"not a key")


def test_a_key_is_not_shown_by_accident(key: SigningKey) -> None:
    assert repr(key) == f"SigningKey({key.kid})"
