"""Contained resources: their rules, and whether local references (`#id`) reach one.

https://hl7.org/fhir/R4/references.html#contained
"""

from typing import Any

from profiles.problem import Problem, Problems


def faults(resources: Any) -> Problems:
    """What the container's rules (dom-2, dom-4, dom-5) and unique ids say against an array of contained resources."""
    problems = []
    seen: set[str] = set()
    for index, resource in enumerate(resources if type(resources) is list else ()):
        if type(resource) is dict:
            where = f".contained[{index}]"
            problems += [Problem(where + p.where, *p[1:]) for p in _faults(resource, seen)]
    return problems or None


def settled(resource: Any, problems: list[Problem]) -> Problems:
    """The problems without those of local references that reach a contained resource, or the container (`#`)."""
    found = resource.get("contained") if type(resource) is dict else None
    ids = {c.get("id") for c in found if type(c) is dict and type(c.get("id")) is str} if type(found) is list else set()
    return [p for p in problems if p.local is None or (p.local and p.local not in ids)] or None


def local_reference(target: str) -> Problem:
    """The problem that `#id` reaches nothing, until the container settles it."""
    text = f'The reference "{target[:80]}" needs a contained resource with that id; there is none (ref-1).'
    return Problem(".reference", "invariant", "invariant-ref-1", text, local=target[1:])


def _faults(resource: dict[str, Any], seen: set[str]) -> list[Problem]:
    problems = []
    name = resource.get("id")
    if name is None:
        text = "A contained resource needs an id, so that it can be referred to."
        problems.append(Problem(".id", "required", "missing-element", text))
    elif type(name) is str:
        if name in seen:
            text = f'Two contained resources have the id "{name[:64]}".'
            problems.append(Problem(".id", "duplicate", "duplicate-contained-id", text))
        seen.add(name)
    if "contained" in resource:
        text = "dom-2: A contained resource SHALL NOT contain resources of its own."
        problems.append(Problem(".contained", "invariant", "invariant-dom-2", text))
    meta = resource.get("meta")
    for member, key in (("versionId", "dom-4"), ("lastUpdated", "dom-4"), ("security", "dom-5")):
        if type(meta) is dict and member in meta:
            text = f"{key}: A contained resource SHALL NOT have a meta.{member}."
            problems.append(Problem(f".meta.{member}", "invariant", f"invariant-{key}", text))
    return problems
