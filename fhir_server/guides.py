"""Guides: the profiles this server knows, shipped and loaded, and what it thinks of a resource that claims one.

https://hl7.org/fhir/R4/resource.html#profile-tags

Loaded guides lie in `<data>/guides/`, a file each. Whoever asks looks at the folder first, so that a guide is in use
from the moment it is there, in every worker that shares the folder, and gone when its file is.
"""

import gzip
import json
import logging
import os
import stat
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from tempfile import NamedTemporaryFile
from types import MappingProxyType
from typing import Any, Literal

from fhir_server.fhir.outcome import FhirError, Issue
from profiles.checker import CodeAllowed, profile_issues
from profiles.definitions import RESOURCE_TYPES
from profiles.guides import Guide, Library, read, shipped
from profiles.package import Package, PackageError, guide
from profiles.rules import Profile

__all__ = ["FOLDER", "Guides", "Mode", "PackageError"]

log = logging.getLogger("fhir_server.guides")

Mode = Literal["off", "warn", "refuse"]

FOLDER = "guides"
"""In the data folder."""

OURS = "fhir-server"
US_CORE = "hl7.fhir.us.core"
R4_NAME = "hl7.fhir.r4.core"

MOST_CLAIMS = 50
"""Profiles of one resource that are looked at."""

_SUFFIX = ".json.gz"


class Guides:
    """Those at hand now. `own` and `others` say what becomes of a resource that breaks a profile it claims."""

    def __init__(
        self, folder: Path, us_core: str, own: Mode, others: Mode, code_allowed: CodeAllowed | None = None
    ) -> None:
        self.folder = folder
        self.code_allowed = code_allowed
        self._preferred = {US_CORE: us_core}
        self._own, self._others = own, others
        self._seen = -1
        self._library = Library(shipped(), self._preferred)

    @property
    def library(self) -> Library:
        """Every guide, after a look whether one was loaded or removed meanwhile."""
        try:
            seen = self.folder.stat().st_mtime_ns
        except FileNotFoundError:
            seen = -1
        if seen != self._seen:
            self._library = Library((*shipped(), *self._readable()), self._preferred)
            self._seen = seen
        return self._library

    def loaded(self) -> list[Guide]:
        """The guides in the folder. PackageError for a file that is none: something else wrote it."""
        return [_opened(path) for path in self._files()]

    def _readable(self) -> Iterator[Guide]:
        """The guides in the folder; a broken file takes none of the others away."""
        for path in self._files():
            try:
                yield _opened(path)
            except PackageError as error:
                log.warning("%s", error)

    def _files(self) -> list[Path]:
        return sorted(self.folder.glob(f"*{_SUFFIX}"))

    def load(self, path: Path) -> Guide:
        """Make a package's guide one of those at hand, in place of a loaded one of the same name and version; one that
        is shipped stays as it is.

        PackageError with a sentence where it cannot be used, OSError where it cannot be read; nothing is changed then.
        """
        package = Package.read(path)
        for each in shipped():
            if (each.name, each.version) == (package.name, package.version):
                return each
        content = guide(package)
        made = Guide(content)
        _require_sound(made)
        self.folder.mkdir(parents=True, exist_ok=True)
        data = gzip.compress(json.dumps(content, separators=(",", ":")).encode(), mtime=0)
        with NamedTemporaryFile(dir=self.folder, prefix=".", delete=False) as file:
            try:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
                Path(file.name).chmod(stat.S_IRUSR | stat.S_IWUSR | stat.S_IRGRP)
                Path(file.name).replace(self.folder / f"{made.name}#{made.version}{_SUFFIX}")
            except OSError:
                Path(file.name).unlink(missing_ok=True)
                raise
        return made

    def find(self, canonical: str) -> Profile | None:
        """The profile a canonical means, None if none is known."""
        return self.library.find(canonical)

    def judge(self, resource: dict[str, Any]) -> Sequence[Issue]:
        """What a write is to be told about the profiles the resource claims; the resource is structurally valid.

        FhirError 422 where it breaks one whose breach is refused.
        """
        claimed = claims(resource)
        if not claimed or self._own == self._others == "off":
            return ()
        told: list[Issue] = []
        refused = False
        for number, canonical in claimed:
            profile = self.find(canonical)
            if profile is None:
                if self._others != "off":
                    told.append(unknown(canonical, f"{resource['resourceType']}.meta.profile[{number}]", "warning"))
                continue
            mode = self._own if profile.guide.startswith(f"{OURS}#") else self._others
            if mode != "off":
                found = self.issues(resource, [profile], thorough=False)
                refused |= mode == "refuse" and any(issue.severity == "error" for issue in found)
                told += found if mode == "refuse" else [_softened(issue) for issue in found]
        told = list(dict.fromkeys(issue for issue in told if issue.severity != "information"))
        if refused:
            raise FhirError(422, told)
        return told

    def issues(
        self,
        resource: dict[str, Any],
        profiles: Iterable[Profile],
        *,
        thorough: bool = True,
        must_support: bool = False,
        around: dict[str, Any] | None = None,
    ) -> list[Issue]:
        """What is wrong with a resource, which is judgeable, by these profiles; `around` is the Bundle it stands in."""
        return profile_issues(
            resource,
            profiles,
            self.library,
            self.code_allowed,
            must_support=must_support,
            thorough=thorough,
            around=around,
        )


