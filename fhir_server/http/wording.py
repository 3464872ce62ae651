"""Wording: what a scope means, as the consent page says it.

https://hl7.org/fhir/smart-app-launch/scopes-and-launch-context.html
"""

from fhir_server.access import scopes
from fhir_server.http.pages import words

_IMPLIED = frozenset({"launch", "launch/patient", "launch/encounter", "fhirUser", "profile"})
"""Follow from what else is allowed; nobody is asked about them."""


def is_implied(scope: str) -> bool:
    """Whether a scope is granted without asking."""
    return scope in _IMPLIED


def of(scope: str, language: str) -> str:
    """The scope as a sentence."""
    say, parsed = words(language), scopes.parse(scope)
    if parsed is None:
        return say.get(f"scope.{scope}", scope)
    what = say["scope.all"] if parsed.type == "*" else parsed.type
    if parsed.query:
        what += say["scope.only"].format(query=parsed.query)
    reads, writes = set(parsed.verbs) & set("rs"), set(parsed.verbs) & set("cud")
    kind = "both" if reads and writes else "read" if reads else "write"
    return say[f"scope.{kind}"].format(what=what, whose=say[f"scope.{parsed.level}"])
