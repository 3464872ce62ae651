"""Formats: the two a request or an answer may be in, and which of them a client wants.

https://hl7.org/fhir/R4/http.html#mime-type
"""

import re
from functools import lru_cache
from typing import Literal

_VERSION = "4.0"
_is_quality = re.compile(r"0(\.[0-9]{0,3})?|1(\.0{0,3})?").fullmatch

Format = Literal["json", "xml"]

_FORMATS: tuple[Format, ...] = ("json", "xml")
_NAMES: dict[str, Format] = {
    name: format
    for format in _FORMATS
    for name in (f"application/fhir+{format}", f"application/{format}", f"text/{format}", format)
}
_RANGES = {"*/*": 1, "text/*": 2, "application/*": 2}
# Browsers ask for HTML and know XML; a person reads JSON more easily.
_READ_AS_JSON = "text/html"


def essence(media_type: str) -> str:
    """The media type without its parameters, in lower case."""
    return media_type.partition(";")[0].strip().lower()


def named(media_type: str) -> Format | None:
    """The format this Content-Type or `_format` names; None for others, another FHIR version or charset."""
    found = _NAMES.get(essence(media_type))
    return found if found is not None and _is_spoken(_parameters(media_type)) else None


def is_fhir(media_type: str) -> bool:
    """Whether this names one of FHIR's formats, in whichever version or charset."""
    return essence(media_type) in _NAMES


def accepts(accept: str, media_type: str) -> bool:
    """Whether an Accept header takes this media type."""
    kind = essence(media_type)
    found: dict[str, float] = {}
    for item in accept.split(","):
        weight = _parameters(item).get("q", "1")
        found[essence(item)] = float(weight) if _is_quality(weight) else 1.0
    ranges = (kind, f"{kind.partition('/')[0]}/*", "*/*")
    return next((found[each] for each in ranges if each in found), 0.0) > 0


@lru_cache(maxsize=64)
def negotiated(accept: str) -> Format | None:
    """The format an Accept header likes best, None if it takes neither.

    A format's quality is that of the most specific range it falls in. Of equal ones the more specific wins, then the
    one named first, then JSON.
    """
    found: dict[Format, tuple[int, float, int]] = {}
    for position, item in enumerate(accept.split(",")):
        parameters = _parameters(item)
        if not _is_spoken(parameters):
            continue
        weight = parameters.get("q", "1")
        quality = float(weight) if _is_quality(weight) else 1.0
        for format, specificity in _covered(essence(item)).items():
            found[format] = max(found.get(format, (0, 0.0, 0)), (specificity, quality, -position))
    ranked = [(quality, specificity, place, f == "json", f) for f, (specificity, quality, place) in found.items()]
    best = max((rank for rank in ranked if rank[0] > 0), key=lambda rank: rank[:4], default=None)
    return best and best[4]


def _covered(media_range: str) -> dict[Format, int]:
    """The formats in a media range, and how specific it is about them."""
    if media_range in _RANGES:
        return dict.fromkeys(_FORMATS, _RANGES[media_range])
    format: Format | None = "json" if media_range == _READ_AS_JSON else _NAMES.get(media_range)
    return {format: 3} if format is not None else {}


def _is_spoken(parameters: dict[str, str]) -> bool:
    """Whether this is the FHIR version spoken here, in UTF-8."""
    version = parameters.get("fhirversion", _VERSION)
    charset = parameters.get("charset", "utf-8").lower()
    return (version == _VERSION or version.startswith(f"{_VERSION}.")) and charset in ("utf-8", "utf8")


def _parameters(media_type: str) -> dict[str, str]:
    """The parameters of a media type: `fhirVersion=4.0` as {"fhirversion": "4.0"}."""
    if ";" not in media_type:
        return {}
    items = (item.partition("=") for item in media_type.split(";")[1:])
    return {name.strip().lower(): value.strip().strip('"') for name, _, value in items}
