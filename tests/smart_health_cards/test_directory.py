import json
from typing import Any

import pytest

from smart_health_cards import CardError, SigningKey, TrustList, base64url, strict_json
from tests.smart_health_cards.conftest import fixed_key

ISS = "https://health.example/shc"


def info(iss: str, *keys: SigningKey, **more: object) -> dict[str, object]:
    return {"issuer": {"iss": iss, "name": f"Name of {iss}"}, "keys": [key.public.jwk(3) for key in keys], **more}


def test_snapshot_gives_issuers_keys_and_lists(key: SigningKey) -> None:
    crl = {"kid": key.kid, "method": "rid", "ctr": 3, "rids": ["abc.5"]}
    snapshot = {
        "directory": "https://d.example",
        "time": "2024-07-01T00:00:00Z",
        "issuerInfo": [info(ISS, key, crls=[crl])],
    }
    trust = TrustList.from_snapshot(json.dumps(snapshot).encode())
    known = trust.issuers[ISS].keys[key.kid]
    assert trust.issuers[ISS].name == f"Name of {ISS}"
    assert known.crl_version == 3
    assert known.revocations is not None
    assert known.revocations.revokes("abc", 4)
    assert trust.skipped == ()


def test_bad_entries_are_skipped_and_told(key: SigningKey) -> None:
    broken = {"kty": "RSA", "kid": "x"}
    entries = [
        info("http://plain.example", key),
        {"issuer": {"iss": ISS}, "keys": [broken, key.public.jwk()], "crls": [{"kid": key.kid}]},
        "nonsense",
    ]
    trust = TrustList.from_snapshot({"issuerInfo": entries})
    assert set(trust.issuers) == {ISS}
    assert trust.issuers[ISS].name == ISS
    assert set(trust.issuers[ISS].keys) == {key.kid}
    assert [skipped.code for skipped in trust.skipped] == [
        "iss-not-https",
        "revocation-list-invalid",
        "jwk-not-es256",
        "iss-missing",
    ]


def test_an_issuer_listed_twice_has_the_keys_of_both(key: SigningKey) -> None:
    other = fixed_key(7)
    trust = TrustList.from_snapshot({"issuerInfo": [info(ISS, key), info(ISS, other)]})
    assert set(trust.issuers[ISS].keys) == {key.kid, other.kid}
    merged = trust | TrustList.from_jwks("https://b.example", {"keys": [other.public.jwk()]}, trusted=False)
    assert {issuer.iss: issuer.trusted for issuer in merged.issuers.values()} == {ISS: True, "https://b.example": False}


@pytest.mark.parametrize(
    ("published", "read"), [(3, 3), ("3", 3), (None, None), (True, None), ("x", None), (-1, None), ("²", None)]
)
def test_counter_may_be_a_string(key: SigningKey, published: object, read: int | None) -> None:
    trust = TrustList.from_jwks(ISS, {"keys": [{**key.public.jwk(), "crlVersion": published}]})
    assert trust.issuers[ISS].keys[key.kid].crl_version == read


def test_what_is_no_list_is_refused(key: SigningKey) -> None:
    with pytest.raises(CardError, match="snapshot-invalid"):
        TrustList.from_snapshot({})
    with pytest.raises(CardError, match="json-invalid"):
        TrustList.from_snapshot(b"<html>")
    with pytest.raises(CardError, match="jwks-invalid"):
        TrustList.from_jwks(ISS, b"{}")
    with pytest.raises(CardError, match="iss-not-https"):
        TrustList.from_jwks("http://health.example", {"keys": []})
    assert TrustList.from_jwks("http://localhost:8000/shc", {"keys": [key.public.jwk()]}).issuers


def test_a_signed_snapshot_is_taken_from_its_signer_only(key: SigningKey) -> None:
    snapshot = {"issuerInfo": [{"issuer": {"iss": "https://a.example", "name": "A"}, "keys": [key.public.jwk()]}]}
    signer, other = fixed_key(7), fixed_key(8)

    def signed(header: dict[str, str], content: dict[str, Any]) -> bytes:
        texts = ".".join(base64url.encode(strict_json.minify(part)) for part in (header, content))
        return f"{texts}.{base64url.encode(signer.sign(texts.encode()))}\n".encode()

    document = signed({"alg": "ES256", "kid": signer.kid}, snapshot)
    assert set(TrustList.from_signed_snapshot(document, signer.public).issuers) == {"https://a.example"}
    body = document.split(b".")
    changed = b".".join([body[0], base64url.encode(strict_json.minify({"issuerInfo": []})).encode(), body[2]])
    for bad, by in (
        (document, other.public),
        (changed, signer.public),
        (signed({"alg": "none"}, snapshot), signer.public),
        (signed({"alg": "ES256", "zip": "DEF"}, snapshot), signer.public),
        (strict_json.minify(snapshot), signer.public),
    ):
        with pytest.raises(CardError, match="snapshot-not-signed"):
            TrustList.from_signed_snapshot(bad, by)