@cache
def supported(us_core: str) -> Mapping[str, tuple[str, ...]]:
    """Resource type -> the profiles a CapabilityStatement names: of the shipped guides, R4's own left out.

    The version that an unversioned canonical means stands without version, others with theirs.
    """
    library = Library(shipped(), {US_CORE: us_core})
    found: dict[str, list[str]] = {}
    for each in shipped():
        for url in each.urls if each.name != R4_NAME else ():
            profile = each.profile(url)
            if profile is not None and profile.type in RESOURCE_TYPES:
                is_meant = library.find(url) is profile
                found.setdefault(profile.type, []).append(url if is_meant else profile.canonical)
    return MappingProxyType({name: tuple(sorted(urls)) for name, urls in found.items()})


def claims(resource: Mapping[str, Any]) -> list[tuple[int, str]]:
    """The profiles a resource claims, each once, with its place in `meta.profile`; of very many only the first."""
    meta = resource.get("meta")
    claimed = meta.get("profile") if type(meta) is dict else None
    places: dict[str, int] = {}
    for number, canonical in enumerate(claimed[:MOST_CLAIMS] if type(claimed) is list else ()):
        if type(canonical) is str:
            places.setdefault(canonical, number)
    return [(number, canonical) for canonical, number in places.items()]


def unknown(canonical: str, place: str, severity: Literal["error", "warning"]) -> Issue:
    """The issue that a profile is not known here."""
    text = f"The profile {canonical[:200]} is not known here, so it was not checked; fhir-server load-ig adds guides."
    return Issue("not-found", "unknown-profile", text, (place,), severity)


def _softened(issue: Issue) -> Issue:
    return replace(issue, severity="warning") if issue.severity in ("error", "fatal") else issue


def _opened(path: Path) -> Guide:
    try:
        return Guide(read(path.read_bytes()))
    except (OSError, EOFError, ValueError, KeyError, TypeError) as error:
        raise PackageError(f"{path} is no guide that load-ig made; remove it, and load the package again.") from error


def _require_sound(made: Guide) -> None:
    """PackageError where the rules of a profile cannot be followed: better now than at the first write."""
    for url in made.urls:
        try:
            profile = made.profile(url)
            assert profile is not None
            _visit(profile.rules, 0)
        except (KeyError, ValueError, TypeError, AttributeError, RecursionError) as error:
            raise PackageError(f"{made.name} {made.version}: the rules of {url} cannot be followed.") from error


def _visit(rules: Iterable[Any], depth: int) -> None:
    for rule in rules:
        _visit(rule.slices, depth + 1)
        if rule.has_children and not rule.borrows:
            for path in rule.types or {type_name for _, _, type_name in rule.members}:
                _visit(rule.children(path), depth + 1)
