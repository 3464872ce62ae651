"""Entries: what searches can find a resource by; they live in the resource's own document.

https://hl7.org/fhir/R4/search.html
"""

from dataclasses import dataclass, field
from typing import Any, NotRequired, TypedDict

from fhir_server.fhir.condition import SEPARATOR


class Span(TypedDict):
    """A half-open range [lo, hi) under label `p`, sortable text; dates also have [a, z), the calendar days written."""

    p: str
    lo: str
    hi: str
    a: NotRequired[str]
    z: NotRequired[str]


@dataclass(slots=True)
class Entries:
    """The index entries of one resource.

    tk  token, reference and uri keys: `param␟system|code`, `patient␟Patient/1`
    hs  the parameters that have a value at all: `lot-number`; no index is on them, only `:missing` asks
    st  string keys: `family␟smith␟Smith`, `name␟lopez`, `code:text␟covid`; documents hold the folded part in tk, too
    rk  first-stage keys of every range in d: `date␟a<lo>`, `date␟z<hi>`
    d   the exact ranges
    so  {parameter: {a: lowest, z: highest}} sort keys
    pt  `Patient/<id>` of the patient compartment; org `Organization/<id>` that own it; lb security labels `system|code`
    ix  the edition of the rules that made all this (edition.py)
    """

    tk: list[str] = field(default_factory=list)
    hs: list[str] = field(default_factory=list)
    st: list[str] = field(default_factory=list)
    rk: list[str] = field(default_factory=list)
    d: list[Span] = field(default_factory=list)
    so: dict[str, dict[str, str]] = field(default_factory=dict)
    pt: list[str] = field(default_factory=list)
    org: list[str] = field(default_factory=list)
    lb: list[str] = field(default_factory=list)
    ix: int = 0

    def document(self) -> dict[str, Any]:
        """These entries as members of a MongoDB document."""
        return {
            "tk": self.tk,
            "hs": self.hs,
            "st": self.st,
            "rk": self.rk,
            "d": self.d,
            "so": self.so,
            "pt": self.pt,
            "org": self.org,
            "lb": self.lb,
            "ix": self.ix,
        }

    def span(self, label: str, lo: str, hi: str) -> None:
        """Add a range without calendar days (numbers and quantities)."""
        self.d.append({"p": label, "lo": lo, "hi": hi})
        self.rk += (f"{label}{SEPARATOR}a{lo}", f"{label}{SEPARATOR}z{hi}")

    def days(self, label: str, lo: str, hi: str, a: str, z: str) -> None:
        """Add a range of time with the calendar days it was written with."""
        self.d.append({"p": label, "lo": lo, "hi": hi, "a": a, "z": z})
        self.rk += (f"{label}{SEPARATOR}a{lo}", f"{label}{SEPARATOR}z{hi}")

    def sort(self, name: str, lowest: str, highest: str) -> None:
        """Widen the sort key of a parameter to include [lowest, highest]."""
        known = self.so.get(name)
        if known is None:
            self.so[name] = {"a": lowest, "z": highest}
            return
        if lowest < known["a"]:
            known["a"] = lowest
        if highest > known["z"]:
            known["z"] = highest
