"""Shelf: what is held of one kind, by canonical, made when it is first asked for.

https://hl7.org/fhir/R4/references.html#canonical
"""

from collections.abc import Callable, Iterator
from typing import Generic, TypeVar

T = TypeVar("T")


class Shelf(Generic[T]):
    """Values by URL and version. Of a canonical without a version the first one put here counts."""

    def __init__(self) -> None:
        self._makers: dict[str, dict[str, Callable[[], T]]] = {}
        self._made: dict[tuple[str, str], T] = {}

    def put(self, url: str, version: str, make: Callable[[], T]) -> None:
        """Hold what `make` gives under `url|version`."""
        self._makers.setdefault(url, {}).setdefault(version, make)

    def find(self, canonical: str) -> T | None:
        """The value of that version, of the first one where that version is not held, or None."""
        url, _, version = canonical.partition("|")
        versions = self._makers.get(url)
        if versions is None:
            return None
        held = version if version in versions else next(iter(versions))
        found = self._made.get((url, held))
        if found is None:
            found = self._made[url, held] = versions[held]()
        return found

    def has(self, canonical: str) -> bool:
        """Whether that very version is held; any version where the canonical names none."""
        url, _, version = canonical.partition("|")
        versions = self._makers.get(url)
        return versions is not None and (not version or version in versions)

    def versions(self, url: str) -> tuple[str, ...]:
        """The versions held of a URL."""
        return tuple(self._makers.get(url, ()))

    def __iter__(self) -> Iterator[str]:
        """Every URL held."""
        return iter(self._makers)
