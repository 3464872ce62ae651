"""SMART Health Cards, issued and verified: a library on its own, bytes and JSON values in and out.

https://hl7.org/fhir/uv/smart-health-cards-and-links/cards-specification.html

Issue, draw, read and verify:

    key = SigningKey.generate()
    issuer = Issuer("https://health.example/shc", group_of=lambda dose: "covid-19")
    issued = issue(issuer, key, patient, immunizations, not_before=now, log=entries.append)
    picture = png(issued.cards[0].jws)
    trust = TrustList.from_jwks(issuer.iss, {"keys": [key.public.jwk()]})
    report = verify(picture, trust, at=now)[0]
    assert report.accepted and report.content.doses

| what | where |
|---|---|
| `SigningKey`, `PublicKey`, `KeyFolder` (keys on disk, key set) | keys, key_folder |
| `Issuer` (who signs, by which rules), `issue`, `prepare` + `release` | issuer, issue, card |
| `Issued`: `cards` (`Card`: jws, bundle, entry, placed), `left_out` (`LeftOut`: position, code, text) | card, plan |
| `check` (the vaccination profile: list of `Finding`) | profile |
| `png`, `svg`, `numeric`, `parse` (QR code), `read_picture` (PNG, JPEG) | qr, picture; fast_qr draws faster |
| `write_file`, `read_file`, `deep_link` (`.smart-health-card`) | file |
| `rid`, `RevocationList` | revocation |
| `Link`; `encrypt`, `decrypt` (SMART Health Links and their files) | links; jwe |
| `TrustList`, `verify` (a `Report` of `Verdict`s and `Content` for each card) | directory, verify, report |

Every refusal is a `CardError(code, text)`; `verify` never raises. No function reads a clock, fetches an address or
keeps anything, `KeyFolder` apart. All of it needs `cryptography` and `qrcode`; only reading pictures needs
pillow and zxing-cpp, too.
"""

from smart_health_cards.card import Card, Draft, LogEntry, Placed, release
from smart_health_cards.directory import TrustList
from smart_health_cards.error import CardError
from smart_health_cards.file import deep_link
from smart_health_cards.file import read as read_file
from smart_health_cards.file import write as write_file
from smart_health_cards.issue import Issued, Prepared, issue, prepare
from smart_health_cards.issuer import Issuer
from smart_health_cards.key_folder import KeyFolder, KeyRecord
from smart_health_cards.keys import PublicKey, SigningKey
from smart_health_cards.picture import read as read_picture
from smart_health_cards.plan import LeftOut
from smart_health_cards.profile import Finding, check
from smart_health_cards.qr import numeric, parse, png, svg
from smart_health_cards.report import Content, Dose, Report, Verdict
from smart_health_cards.revocation import RevocationList, rid
from smart_health_cards.verify import verify

__all__ = [
    "Card",
    "CardError",
    "Content",
    "Dose",
    "Draft",
    "Finding",
    "Issued",
    "Issuer",
    "KeyFolder",
    "KeyRecord",
    "LeftOut",
    "LogEntry",
    "Placed",
    "Prepared",
    "PublicKey",
    "Report",
    "RevocationList",
    "SigningKey",
    "TrustList",
    "Verdict",
    "check",
    "deep_link",
    "issue",
    "numeric",
    "parse",
    "png",
    "prepare",
    "read_file",
    "read_picture",
    "release",
    "rid",
    "svg",
    "verify",
    "write_file",
]
