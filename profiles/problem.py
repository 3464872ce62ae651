"""Problem: a fault in a JSON value, and where it is relative to that value.

https://hl7.org/fhir/R4/operationoutcome-definitions.html#OperationOutcome.issue.expression

A check returns None when all is well, so valid resources build no paths; on the way up, parents put their names before.
"""

from collections.abc import Iterable
from typing import Any, NamedTuple

from profiles.issue import Severity


class Problem(NamedTuple):
    """`where` is the rest of a FHIRPath (`.name[0].given[1]`); `code`, `detail` and `text` are those of an Issue.

    `local` is the id of a contained resource whose absence is the problem: whoever holds it drops the problem.
    """

    where: str
    code: str
    detail: str
    text: str
    severity: Severity = "error"
    local: str | None = None


Problems = list[Problem] | None

LIMIT = 1000
"""A check stops looking for more: a hostile body could hold a problem in every other byte."""


def under(prefix: str, problems: Iterable[Problem]) -> list[Problem]:
    """The same problems, seen from the parent that holds the value at `prefix` (`.name[0]`)."""
    return [p._replace(where=prefix + p.where) for p in problems]


def joined(one: Problems, other: Problems) -> Problems:
    """Both lists in order, the first one extended in place; None if neither has an entry."""
    if one and other:
        one.extend(other)
        return one
    return one or other


def sound(problems: Problems) -> bool:
    """Whether a value's shape can be relied on: it has no error but, at most, unsettled local references."""
    return problems is None or all(p.severity != "error" or p.local is not None for p in problems)


def step(name: Any) -> str:
    """A member name as a step of a FHIRPath, quoted with backticks where it is no plain identifier."""
    text = str(name)
    if text.isidentifier() and text.isascii():
        return f".{text}"
    return ".`" + text.replace("\\", "\\\\").replace("`", "\\`") + "`"
