"""Wording: what a scope means, as the consent page says it.

https://hl7.org/fhir/smart-app-launch/scopes-and-launch-context.html
"""

from collections.abc import Mapping

from fhir_server.access import scopes
from fhir_server.languages import N_, say

_IMPLIED = frozenset({"launch", "launch/patient", "launch/encounter", "fhirUser", "profile"})
"""Follow from what else is allowed; nobody is asked about them."""
_WHOLE: Mapping[str, str] = {
    "openid": N_("Know who you are"),
    "offline_access": N_("Stay connected when you are away"),
    "online_access": N_("Stay connected while you are signed in"),
}
_WHOSE: Mapping[str, str] = {
    "patient": N_("this person's records"),
    "user": N_("all records you may use"),
}
_DOES: Mapping[tuple[bool, bool], str] = {
    (True, False): N_("Read: {what} ({whose})"),
    (False, True): N_("Change: {what} ({whose})"),
    (True, True): N_("Read and change: {what} ({whose})"),
}
"""By whether it reads, and whether it writes."""


def is_implied(scope: str) -> bool:
    """Whether a scope is granted without asking."""
    return scope in _IMPLIED


def of(scope: str, language: str) -> str:
    """The scope as a sentence."""
    parsed = scopes.parse(scope)
    if parsed is None:
        return say(_WHOLE[scope], language) if scope in _WHOLE else scope
    what = say(N_("records of all kinds"), language) if parsed.type == "*" else parsed.type
    if parsed.query:
        what = say(N_("{what}, only: {query}"), language, {"what": what, "query": parsed.query})
    does = _DOES[bool(set(parsed.verbs) & set("rs")), bool(set(parsed.verbs) & set("cud"))]
    return say(does, language, {"what": what, "whose": say(_WHOSE[parsed.level], language)})
