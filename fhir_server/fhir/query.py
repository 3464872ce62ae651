"""Query: from a search's parameters to a SearchRequest.

https://hl7.org/fhir/R4/search.html
"""

from collections.abc import Sequence
from dataclasses import dataclass

from fhir_server.fhir import results
from fhir_server.fhir.condition import Condition
from fhir_server.fhir.criteria import Chain, Criteria, Has, Link, Listed, UnknownParameterError, criteria, filter, join
from fhir_server.fhir.outcome import Issue, refuse
from fhir_server.fhir.results import Include, Sort, Summary, Total

__all__ = ["Chain", "Criteria", "Has", "Include", "Link", "Listed", "SearchRequest", "Sort", "criteria", "parse"]

LIMIT = 1000
"""The largest page; a higher `_count` is lowered to it."""

PARAMETERS = 100
"""A search may have this many parameters."""

SHAPING = frozenset({"_format", "_pretty"})
"""Parameters that only shape the answer, whatever it is."""

_ONCE = frozenset({"_count", "_total", "_summary", "_elements", "_contained", "_containedType", "_sort"})


@dataclass(frozen=True, slots=True)
class SearchRequest:
    """A search as understood.

    `count` is None where none was asked for. `understood` are the parameters for the `self` link, in order, without
    `_format` and `_pretty`, which are `shape`; `ignored` says, under lenient handling, which were passed over.
    """

    criteria: Criteria
    sort: tuple[Sort, ...] = ()
    count: int | None = None
    total: Total | None = None
    summary: Summary | None = None
    elements: tuple[str, ...] = ()
    includes: tuple[Include, ...] = ()
    understood: tuple[tuple[str, str], ...] = ()
    ignored: tuple[Issue, ...] = ()
    shape: tuple[tuple[str, str], ...] = ()

    @property
    def type(self) -> str:
        """The resource type searched."""
        return self.criteria.type

    @property
    def where(self) -> Condition:
        """What a resource's own index entries must satisfy."""
        return self.criteria.where

    @property
    def links(self) -> tuple[Link, ...]:
        """Chains, reverse chains and lists, all of which must hold, too."""
        return self.criteria.links


def parse(
    type: str, pairs: Sequence[tuple[str, str]], lenient: bool = False, base: str = "", limit: int = LIMIT
) -> SearchRequest:
    """The search that decoded `pairs` of name and value ask for on resources of `type` (`Resource` for any).

    `base` is the server's own URL without a slash at its end, `limit` the largest page. FhirError 400 naming the
    parameter: unknown (unless `lenient`), a modifier or value that does not fit, a shaping parameter given twice.
    """
    if len(pairs) > PARAMETERS:
        raise refuse(400, "too-costly", "too-many-parameters", f"A search has at most {PARAMETERS} parameters.")
    shape = _Shape(type, limit)
    parts: list[Condition | Link] = []
    understood: list[tuple[str, str]] = []
    ignored: list[Issue] = []
    shaping: list[tuple[str, str]] = []
    for name, value in pairs:
        if name in SHAPING:
            shaping.append((name, value))
            continue
        if shape.accept(name, value):
            understood.append((name, str(shape.count) if name == "_count" else value))
            continue
        try:
            parts.append(filter(type, name, value, base))
        except UnknownParameterError as error:
            if not lenient:
                raise
            ignored += (
                Issue(issue.code, issue.detail, f"{issue.text} It was ignored.", issue.expression, "warning")
                for issue in error.issues
            )
            continue
        understood.append((name, value))
    return SearchRequest(
        join(type, parts),
        shape.sort,
        shape.count,
        shape.total,
        shape.summary,
        shape.elements,
        tuple(shape.includes),
        tuple(understood),
        tuple(ignored),
        tuple(shaping),
    )


class _Shape:
    """The shaping parameters met so far."""

    def __init__(self, type: str, limit: int) -> None:
        self.type, self.limit = type, limit
        self.seen: set[str] = set()
        self.sort: tuple[Sort, ...] = ()
        self.count: int | None = None
        self.total: Total | None = None
        self.summary: Summary | None = None
        self.elements: tuple[str, ...] = ()
        self.includes: list[Include] = []

    def accept(self, name: str, value: str) -> bool:
        """Take the parameter if it shapes the answer."""
        if name in self.seen:
            raise refuse(400, "invalid", "repeated-parameter", f"{name} may be given once.", name)
        if name in _ONCE:
            self.seen.add(name)
        plain = name.partition(":")[0]
        if plain in ("_include", "_revinclude"):
            self.includes.append(results.include(name, value))
        elif name == "_sort":
            self.sort = results.sort(self.type, value)
        elif name == "_count":
            self.count = min(results.count(value), self.limit)
        elif name == "_total":
            self.total = results.total(value)
        elif name == "_summary":
            self.summary = results.summary(value)
        elif name == "_elements":
            self.elements = results.wanted(self.type, value)
        elif name == "_contained":
            results.contained(value)
        elif name == "_containedType":
            results.contained_type(value)
        else:
            return False
        return True
