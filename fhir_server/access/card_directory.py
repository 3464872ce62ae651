"""The directory of card issuers that are trusted: a snapshot in a file, signed where its key is given.

https://hl7.org/fhir/uv/smart-health-cards-and-links/cards-specification.html#trust
"""

from pathlib import Path

from smart_health_cards import PublicKey, TrustList, strict_json


def load(snapshot: Path, key: Path | None = None) -> TrustList:
    """The issuers of a snapshot (VCI format). With a `key` (a JWK), it is a JWS that this key has signed.

    CardError for what is neither, or signed by another; OSError.
    """
    content = snapshot.read_bytes()
    if key is None:
        return TrustList.from_snapshot(content)
    return TrustList.from_signed_snapshot(content, PublicKey.from_jwk(strict_json.parse(key.read_bytes(), "The key")))
