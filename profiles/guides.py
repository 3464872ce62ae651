"""Guides: the profiles, extensions and value sets of packages, and which of them a canonical means.

https://hl7.org/fhir/R4/references.html#canonical
"""

import gzip
import json
from collections.abc import Iterable, Mapping
from functools import cache, cached_property
from pathlib import Path
from types import MappingProxyType
from typing import Any

from profiles import expansions
from profiles.definitions import TYPES, value_set
from profiles.rules import Profile
from profiles.snapshot import BASE

R4 = "hl7.fhir.r4.core#4.0.1"
"""The guide of R4's own definitions; as the guide to look near, it says that no other was named."""

_DATA = Path(__file__).with_name("data") / "guides"


class Guide:
    """One package: `{"name", "version", "aliases"?, "profiles": [table], "value_sets": {url: expansion}}`.

    `aliases` are pairs of how canonicals may also begin, and how they begin in the tables.
    """

    def __init__(self, content: Mapping[str, Any]) -> None:
        self.name: str = content["name"]
        self.version: str = content["version"]
        self.title: str = content.get("title", "")
        self.aliases: tuple[tuple[str, str], ...] = tuple((one, other) for one, other in content.get("aliases", ()))
        self._tables: Mapping[str, Any] = {table["url"]: table for table in content["profiles"]}
        self._profiles: dict[str, Profile] = {}
        self._value_sets: Mapping[str, Any] = content["value_sets"]

    def __repr__(self) -> str:
        return f"Guide({self.name}#{self.version})"

    @property
    def urls(self) -> Iterable[str]:
        """The canonicals, without version, of all profiles and extension definitions."""
        return self._tables.keys()

    @property
    def value_sets(self) -> Iterable[str]:
        """The canonicals, without version, of all value sets."""
        return self._value_sets.keys()

    def profile(self, url: str) -> Profile | None:
        """The profile or extension definition with this canonical (without version), under any spelling."""
        found = self._profiles.get(url)
        if found is None:
            table = self._tables.get(self._spelt(url))
            if table is None:
                return None
            found = self._profiles[url] = Profile(table, f"{self.name}#{self.version}")
        return found

    def holds(self, url: str, system: str | None, code: str) -> bool | None:
        """Whether the code is in the value set; None if the guide cannot tell."""
        expansion = self._frozen.get(url) or self._freeze(url)
        return None if expansion is None else expansions.holds(expansion, system, code)

    @cached_property
    def _frozen(self) -> dict[str, Any]:
        return {}

    def _freeze(self, url: str) -> Any:
        """The expansion with sets of codes, made when first asked for."""
        found = self._value_sets.get(url)
        if found is None:
            return None
        made = {**found, "codes": {system: frozenset(codes) for system, codes in found["codes"].items()}}
        self._frozen[url] = made
        return made

    def _spelt(self, url: str) -> str:
        for alias, prefix in self.aliases:
            if url.startswith(alias):
                return prefix + url.removeprefix(alias)
        return url


class Library:
    """All guides at hand. `preferred` is the version an unversioned canonical of a guide means: `{name: version}`."""

    def __init__(self, guides: Iterable[Guide], preferred: Mapping[str, str] = MappingProxyType({})) -> None:
        self.guides = tuple(guides)
        self._by_name = {f"{guide.name}#{guide.version}": guide for guide in self.guides}
        self._ordered = sorted(
            self.guides,
            key=lambda guide: (preferred.get(guide.name) == guide.version, _ranked(guide.version)),
            reverse=True,
        )
        self._found: dict[tuple[str, str], Profile | None] = {}

    def find(self, canonical: str, near: str = "") -> Profile | None:
        """The profile a canonical (`url` or `url|version`) means, None if none is known.

        Without a version it is that of the guide `near` (`name#version`), then the preferred one, then the newest.
        """
        key = (canonical, near)
        if key not in self._found:
            if len(self._found) > 10_000:
                self._found.clear()
            self._found[key] = self._find(canonical, near)
        return self._found[key]

    def owns(self, url: str) -> bool:
        """Whether a canonical is in the name space of a guide at hand: if it is not known, it is likely a mistake."""
        return url.rpartition("/")[0] in self._spaces

    @cached_property
    def _spaces(self) -> frozenset[str]:
        # R4's name space grows with later packages of extensions.
        return frozenset(url.rpartition("/")[0] for guide in self.guides for url in guide.urls) - {BASE.rstrip("/")}

    def versions(self, url: str) -> list[Profile]:
        """Every definition at hand with this canonical (without version)."""
        return [profile for guide in self._ordered if (profile := guide.profile(url)) is not None]

    def holds(self, value_set_url: str, system: str | None, code: str, near: str = "") -> bool | None:
        """Whether a code is in a value set of R4 or of a guide; None if no guide can tell."""
        first = self._by_name.get(near)
        for guide in (*((first,) if first else ()), *self._ordered):
            told: bool | None = guide.holds(value_set_url, system, code)
            if told is not None:
                return told
        known = value_set(value_set_url)
        return None if known is None else known.holds(code, system)

    def _find(self, canonical: str, near: str) -> Profile | None:
        url, _, version = canonical.partition("|")
        first = self._by_name.get(near)
        for guide in (*((first,) if first else ()), *self._ordered):
            profile: Profile | None = guide.profile(url)
            if profile is not None and (not version or _same(version, profile.version)):
                return profile
        name = url.removeprefix(BASE)
        if url != name and name in TYPES and (not version or _same(version, "4.0.1")):
            return _base(name)
        return None


@cache
def shipped() -> tuple[Guide, ...]:
    """The guides that come with this library."""
    return tuple(Guide(read(path.read_bytes())) for path in sorted(_DATA.glob("*.json.gz")))


def read(data: bytes) -> Any:
    """A guide's content from its gzipped JSON."""
    return json.loads(gzip.decompress(data))


@cache
def _base(name: str) -> Profile:
    row = {"name": name}
    table = {"url": BASE + name, "version": "4.0.1", "title": name, "type": name, "base": "", "rules": row}
    return Profile(table, R4)


def _same(asked: str, version: str) -> bool:
    """Whether `asked` is the version, or its first parts (`6.1` means 6.1.0)."""
    return asked == version or version.startswith(f"{asked}.")


def _ranked(version: str) -> tuple[tuple[int, int | str], ...]:
    """A version as something to sort by; numbers as numbers."""
    return tuple((1, int(part)) if part.isdigit() else (0, part) for part in version.replace("-", ".").split("."))
