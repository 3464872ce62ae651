"""Errors: what cannot be answered about a code, a value set or a concept map.

https://hl7.org/fhir/R4/terminology-service.html
"""


class TerminologyError(LookupError):
    """Base of all; the message is a sentence for a person."""


class UnknownSystemError(TerminologyError):
    """A code system this library does not hold."""


class UnknownCodeError(TerminologyError):
    """A code that is not in its system."""


class UnknownValueSetError(TerminologyError):
    """A value set that is not held, or that another one is made of."""


class UnknownConceptMapError(TerminologyError):
    """A concept map that is not held, or none between what was named."""


class CyclicValueSetError(TerminologyError):
    """A value set that is made of itself."""


class TooCostlyError(TerminologyError):
    """An expansion of more codes than can be listed."""


class UnsupportedFilterError(TerminologyError):
    """A composition by a rule this library does not know."""
