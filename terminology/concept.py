"""Concept: a code of a code system and what is said of it.

https://hl7.org/fhir/R4/codesystem-definitions.html#CodeSystem.concept
"""

from typing import Any, Literal, NamedTuple

Kind = Literal["code", "Coding", "string", "integer", "boolean", "dateTime", "decimal"]


class Designation(NamedTuple):
    """Another name of a concept. `use` is a Coding, or None."""

    language: str
    value: str
    use: Any = None


class Property(NamedTuple):
    """`value` is a FHIR JSON value of type `kind`."""

    code: str
    kind: Kind
    value: Any


class Concept(NamedTuple):
    """`parents` are the codes directly above. `start` and `end` are the days of use, both included, as ISO dates.

    `abstract`: it groups others and is not to be used itself. `inactive`: whatever the day, it is no longer used.
    """

    code: str
    display: str
    definition: str = ""
    designations: tuple[Designation, ...] = ()
    properties: tuple[Property, ...] = ()
    parents: tuple[str, ...] = ()
    abstract: bool = False
    inactive: bool = False
    start: str | None = None
    end: str | None = None

    def named(self, language: str) -> str:
        """The name in that language (`es`, `es-US`), else the display."""
        wanted = language.partition("-")[0].lower()
        for designation in self.designations:
            if designation.language.partition("-")[0].lower() == wanted:
                return designation.value
        return self.display

    def names(self) -> tuple[str, ...]:
        """The display and every designation."""
        return (self.display, *(designation.value for designation in self.designations))

    def is_active(self, day: str | None = None) -> bool:
        """Whether it is in use: on that ISO day, or without one at all still."""
        if self.inactive:
            return False
        if day is None:
            return self.end is None
        return (self.start is None or self.start <= day) and (self.end is None or day <= self.end)
