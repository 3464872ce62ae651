"""Bound: are the codes of a value in the value set a profile binds its element to, by the binding's strength.

https://hl7.org/fhir/R4/terminologies.html#strength

Required, and the maximum of an extensible binding: an error. Extensible: a warning, also for a code of another system,
for it may be that the set does have a code for this (docs/api/profiles.md). Text alone is never a breach of extensible.
"""

from typing import Any

from profiles.problem import Problem, Problems
from profiles.world import World, codes


def problems(strength: str, url: str, value: Any, where: str, world: World) -> Problems:
    """What is wrong with a code, Coding, CodeableConcept or Quantity under this binding.

    One coding of the value set is enough. Where membership cannot be told, that is an information.
    """
    found = codes(value)
    if not found:
        return _uncoded(strength, url, value, where)
    told = [world.holds(url, system, code) for system, code in found]
    if True in told:
        return None
    listed = ", ".join(f"{system}|{code}" if system is not None else code for system, code in found[:5])
    if None in told:
        if not world.thorough:
            return None
        text = f"Whether {listed[:200]} is in the value set {url} ({strength}) cannot be told here."
        return [Problem(where, "informational", "binding-not-checked", text, "information")]
    if strength == "extensible":
        text = f"{listed[:200]} is not in the value set {url} (extensible): use a code of the set if one fits."
        return [Problem(where, "code-invalid", "code-not-in-extensible-value-set", text, "warning")]
    text = f"{listed[:200]} is not in the value set {url} ({strength})."
    return [Problem(where, "code-invalid", "code-not-in-value-set", text)]


def _uncoded(strength: str, url: str, value: Any, where: str) -> Problems:
    """A required binding asks for a code; an extension may stand for it."""
    if strength != "required" or type(value) is not dict or "extension" in value or not value:
        return None
    text = f"Without a code, nothing is in the value set {url} (required)."
    return [Problem(where, "code-invalid", "code-not-in-value-set", text)]
