"""World: what a check may look at beyond the value in hand: its resource, what references reach, value sets.

https://hl7.org/fhir/R4/bundle.html#references
"""

from collections.abc import Callable
from functools import cached_property
from typing import Any

from profiles.guides import Library

CodeAllowed = Callable[[str, str | None, str], bool | None]
"""(canonical of a value set, system or None for a plain code, code) -> is it in the set; None: that cannot be told."""


MOST_EXPRESSIONS = 1_000
"""Constraints one check evaluates by the library, 0.1 ms each; a large resource could hold any number."""


class World:
    """One check of one resource. `near` is the guide (`name#version`) in which unversioned canonicals are looked up,
    `around` the Bundle whose entries references may reach, if the resource stands in one."""

    def __init__(
        self,
        resource: dict[str, Any],
        library: Library,
        near: str,
        code_allowed: CodeAllowed | None,
        *,
        must_support: bool,
        thorough: bool,
        around: dict[str, Any] | None = None,
    ) -> None:
        self.resource = resource
        self._around = around or resource
        self.library = library
        self.near = near
        self.must_support = must_support
        self.thorough = thorough
        self.container = resource
        """The resource whose contained ones `#id` reaches; it changes on the way through a Bundle."""
        self.known: dict[tuple[int, str], bool] = {}
        """What is known, or assumed while it is looked into, of whether a value meets a profile."""
        self._allowed = code_allowed
        self._left = MOST_EXPRESSIONS

    def resolve(self, reference: str) -> dict[str, Any] | None:
        """The resource a reference reaches without leaving the one that is checked, or None."""
        if reference.startswith("#"):
            if reference == "#":
                return self.container
            return next((c for c in _dicts(self.container.get("contained")) if c.get("id") == reference[1:]), None)
        return self._entries.get(reference.partition("/_history/")[0]) if self._entries else None

    def affords(self) -> bool:
        """Whether one more expression may be evaluated by the library; asking counts it."""
        self._left -= 1
        return self._left >= 0

    @property
    def is_exhausted(self) -> bool:
        """Whether more expressions were asked for than are evaluated."""
        return self._left < 0

    def holds(self, value_set: str, system: str | None, code: str) -> bool | None:
        """Whether a code is in a value set: what the caller knows, else what the guides do; None if neither."""
        told = self._allowed(value_set, system, code) if self._allowed is not None else None
        return self.library.holds(value_set, system, code, self.near) if told is None else told

    def member_of(self, value_set: str, value: Any) -> bool | None:
        """Whether a code, Coding or CodeableConcept has a code of the value set; None if that cannot be told."""
        url = value_set.partition("|")[0]
        told = [self.holds(url, system, code) for system, code in codes(value)]
        return True if True in told else None if None in told else False

    @cached_property
    def _entries(self) -> dict[str, dict[str, Any]]:
        found: dict[str, dict[str, Any]] = {}
        if self._around.get("resourceType") != "Bundle":
            return found
        for entry in _dicts(self._around.get("entry")):
            resource, url = entry.get("resource"), entry.get("fullUrl")
            if type(resource) is not dict:
                continue
            if type(url) is str:
                found[url] = resource
            found.setdefault(f"{resource.get('resourceType')}/{resource.get('id')}", resource)
        return found


def codes(value: Any) -> list[tuple[str | None, str]]:
    """(system, code) of a code, Coding, CodeableConcept or Quantity; those without a code are left out."""
    if type(value) is str:
        return [(None, value)]
    if type(value) is not dict:
        return []
    listed = _dicts(value.get("coding")) if "coding" in value else [value]
    return [(c.get("system", ""), c["code"]) for c in listed if type(c.get("code")) is str]


def _dicts(values: Any) -> list[dict[str, Any]]:
    return [each for each in values if type(each) is dict] if type(values) is list else []
