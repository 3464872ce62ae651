"""References: how one resource names another, in one normal form for indexing and searching.

https://hl7.org/fhir/R4/references.html
"""

import re
from dataclasses import dataclass
from typing import Any

from profiles.definitions import RESOURCE_TYPES

ID = re.compile(r"[A-Za-z0-9\-.]{1,64}")
"""The form of a logical id."""

_LOCAL = re.compile(
    rf"(?P<type>[A-Z][A-Za-z]+)/(?P<id>{ID.pattern})(?:/_history/(?P<version>{ID.pattern}))?(?P<fragment>#.*)?"
)


@dataclass(frozen=True, slots=True)
class Local:
    """A resource of this server, perhaps in one version."""

    type: str
    id: str
    version: str | None = None

    def __str__(self) -> str:
        return f"{self.type}/{self.id}"


def normalise(text: str, base: str = "") -> str:
    """`text` without the server's own `base` URL (given without a slash at its end); other texts unchanged."""
    if base and text.startswith(base) and text[len(base) : len(base) + 1] == "/":
        return text[len(base) + 1 :]
    return text


def local(text: str, base: str = "") -> Local | None:
    """The resource of this server that `text` names, relative or under its own `base`, else None: URLs elsewhere,
    `urn:uuid:`, fragments, conditional references."""
    match = _LOCAL.fullmatch(normalise(text, base))
    if match is None or match["type"] not in RESOURCE_TYPES:
        return None
    return Local(match["type"], match["id"], match["version"])


def service(url: str) -> str | None:
    """The base, with its slash, of a resource's absolute URL (`https://a.example/fhir/Patient/1`); None for others."""
    parts = url.rsplit("/", 2)
    is_restful = len(parts) == 3 and "://" in parts[0] and local(f"{parts[1]}/{parts[2]}") is not None
    return f"{parts[0]}/" if is_restful else None


def keys(text: str, base: str = "") -> list[str]:
    """What a reference is indexed under: `Patient/1` and `*/1`, with its version also `Patient/1/_history/2`; other
    URLs and URNs as they are (canonicals also without their version). A fragment has none: it names a part."""
    found = local(text, base)
    if found is not None:
        plain = [f"{found.type}/{found.id}", f"*/{found.id}"]
        return plain if found.version is None else [*plain, f"{plain[0]}/_history/{found.version}"]
    if text.startswith("#"):
        return []
    if "/_history/" in text:
        return [text, text[: text.index("/_history/")]]
    return [text, text[: text.index("|")]] if "|" in text else [text]


def is_conditional(text: str) -> bool:
    """Whether `text` is a search (`Practitioner?identifier=s|v`) instead of a name."""
    type_name, mark, _ = text.partition("?")
    return bool(mark) and type_name in RESOURCE_TYPES


def refers_to(value: Any, target: str) -> bool:
    """Whether a Reference (or a reference's text) names a resource of type `target`, as far as it says itself."""
    text = value.get("reference") if type(value) is dict else value
    if type(text) is str:
        if text.startswith(f"{target}/") or f"/{target}/" in text:
            return True
        if not text.startswith(("#", "urn:")):
            return False
    return type(value) is dict and value.get("type") == target
