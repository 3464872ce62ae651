"""Forges hostile cards from a description (attacks.json), with keys of our own.

A description changes a good card at the places it names and leaves the rest right, the signature included: so each
is refused for its own reason. Members, applied in this order:

- `set`, `drop`: dotted paths in {"header": .., "claims": ..}; `rename_kid` makes the header's kid another key's.
- `header`, `payload`: raw texts instead; `{claims}` stands for the good claims' members.
- `encode`: how the payload becomes bytes; `signature`: how it is signed; `text`: what becomes of the finished text.
  Their words are the keys of the three tables at the end.
- `check`, `code`: the check that must fail, and the reason it must give.
"""

import hashlib
import hmac
import json
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric import utils

from smart_health_cards import SigningKey, base64url, numeric

CASES: list[dict[str, Any]] = json.loads(Path(__file__).with_name("attacks.json").read_text())


def forge(case: dict[str, Any], key: SigningKey, other: SigningKey, claims: dict[str, Any]) -> str:
    document = {"header": {"zip": "DEF", "alg": "ES256", "kid": key.kid}, "claims": json.loads(json.dumps(claims))}
    for path, value in case.get("set", {}).items():
        _at(document, path)[_last(path)] = value
    for path in case.get("drop", []):
        del _at(document, path)[_last(path)]
    if case.get("rename_kid"):
        document["header"]["kid"] = other.kid
    header = case.get("header", json.dumps(document["header"])).replace("{kid}", key.kid)
    good = json.dumps(document["claims"], separators=(",", ":"))
    payload = case.get("payload", good).replace("{claims}", good[1:-1]).encode("utf-8", "surrogatepass")
    start = f"{base64url.encode(header.encode())}.{base64url.encode(_ENCODE[case.get('encode', 'raw')](payload))}"
    signature = _SIGN[case.get("signature", "right")](start.encode(), key, other)
    return _TEXT[case.get("text", "same")](f"{start}.{base64url.encode(signature)}")


def _at(document: Any, path: str) -> Any:
    for step in path.split(".")[:-1]:
        document = document[int(step) if step.isdigit() else step]
    return document


def _last(path: str) -> Any:
    step = path.rpartition(".")[2]
    return int(step) if step.isdigit() else step


def _deflate(data: bytes, wbits: int = -15, level: int = 9) -> bytes:
    stream = zlib.compressobj(level, zlib.DEFLATED, wbits)
    return stream.compress(data) + stream.flush()


def _der(data: bytes, key: SigningKey) -> bytes:
    signature = key.sign(data)
    return utils.encode_dss_signature(int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:], "big"))


def _header_swapped(text: str) -> str:
    header = '{"alg":"ES256","zip":"DEF","kid":"A"}'
    return ".".join([base64url.encode(header.encode()), *text.split(".")[1:]])


def _lax_bits(text: str) -> str:
    """Another last character that lenient decoders read as the same 64 bytes."""
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    return text[:-1] + alphabet[alphabet.index(text[-1]) + 1]


