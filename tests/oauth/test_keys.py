"""https://openid.net/specs/openid-connect-core-1_0.html#RotateSigKeys

Keys that sign id_tokens, and key sets of clients that are fetched.
"""

import stat
from pathlib import Path
from typing import Any

import pytest
from joserfc import jwt
from joserfc.jwk import KeySet

from fhir_server.access.key_sets import AGAIN_SECONDS, KEPT_SECONDS, KeySets, UnusableKeyError, usable
from fhir_server.access.token_keys import AFTER, AHEAD, PERIOD, TokenKeys
from tests.oauth.conftest import EC, KEYS, RSA
from tests.oauth.test_external import Elsewhere

URI = "https://keys.example/jwks.json"


def test_a_key_is_published_before_it_signs_and_some_time_after(tmp_path: Path) -> None:
    keys = TokenKeys(tmp_path / "keys" / "tokens")
    start = 200 * PERIOD
    first = keys.published(start - AHEAD - 1)["keys"]
    assert len(first) == 1
    both = keys.published(start - AHEAD)["keys"]
    assert len(both) == 2

    def signer(now: int) -> str:
        token = keys.sign({"iss": "x"}, now)
        published = KeySet.import_key_set({"keys": keys.published(now)["keys"]})
        kid: str = jwt.decode(token, published, algorithms=["RS256"]).header["kid"]
        return kid

    assert signer(start - 1) == first[0]["kid"]
    assert signer(start) != first[0]["kid"]
    assert first[0] in keys.published(start + AFTER)["keys"]
    assert first[0] not in keys.published(start + AFTER + 1)["keys"]
    assert len(list((tmp_path / "keys" / "tokens").iterdir())) == 1


def test_keys_are_private(tmp_path: Path) -> None:
    keys = TokenKeys(tmp_path / "keys" / "tokens")
    keys.ensure(0)
    [path] = keys.folder.glob("*.json")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(keys.folder.stat().st_mode) == 0o700
    path.chmod(0o640)
    with pytest.raises(PermissionError, match="chmod go="):
        keys.ensure(0)


async def test_key_sets_are_kept_and_fetched_again(monkeypatch: pytest.MonkeyPatch) -> None:
    site = Elsewhere(pages={URI: {"keys": KEYS["keys"][:1]}})
    now = [0.0]
    sets = KeySets(site, clock=lambda: now[0])
    await sets.key(None, URI, "rsa-1", "RS384")
    site.pages[URI] = KEYS
    with pytest.raises(UnusableKeyError):
        await sets.key(None, URI, "ec-1", "ES384")
    assert len(site.asked) == 1
    now[0] = AGAIN_SECONDS
    await sets.key(None, URI, "ec-1", "ES384")
    await sets.key(None, URI, "rsa-1", "RS384")
    assert len(site.asked) == 2
    now[0] += KEPT_SECONDS
    await sets.key(None, URI, "rsa-1", "RS384")
    assert len(site.asked) == 3


SETS: dict[str, Any] = {
    "no keys": {},
    "keys are no list": {"keys": {}},
    "a key is a text": {"keys": ["x"]},
    "nothing there": None,
}


@pytest.mark.parametrize("what", SETS)
async def test_what_is_no_key_set(what: str) -> None:
    site = Elsewhere(pages={} if SETS[what] is None else {URI: SETS[what]})
    with pytest.raises(UnusableKeyError):
        await KeySets(site).key(None, URI, "ec-1", "ES384")


RSA_PUBLIC, EC_PUBLIC = KEYS["keys"]
UNFIT: dict[str, tuple[dict[str, Any], str]] = {
    "of another kind": (RSA_PUBLIC, "ES384"),
    "of another curve": (EC_PUBLIC, "ES256"),
    "to encrypt": ({**RSA_PUBLIC, "use": "enc"}, "RS384"),
    "for another algorithm": ({**RSA_PUBLIC, "alg": "RS256"}, "RS384"),
    "not to verify": ({**RSA_PUBLIC, "key_ops": ["sign"]}, "RS384"),
    "private": ({**EC.as_dict(private=True)}, "ES384"),
    "without a part": ({name: RSA_PUBLIC[name] for name in ("kty", "n")}, "RS384"),
    "not on the curve": ({**EC_PUBLIC, "x": EC_PUBLIC["y"]}, "ES384"),
    "too short": ({"kty": "RSA", "n": "0" * 171, "e": "AQAB"}, "RS384"),
    "with an n that is a number": ({**RSA_PUBLIC, "n": 5}, "RS384"),
}


@pytest.mark.parametrize("what", UNFIT)
def test_keys_that_do_not_fit(what: str) -> None:
    with pytest.raises(UnusableKeyError):
        usable(*UNFIT[what])
    assert RSA
