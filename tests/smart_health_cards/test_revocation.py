import hashlib
import hmac

import pytest

from smart_health_cards import CardError, RevocationList, base64url, rid

SECRET = bytes(range(32))


def test_rid_is_the_first_64_bits_of_the_recommended_hmac() -> None:
    digest = hmac.new(SECRET + b"kid", b"p1|covid-19", hashlib.sha256).digest()
    assert rid(SECRET, "kid", "p1|covid-19") == base64url.encode(digest[:8])
    assert len(rid(SECRET, "kid", "x")) == 11
    assert rid(SECRET, "kid", "x") != rid(SECRET, "other", "x") != rid(SECRET, "kid", "y")


def test_secret_of_another_length_is_refused() -> None:
    with pytest.raises(CardError, match="rid-secret-length"):
        rid(b"short", "kid", "x")


def test_revoking_lists_each_rid_once_with_its_latest_moment() -> None:
    listed = RevocationList("kid", 1, {})
    listed = listed.revoke("abc", 100).revoke("def", 200).revoke("abc", 150)
    assert listed.document() == {"kid": "kid", "method": "rid", "ctr": 4, "rids": ["abc.150", "def.200"]}
    assert listed.revoke("abc", 150) is listed
    assert listed.revoke("abc", 20) is listed


def test_the_moment_separates_revoked_from_reissued() -> None:
    listed = RevocationList("kid", 1, {"abc": 1636977600})
    assert listed.revokes("abc", 1636977599)
    assert listed.revokes("abc", 1636977599.5)
    assert not listed.revokes("abc", 1636977600)
    assert not listed.revokes("xyz", 0)


def test_a_bare_rid_revokes_for_ever() -> None:
    document = {"kid": "kid", "method": "rid", "ctr": "7", "rids": ["abc", "abc.5", "def.5", "def.9", "def.7"]}
    listed = RevocationList.read(document)
    assert listed.ctr == 7
    assert listed.rids == {"abc": None, "def": 9}
    assert listed.revokes("abc", 10**12)
    assert listed.revoke("abc", 10**9) is listed
    assert RevocationList.read(listed.document()) == listed


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"kid": None}, "revocation-list-invalid"),
        ({"ctr": True}, "revocation-list-invalid"),
        ({"ctr": "one"}, "revocation-list-invalid"),
        ({"rids": "abc"}, "revocation-list-invalid"),
        ({"rids": ["a b"]}, "revocation-list-invalid"),
        ({"rids": ["abc.soon"]}, "revocation-list-invalid"),
        ({"rids": [5]}, "revocation-list-invalid"),
        ({"method": "hash"}, "revocation-list-method"),
    ],
)
def test_documents_that_are_no_list(change: dict[str, object], code: str) -> None:
    with pytest.raises(CardError) as raised:
        RevocationList.read({"kid": "kid", "method": "rid", "ctr": 1, "rids": [], **change})
    assert raised.value.code == code
