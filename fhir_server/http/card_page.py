"""A card as a page: to look at, to print on paper, and to hand to a wallet. No scripts, nothing from elsewhere.

https://hl7.org/fhir/uv/smart-health-cards-and-links/cards-specification.html#user-retrieves-health-cards

Everything variable is escaped in one place (`_text`); the style is allowed by its hash, so nothing else can come in.
"""

import hashlib
from base64 import b64encode
from collections.abc import Sequence
from html import escape

from fhir_server import languages
from fhir_server.http.card_face import Face
from fhir_server.languages import N_

_STYLE = """
:root { color-scheme: light; font: 16px/1.5 system-ui, sans-serif; color: #16202c; background: #f3f5f7 }
body { margin: 0; padding: min(1rem, 3vw); overflow-wrap: break-word }
main { max-width: 44rem; margin: auto; padding: min(1.5rem, 4vw); background: #fff; border: 1px solid #cdd5de;
  border-radius: 8px }
h1 { margin: 0; font-size: 1.1rem; color: #36506c }
h2 { margin: .5rem 0 0; font-size: 1.6rem }
p { margin: .25rem 0 }
.warning { padding: .75rem; border: 2px solid #a4262c; border-radius: 6px; color: #7a1418; font-weight: 600 }
.code { margin: 1rem 0; width: 60mm; max-width: 100% }
.code svg { display: block; width: 100%; height: auto }
table { width: 100%; border-collapse: collapse; margin: 1rem 0; font-size: .95rem }
th, td { padding: .4rem .5rem; text-align: left; vertical-align: top; overflow-wrap: anywhere;
  border-bottom: 1px solid #cdd5de }
th { white-space: nowrap }
td { min-width: 5.5em }
nav { display: flex; flex-wrap: wrap; gap: .5rem; margin-top: 1rem }
nav a { box-sizing: border-box; max-width: 100%; padding: .6rem 1rem; border-radius: 6px;
  background: #1c4f82; color: #fff; text-decoration: none }
nav a.plain { background: none; color: #1c4f82; text-decoration: underline }
a:focus-visible { outline: 3px solid #e08a00; outline-offset: 2px }
.small { font-size: .85rem; color: #44515f }
@media screen and (max-width: 34rem) {
  .code { width: 100% }
  thead { position: absolute; left: -99rem }
  tr { display: block; padding: .5rem 0; border-bottom: 1px solid #cdd5de }
  td { display: flex; gap: 1rem; padding: .1rem 0; border: 0; overflow-wrap: anywhere }
  td::before { content: attr(data-name); flex: 0 0 min(7.5rem, 35%); color: #44515f }
  td:empty { display: none }
}
@media print {
  :root { background: none; font-size: 11pt }
  body { padding: 0 }
  main { border: 0; padding: 0; max-width: none }
  nav, .screen { display: none }
  .code { width: 60mm }
}
@page { margin: 15mm }
"""
_HASH = b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()

HEADERS = {
    "content-security-policy": f"default-src 'none'; style-src 'sha256-{_HASH}'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "cache-control": "private, no-store",
}
"""The page shows personal data under a secret address: neither is to leave it."""


_PRIVATE = N_("Keep the address of this page to yourself: whoever knows it can see this card.")


def page(face: Face, name: str, code: bytes, wallet: str | None, renewal: str | None = None) -> bytes:
    """The HTML of a card at the address `name`, with its QR code as an SVG. `wallet` is the deep link, if any;
    `renewal` leads to a new card where this one no longer counts."""

    def say(sentence: str) -> str:
        return _text(languages.say(sentence, face.language))

    links = [
        (f"{name}.smart-health-card", N_("Save for a wallet app"), ""),
        (f"{name}.pdf?lang={face.language}", N_("PDF to print"), ""),
        (f"{name}.png", N_("QR code as a picture"), "plain"),
    ]
    if wallet is not None:
        links.insert(0, (wallet, N_("Open in a wallet app"), ""))
    if renewal is not None and face.warning is not None:
        links.insert(0, (renewal, N_("Sign in and get a new card"), ""))
    anchors = "".join(f'<a class="{kind}" href="{_text(href)}">{say(words)}</a>' for href, words, kind in links)
    for other in languages.languages():
        if other != face.language:
            own = _text(languages.own_name(other))
            anchors += f'<a class="plain" lang="{other}" href="{_text(name)}?lang={other}">{own}</a>'
    warning = f'<p class="warning" role="alert">{_text(face.warning)}</p>' if face.warning else ""
    rows = "".join(f"<tr>{_named(face.columns, row)}</tr>" for row in face.doses)
    notes = "".join(f"<p>{_text(note)}</p>" for note in face.notes)
    return (
        f'<!doctype html><html lang="{face.language}"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1"><meta name="robots" content="noindex">'
        f"<title>{_text(face.title)}</title><style>{_STYLE}</style></head><body><main>"
        f"<h1>{_text(face.title)}</h1><h2>{_text(face.name)}</h2><p>{_text(face.born)}</p>{warning}"
        f'<div class="code">{code.decode()}</div>'
        f"<table><thead><tr>{_cells('th', face.columns)}</tr></thead>"
        f"<tbody>{rows}</tbody></table>"
        f'{notes}<p class="small">{_text(face.scan)}</p><p class="small screen">{say(_PRIVATE)}</p>'
        f"<nav>{anchors}</nav></main></body></html>"
    ).encode()


def _cells(tag: str, texts: Sequence[str]) -> str:
    return "".join(f"<{tag}>{_text(text)}</{tag}>" for text in texts)


def _text(value: str) -> str:
    return escape(value, quote=True)


def _named(names: Sequence[str], texts: Sequence[str]) -> str:
    """Cells that say what they are where there is no room for columns."""
    pairs = zip(names, texts, strict=True)
    return "".join(f'<td data-name="{_text(name)}">{_text(text)}</td>' for name, text in pairs)
