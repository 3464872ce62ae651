"""Index: a resource's index entries, and whether they satisfy a condition.

https://hl7.org/fhir/R4/search.html
"""

from dataclasses import dataclass, field
from typing import Any, NotRequired, TypedDict


class Span(TypedDict):
    """A half-open range [lo, hi) of parameter or label `p`, sortable text; for dates also [a, z), the calendar days as
    written."""

    p: str
    lo: str
    hi: str
    a: NotRequired[str]
    z: NotRequired[str]


@dataclass(slots=True)
class Entries:
    """What searches can find a resource by; lives in the resource's own document.

    tk  token, reference, uri and presence keys: `param␟system|code`, `patient␟Patient/1`, `has␟lot-number`
    st  string keys: `family␟smith`, `family:exact␟Smith`
    rk  first-stage keys of every range in d: `date␟a<lo>`, `date␟z<hi>`
    d   the exact ranges
    so  {parameter: {a: lowest, z: highest}} sort keys
    pt  `Patient/<id>` of the patient compartment; org `Organization/<id>` that own it; lb security labels `system|code`
    """

    tk: list[str] = field(default_factory=list)
    st: list[str] = field(default_factory=list)
    rk: list[str] = field(default_factory=list)
    d: list[Span] = field(default_factory=list)
    so: dict[str, dict[str, str]] = field(default_factory=dict)
    pt: list[str] = field(default_factory=list)
    org: list[str] = field(default_factory=list)
    lb: list[str] = field(default_factory=list)

    def document(self) -> dict[str, Any]:
        """These entries as members of a MongoDB document."""
        return {
            "tk": self.tk,
            "st": self.st,
            "rk": self.rk,
            "d": self.d,
            "so": self.so,
            "pt": self.pt,
            "org": self.org,
            "lb": self.lb,
        }
