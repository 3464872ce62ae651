"""Policy: a caller's scopes and roles, compiled to the one predicate that stands in every query.

https://hl7.org/fhir/smart-app-launch/scopes-and-launch-context.html

Pure. Every scope reaches what its level (patient, user, system), the caller's roles and its own search all allow; what
the scopes reach together exists for the caller.
"""

from dataclasses import replace
from functools import lru_cache, partial

from fhir_server.access import visibility
from fhir_server.access.provenance import provenance
from fhir_server.access.scopes import Scope, grants, parsed
from fhir_server.access.visibility import both, either
from fhir_server.caller import Access, Caller, Predicate, Verb, unscoped
from fhir_server.fhir.condition import Condition
from fhir_server.fhir.outcome import FhirError, refuse
from profiles.definitions import RESOURCE_TYPES

_SCOPED: tuple[Verb, ...] = ("c", "r", "u", "d", "s")
_MOST_KNOWN = 4_096


def access(caller: Caller, now: int, least: int = 11) -> Access:
    """What exists for this caller at `now` (microseconds since 1970), and what may be done with it. Those who only
    learn numbers learn none below `least`."""
    ended = {patient for patient, until in caller.proxies if until and until <= now}
    if ended:
        patients, patient = caller.patients - ended, "" if caller.patient in ended else caller.patient
        caller = replace(caller, patients=patients, patient=patient)
    return _compiled(caller, least)


@lru_cache(maxsize=_MOST_KNOWN)
def _compiled(caller: Caller, least: int) -> Access:
    rules = _Rules(caller, parsed(caller.scopes))
    steward = visibility.is_steward(caller)
    named = None if steward else frozenset(f"Patient/{id}" for id in caller.patients)
    return Access(
        rules,
        witness=partial(provenance, caller),
        organization="" if steward else caller.organization,
        patients=named,
        least=least if visibility.is_statistician(caller) else 0,
        places=rules.places() if steward else frozenset(),
        level=rules.level,
    )


class _Rules:
    """The conditions of one caller, each made when it is first asked for."""

    def __init__(self, caller: Caller, scopes: tuple[Scope, ...]) -> None:
        self._caller = caller
        self._scopes = scopes
        self._made: dict[tuple[Verb | None, str], Condition | None] = {}

    def __call__(self, verb: Verb | None, resource_type: str) -> Condition | None:
        try:
            return self._made[verb, resource_type]
        except KeyError:
            made = self._made[verb, resource_type] = self._make(verb, resource_type)
            return made

    @property
    def level(self) -> str:
        """The level of the caller's scopes; of an app that has several, the one that its launch was for."""
        levels = {scope.level for scope in self._scopes} or {"user"}
        return "patient" if self._caller.patient and "patient" in levels else max(levels)

    def places(self) -> frozenset[str]:
        """The types of which a system may create resources under ids of its own."""
        systems = [scope for scope in self._scopes if scope.level == "system"]
        return frozenset(each for each in RESOURCE_TYPES if grants(systems, "c", each))

    def _make(self, verb: Verb | None, resource_type: str) -> Condition | None:
        wanted: tuple[Verb, ...] = _SCOPED if verb is None else ("s" if verb == "n" else verb,)
        scopes = [scope for scope in self._scopes if any(scope.covers(each, resource_type) for each in wanted)]
        if not scopes:
            return None
        if verb == "n":
            allowed = visibility.countable(self._caller, self._caller.patients, resource_type)
        elif verb is None or verb in ("r", "s"):
            allowed = visibility.readable(self._caller, self._caller.patients, resource_type)
        else:
            allowed = visibility.writable(self._caller, self._caller.patients, verb, resource_type)
        return either([self._reach(scope, allowed, resource_type) for scope in scopes])

    def _reach(self, scope: Scope, allowed: Condition, resource_type: str) -> Condition:
        parts = [allowed, scope.where(resource_type)]
        if scope.level == "patient":
            parts.insert(0, visibility.in_compartment(self._caller.patient, resource_type))
        return both(parts)


def require(caller: Caller, predicate: Predicate, needs: tuple[tuple[str, str], ...], roles: frozenset[str]) -> None:
    """FhirError 403 unless the scopes reach all of `needs` (`("Patient", "rs")`) and the caller has one of `roles`
    (none named: any role will do). Under `--dev` everybody may do everything."""
    if not isinstance(predicate, Access):
        return
    if roles and not roles & caller.roles:
        raise beyond_role()
    lacking = [(each, _lacking(predicate, each, verbs)) for each, verbs in needs]
    if any(verbs for _, verbs in lacking):
        raise unscoped(predicate, *((each, verbs) for each, verbs in lacking if verbs))


def _lacking(access: Access, resource_type: str, verbs: str) -> str:
    return "".join(verb for verb in _SCOPED if verb in verbs and access.rules(verb, resource_type) is None)


def beyond_role() -> FhirError:
    """403: this is for others."""
    return refuse(403, "forbidden", "beyond-role", "This is not for callers of your role.")
