"""An antigen's supporting data: series, doses, contraindications and immunity, as compact JSON values.

https://www.cdc.gov/iis/cdsi/index.html (Logic Specification, Domain Model)

Names are CDSi's; what is empty in the source is left out.
"""

from collections.abc import Iterable
from datetime import datetime
from xml.etree.ElementTree import Element

from tools.schedules.editions import ATTESTED

Value = dict[str, object]

_AGES = {
    "absolute": "absMinAge",
    "minimum": "minAge",
    "recommended": "earliestRecAge",
    "latest": "latestRecAge",
    "maximum": "maxAge",
}
_INTERVALS = {
    "absolute": "absMinInt",
    "minimum": "minInt",
    "recommended": "earliestRecInt",
    "latest": "latestRecInt",
}
_WINDOW = {"from": "beginAge", "to": "endAge"}


def series(root: Element) -> list[Value]:
    """The series, in the source's order."""
    return [_series(found) for found in root.iterfind("series")]


def contraindications(root: Element) -> Value:
    """Those of the disease and those of single vaccines."""
    disease = [
        {"observation": text(row, "observationCode"), **_texts(row, _WINDOW)}
        for row in root.iterfind("contraindications/vaccineGroup/contraindication")
    ]
    vaccine = [
        {
            "observation": text(row, "observationCode"),
            "vaccines": [
                {"cvx": text(one, "cvx"), **_texts(one, _WINDOW)} for one in row.iterfind("contraindicatedVaccine")
            ],
        }
        for row in root.iterfind("contraindications/vaccine/contraindication")
    ]
    return {"disease": disease, "vaccine": vaccine}


def immunity(root: Element) -> Value:
    """What proves immunity: findings, and births before a day."""
    births = [
        {
            "before": _american(text(row, "immunityBirthDate")),
            **_some("country", text(row, "birthCountry")),
            "exclusions": [text(one, "exclusionCode") for one in row.iterfind("exclusion")],
        }
        for row in root.iterfind("immunity/dateOfBirth")
        if text(row, "immunityBirthDate")
    ]
    findings = [text(row, "guidelineCode") for row in root.iterfind("immunity/clinicalHistory")]
    return {"findings": findings, "births": births}


def text(element: Element, path: str) -> str:
    """The text at a path, `` where there is none; the source also writes `n/a`."""
    found = (element.findtext(path) or "").strip()
    return "" if found.lower() == "n/a" else found


def _series(row: Element) -> Value:
    name = text(row, "seriesName")
    return {
        "name": name,
        "type": text(row, "seriesType").lower().replace(" ", "-"),
        "group": text(row, "selectSeries/seriesGroup"),
        **_many("equivalent", text(row, "equivalentSeriesGroups")),
        **_many("gender", ";".join(text(gender, ".").lower() for gender in row.iterfind("requiredGender"))),
        **_flag("default", text(row, "selectSeries/defaultSeries")),
        **_flag("product", text(row, "selectSeries/productPath")),
        **({"shared_decision": True} if "shared clinical decision" in name.lower() else {}),
        "priority": text(row, "selectSeries/seriesPriority"),
        **_some("preference", text(row, "selectSeries/seriesPreference"), int),
        **_some("maximum_age_to_start", text(row, "selectSeries/maxAgeToStart")),
        **_some("minimum_age_to_start", text(row, "selectSeries/minAgeToStart")),
        **_rows("indications", _indications(row)),
        "doses": [_dose(dose) for dose in row.iterfind("seriesDose")],
    }


def _indications(row: Element) -> list[Value]:
    rows = [
        {"observation": text(one, "observationCode/code"), **_texts(one, _WINDOW)}
        for one in row.iterfind("indication")
        if text(one, "observationCode/code")
    ]
    windows = {tuple(sorted((name, found[name]) for name in _WINDOW if name in found)) for found in rows}
    return rows + [{"observation": ATTESTED, **dict(window)} for window in sorted(windows)]


