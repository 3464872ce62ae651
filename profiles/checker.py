"""Checker: does a resource meet a profile; every breach with its place, severity and sentence.

https://hl7.org/fhir/R4/profiling.html

Looked at: R4's structure (profiles/structure.py), invariants, extensible bindings and extension definitions of the
whole resource (profiles/base.py), and what the profile asks: cardinality, types, fixed values and patterns, slices,
bindings, constraints, reference targets. Not looked at: whether references that leave the resource reach anything.
"""

from collections.abc import Iterable
from typing import Any

from profiles import base, structure
from profiles.follow import by_definition, by_profile
from profiles.guides import Library, shipped
from profiles.issue import Issue
from profiles.problem import LIMIT, Problem
from profiles.rules import Profile
from profiles.world import MOST_EXPRESSIONS, CodeAllowed, World

__all__ = ["CodeAllowed", "Library", "check", "is_judgeable", "profile_issues"]

_SHAPELESS = ("structure", "too-costly")
_SHAPELESS_DETAILS = ("missing-resource-type", "empty-value")


def check(
    resource: dict[str, Any],
    url: str,
    code_allowed: CodeAllowed | None = None,
    *,
    library: Library | None = None,
    must_support: bool = False,
) -> list[Issue]:
    """Everything wrong with a parsed JSON resource as R4 and as the profile `url` (`url|version`, or a base type).

    It meets the profile if no issue's severity is "error". `must_support` adds an "information" for each element the
    profile marks as must-support that is absent. KeyError if the library (else what is shipped) has no such profile.
    """
    library = library or Library(shipped())
    profile = library.find(url)
    if profile is None:
        raise KeyError(url)
    issues = structure.check(resource)
    if not is_judgeable(issues):
        return issues
    return issues + profile_issues(resource, [profile], library, code_allowed, must_support=must_support)


def is_judgeable(issues: Iterable[Issue]) -> bool:
    """Whether a resource with these structural issues is shaped well enough for profiles to be looked at.

    Missing elements, wrong codes and broken invariants leave the shape; what is no array, object or element of R4 would
    show again in every rule about it.
    """
    return not any(
        issue.severity == "error" and (issue.code in _SHAPELESS or issue.detail in _SHAPELESS_DETAILS)
        for issue in issues
    )


def profile_issues(
    resource: dict[str, Any],
    profiles: Iterable[Profile],
    library: Library,
    code_allowed: CodeAllowed | None = None,
    *,
    must_support: bool = False,
    thorough: bool = True,
    around: dict[str, Any] | None = None,
) -> list[Issue]:
    """What is wrong with a resource beyond its structure, which is judgeable.

    `thorough` looks at the whole resource too (R4's other invariants, extensible bindings, extension definitions), not
    only at what the profiles name. `around` is the Bundle the resource stands in.
    """
    root = resource["resourceType"]
    problems: list[Problem] = []
    examined: set[str] = set()
    for profile in profiles:
        world = World(
            resource,
            library,
            profile.guide,
            code_allowed,
            must_support=must_support,
            thorough=thorough,
            around=around,
        )
        if profile.guide not in examined:
            # Extensions are judged once for each guide: it decides which version of a definition is meant.
            examined.add(profile.guide)
            problems += base.problems(resource, world, by_definition) or ()
        problems += by_profile(profile, resource, root, world) or ()
        if world.is_exhausted:
            text = f"There are more than {MOST_EXPRESSIONS:,} constraints to evaluate; the others were left out."
            problems.append(Problem("", "too-costly", "constraint-not-evaluated", text, "information"))
    distinct = dict.fromkeys(problems)
    issues = [Issue(p.code, p.detail, p.text, (root + p.where,), p.severity) for p in list(distinct)[:LIMIT]]
    if len(distinct) > LIMIT:
        text = f"There are more problems; the first {LIMIT} are listed."
        issues.append(Issue("informational", "more-problems", text, severity="information"))
    return issues
