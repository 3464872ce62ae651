"""CVX, MVX and NDC as code systems, and the maps between them.

https://www2.cdc.gov/vaccines/iis/iisstandards/vaccines.asp
"""

from collections.abc import Callable, Iterator, Mapping
from decimal import Decimal
from typing import Any

from terminology import codes
from terminology.code_system import CodeSystem
from terminology.concept import Concept, Designation, Property
from terminology.concept_map import ConceptMap, Group, Target
from terminology.systems import CVX, MVX, NDC, OWN

VERSION = "2025-12"
"""When the source was published."""
VACCINE_GROUP = f"{OWN}/CodeSystem/vaccine-group"
NDC_TO_CVX, NDC_TO_MVX = f"{OWN}/ConceptMap/ndc-to-cvx", f"{OWN}/ConceptMap/ndc-to-mvx"
CVX_TO_GROUP = f"{OWN}/ConceptMap/cvx-to-vaccine-group"

_USE = (("from", "dateTime"), ("to", "dateTime"))
_CVX = (("kind", "code"), ("group", "code"), ("unspecified", "boolean"), ("brand", "string"))
_LABEL = (("dose-ml", "decimal"), ("cap-color", "string"))
_MONTHS = (("min-age-months", "integer"), ("max-age-months", "integer"))
_NDC = (("cvx", "Coding"), ("mvx", "Coding"), ("unit", "code"))


def cvx(spanish: Mapping[str, str]) -> CodeSystem:
    """Vaccines administered. Each code's kind, groups, days of use, ages and brands are its properties."""

    def said(code: str, entry: Mapping[str, Any]) -> Iterator[Property]:
        yield Property("kind", "code", entry["kind"])
        for group in entry["groups"]:
            yield Property("group", "code", group)
        if codes.is_unspecified(code):
            yield Property("unspecified", "boolean", True)
        for name, month in zip(("min-age-months", "max-age-months"), entry.get("months", ()), strict=False):
            if month is not None:
                yield Property(name, "integer", month)
        for brand in entry.get("brands", ()):
            yield Property("brand", "string", brand)
        if "ml" in entry:
            yield Property("dose-ml", "decimal", Decimal(entry["ml"]))
        if "cap" in entry:
            yield Property("cap-color", "string", entry["cap"])

    concepts = _concepts(codes.table("cvx"), said, spanish)
    return _system(
        CVX, "CVX", "Vaccines administered (CVX)", "12.292", concepts, codes.cvx_code, (*_CVX, *_MONTHS, *_LABEL)
    )


def mvx(spanish: Mapping[str, str]) -> CodeSystem:
    """Manufacturers of vaccines."""
    concepts = _concepts(codes.table("mvx"), lambda code, entry: iter(()), spanish)
    return _system(MVX, "MVX", "Manufacturers of vaccines (MVX)", "12.227", concepts, codes.mvx_code, ())


def ndc(spanish: Mapping[str, str]) -> CodeSystem:
    """National Drug Codes of vaccines: only those, of all there are. Each says its CVX, its MVX and its unit."""

    def said(code: str, entry: Mapping[str, Any]) -> Iterator[Property]:
        for each in entry["cvx"]:
            yield Property("cvx", "Coding", {"system": CVX, "code": each})
        for each in entry["mvx"]:
            yield Property("mvx", "Coding", {"system": MVX, "code": each})
        for each in entry["units"]:
            yield Property("unit", "code", each)

    concepts = _concepts(codes.table("ndc"), said, spanish)
    title = "National Drug Codes of vaccines (NDC)"
    return _system(NDC, "NDC", title, "6.69", concepts, codes.normal_ndc, _NDC, "fragment")


def ndc_to_cvx() -> ConceptMap:
    """From a package to the vaccine in it."""
    return _linked(NDC_TO_CVX, "NdcToCvx", "Packages (NDC) to vaccines (CVX)", CVX, "cvx")


def ndc_to_mvx() -> ConceptMap:
    """From a package to its manufacturer."""
    return _linked(NDC_TO_MVX, "NdcToMvx", "Packages (NDC) to manufacturers (MVX)", MVX, "mvx")


def cvx_to_group() -> ConceptMap:
    """From a vaccine to its groups."""
    elements = {
        code: tuple(Target("wider", VACCINE_GROUP, group) for group in entry["groups"])
        for code, entry in codes.table("cvx").items()
        if entry["groups"]
    }
    group = Group(CVX, VACCINE_GROUP, elements)
    return ConceptMap(
        CVX_TO_GROUP, VERSION, "CvxToVaccineGroup", (group,), title="Vaccines (CVX) to the groups of vaccines"
    )


def _linked(url: str, name: str, title: str, target: str, member: str) -> ConceptMap:
    elements = {
        code: tuple(Target("wider" if len(entry[member]) == 1 else "inexact", target, each) for each in entry[member])
        for code, entry in codes.table("ndc").items()
    }
    return ConceptMap(url, VERSION, name, (Group(NDC, target, elements),), title=title)


def _concepts(
    table: Mapping[str, Mapping[str, Any]],
    said: Callable[[str, Mapping[str, Any]], Iterator[Property]],
    spanish: Mapping[str, str],
) -> dict[str, Concept]:
    return {
        code: Concept(
            code,
            entry["display"],
            designations=(Designation("es", spanish[code]),) if code in spanish else (),
            properties=(*said(code, entry), *_used(entry)),
            inactive=entry.get("invalid", False),
            start=entry.get("from"),
            end=entry.get("to"),
        )
        for code, entry in table.items()
    }


def _used(entry: Mapping[str, Any]) -> Iterator[Property]:
    for name, _ in _USE:
        if name in entry:
            yield Property(name, "dateTime", entry[name])


def _system(
    url: str,
    name: str,
    title: str,
    oid: str,
    concepts: dict[str, Concept],
    normalise: Callable[[str], str | None],
    properties: tuple[tuple[str, str], ...],
    content: str = "complete",
) -> CodeSystem:
    return CodeSystem(
        url,
        VERSION,
        name,
        concepts,
        title=title,
        content=content,
        oid=f"urn:oid:2.16.840.1.113883.{oid}",
        normalise=normalise,
        properties=(*properties, *_USE),
    )