def _dose(row: Element) -> Value:
    ages = [_texts(age, _AGES) | _in_force(age) for age in row.iterfind("age")]
    season = _dates(row, {"from": "seasonalRecommendation/startDate", "to": "seasonalRecommendation/endDate"})
    return {
        **_rows("ages", ages),
        **_rows("intervals", [_interval(one) for one in row.iterfind("interval") if len(one)]),
        **_rows("allowable_intervals", [_interval(one) for one in row.iterfind("allowableInterval") if len(one)]),
        **_rows("preferable", [_preferable(one) for one in row.iterfind("preferableVaccine") if len(one)]),
        **_rows("allowable", [_vaccine(one) for one in row.iterfind("allowableVaccine") if len(one)]),
        **_rows("inadvertent", [text(one, "cvx") for one in row.iterfind("inadvertentVaccine") if len(one)]),
        **_rows("skips", [_skip(one) for one in row.iterfind("conditionalSkip") if len(one)]),
        **_flag("recurring", text(row, "recurringDose")),
        **({"season": season} if season else {}),
    }


def _interval(row: Element) -> Value:
    target, recent = text(row, "fromTargetDose"), _list(text(row, "fromMostRecent"))
    observation = text(row, "fromRelevantObs/code")
    if text(row, "fromPrevious") == "Y":
        reference: Value = {"from": "previous"}
    elif target:
        reference = {"from": int(target)}
    elif recent:
        reference = {"from": recent}
    else:
        reference = {"from": {"observation": observation}}
    return reference | _texts(row, _INTERVALS) | _in_force(row)


def _vaccine(row: Element) -> Value:
    return {"cvx": text(row, "cvx"), **_texts(row, _WINDOW)}


def _preferable(row: Element) -> Value:
    return {
        **_vaccine(row),
        **_some("mvx", text(row, "mvx")),
        **_some("volume", text(row, "volume")),
        **({"forecast": True} if text(row, "forecastVaccineType") == "Y" else {}),
    }


def _skip(row: Element) -> Value:
    return {
        "context": text(row, "context").lower(),
        "all": text(row, "setLogic") != "OR",
        "sets": [
            {
                "all": text(one, "conditionLogic") != "OR",
                **_in_force(one),
                "conditions": [_condition(condition) for condition in one.iterfind("condition")],
            }
            for one in row.iterfind("set")
        ],
    }


def _condition(row: Element) -> Value:
    kind = text(row, "conditionType").lower()
    if kind.startswith("vaccine count"):
        return {
            "kind": "count",
            "compare": text(row, "doseCountLogic").lower(),
            "count": int(text(row, "doseCount")),
            **({"valid": True} if text(row, "doseType").lower() == "valid" else {}),
            **_texts(row, _WINDOW),
            **_dates(row, {"start": "startDate", "end": "endDate"}),
            **_many("vaccines", text(row, "vaccineTypes")),
        }
    match kind:
        case "age":
            return {"kind": "age", **_texts(row, _WINDOW)}
        case "interval":
            return {"kind": "interval", "interval": text(row, "interval")}
        case "completed series":
            return {"kind": "completed", "groups": _list(text(row, "seriesGroups"))}
    raise ValueError(f"a condition of an unknown type: {kind!r}")


def _in_force(row: Element) -> Value:
    return _dates(row, {"effective": "effectiveDate", "cessation": "cessationDate"})


def _dates(row: Element, names: dict[str, str]) -> Value:
    found = {name: text(row, path) for name, path in names.items()}
    return {name: datetime.strptime(value, "%Y%m%d").date().isoformat() for name, value in found.items() if value}


def _american(value: str) -> str:
    return datetime.strptime(value, "%m/%d/%Y").date().isoformat()


def _texts(row: Element, names: dict[str, str]) -> Value:
    found = {name: text(row, path) for name, path in names.items()}
    return {name: value for name, value in found.items() if value}


def _list(value: str) -> list[str]:
    return [part.strip() for part in value.split(";") if part.strip()]


def _many(name: str, value: str) -> Value:
    found = _list(value)
    return {name: found} if found else {}


def _rows(name: str, rows: Iterable[object]) -> Value:
    # The source writes an element without content where it has nothing to say.
    found = [row for row in rows if row]
    return {name: found} if found else {}


def _some(name: str, value: str, kind: type[int] | type[str] = str) -> Value:
    return {name: kind(value)} if value else {}


def _flag(name: str, value: str) -> Value:
    return {name: True} if value.lower() in ("yes", "y") else {}