_ENCODE: dict[str, Callable[[bytes], bytes]] = {
    "raw": _deflate,
    "stored": lambda data: _deflate(data, level=0),
    "zlib": lambda data: _deflate(data, wbits=15),
    "gzip": lambda data: _deflate(data, wbits=31),
    "plain": lambda data: data,
    "truncated": lambda data: _deflate(data)[:-3],
    "trailing": lambda data: _deflate(data) + b"\0",
    "second-stream": lambda data: _deflate(data) + _deflate(b"{}"),
    "bomb": lambda data: _deflate(data[:-1] + b" " * 30_000_000 + b"}"),
    "just-too-large": lambda data: _deflate(data[:-1] + b" " * 65_536 + b"}"),
    "nested": lambda data: _deflate(data[:-1] + b',"x":' + b"[" * 20_000 + b"]" * 20_000 + b"}"),
    "long-number": lambda data: _deflate(data[:-1] + b',"x":' + b"9" * 5_000 + b"}"),
    "bom": lambda data: _deflate(b"\xef\xbb\xbf" + data),
    "utf-16": lambda data: _deflate(data.decode().encode("utf-16")),
    "latin-1": lambda data: _deflate(data.replace(b"Anyperson", b"\xc9ny")),
    "empty": lambda data: b"",
    "nothing": lambda data: _deflate(b""),
}
_SIGN: dict[str, Callable[[bytes, SigningKey, SigningKey], bytes]] = {
    "right": lambda data, key, other: key.sign(data),
    "der": lambda data, key, other: _der(data, key),
    "zero": lambda data, key, other: bytes(64),
    "all-ones": lambda data, key, other: b"\xff" * 64,
    "empty": lambda data, key, other: b"",
    "short": lambda data, key, other: key.sign(data)[:63],
    "long": lambda data, key, other: key.sign(data) + b"\0",
    "other-key": lambda data, key, other: other.sign(data),
    "flipped": lambda data, key, other: bytes([(signed := key.sign(data))[0] ^ 1]) + signed[1:],
    "swapped": lambda data, key, other: (signed := key.sign(data))[32:] + signed[:32],
    "of-payload-only": lambda data, key, other: key.sign(data.partition(b".")[2]),
    "hmac": lambda data, key, other: hmac.digest(json.dumps(key.public.jwk()).encode(), data, hashlib.sha256),
    "hmac-doubled": lambda data, key, other: 2 * hmac.digest(str(key.public.jwk()["x"]).encode(), data, hashlib.sha256),
}
_TEXT: dict[str, Callable[[str], str]] = {
    "same": lambda text: text,
    "padded-signature": lambda text: text + "==",
    "padded-header": lambda text: text.replace(".", "=.", 1),
    "four-parts": lambda text: text + ".AAAA",
    "two-parts": lambda text: text.rpartition(".")[0],
    "no-signature": lambda text: text.rpartition(".")[0] + ".",
    "detached": lambda text: ".".join([text.split(".")[0], "", text.split(".")[2]]),
    "space-inside": lambda text: text.replace(".", ". ", 1),
    "newline-inside": lambda text: text.replace(".", ".\n", 1),
    "standard-base64": lambda text: text.replace("-", "+").replace("_", "/") + "+",
    "lax-bits": _lax_bits,
    "header-swapped": _header_swapped,
    "huge": lambda text: text.replace(".", "." + "A" * 100_000, 1),
    "bom": lambda text: "\ufeff" + text,
    "nul": lambda text: text + "\0",
    "fullwidth": lambda text: text.replace(".", "\uff0e"),
    "prefixed-jws": lambda text: "shc:/" + text,
    "qr-odd": lambda text: numeric(text) + "1",
    "qr-letter": lambda text: numeric(text)[:-1] + "x",
    "qr-range": lambda text: numeric(text)[:-2] + "99",
    "qr-arabic": lambda text: numeric(text)[:-1] + "\u0661",
    "qr-chunk": lambda text: numeric(text).replace("shc:/", "shc:/1/2/"),
    "qr-truncated": lambda text: numeric(text)[:-44],
    "file-duplicate": lambda text: f'{{"verifiableCredential":[],"verifiableCredential":["{text}"]}}',
    "file-empty": lambda text: '{"verifiableCredential":[]}',
    "file-string": lambda text: json.dumps({"verifiableCredential": text}),
    "file-object": lambda text: json.dumps({"verifiableCredential": [{"jws": text}]}),
    "file-trailing": lambda text: json.dumps({"verifiableCredential": [text]}) + "x",
    "file-padded-entry": lambda text: json.dumps({"verifiableCredential": [f" {text}"]}),
    "json-jws": lambda text: json.dumps(dict(zip(("protected", "payload", "signature"), text.split("."), strict=True))),
    "link": lambda text: "shlink:/eyJ1cmwiOiJodHRwczovL3guZXhhbXBsZSJ9",
    "link-in-viewer": lambda text: "https://viewer.example/#shlink:/eyJ1cmwiOiJodHRwczovL3guZXhhbXBsZSJ9",
    "deep-link-empty": lambda text: "https://app.example/SMARTHealthCard/#",
    "empty": lambda text: "",
    "blank": lambda text: " \n\t",
}
