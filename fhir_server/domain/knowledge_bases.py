"""The knowledge bases we hold: read once from their data, found by authority and version or by day.

https://www.cdc.gov/iis/cdsi/index.html
"""

from collections.abc import Iterable, Mapping
from datetime import date
from decimal import Decimal
from functools import cache
from importlib.resources import files
from json import loads
from typing import Any

from fhir_server.domain.calendar import FAR_FUTURE, FAR_PAST, Period, period
from fhir_server.domain.schedule import (
    Age,
    AgeRange,
    Condition,
    ConditionSet,
    Conflict,
    Contraindication,
    ImmuneByBirth,
    Indication,
    Interval,
    KnowledgeBase,
    Preferable,
    Series,
    SeriesDose,
    Skip,
)

Row = Mapping[str, Any]


@cache
def knowledge_bases() -> tuple[KnowledgeBase, ...]:
    """All of them, the earliest first."""
    folder = files("fhir_server.domain") / "data" / "schedules"
    names = sorted(path.name for path in folder.iterdir() if path.name.startswith("covid-19-"))
    return tuple(sorted((read(loads((folder / name).read_bytes())) for name in names), key=lambda one: one.starts))


def in_force(day: date, authority: str | None = None) -> KnowledgeBase | None:
    """The knowledge base in force on that day, None where we hold none."""
    return next((one for one in _of(authority) if one.starts <= day <= one.ends), None)


def named(version: str, authority: str | None = None) -> KnowledgeBase | None:
    """The knowledge base of that version, None where we hold none."""
    return next((one for one in _of(authority) if one.version == version), None)


def _of(authority: str | None) -> Iterable[KnowledgeBase]:
    return (one for one in knowledge_bases() if authority is None or one.authority.lower() == authority.lower())


def read(row: Row) -> KnowledgeBase:
    """A knowledge base from its JSON value. KeyError or ValueError where it is not one."""
    conflicts: dict[str, dict[str, Conflict]] = {}
    for one in row["conflicts"]:
        spans = (period(one["begin"]), period(one["minimum_end"]), period(one["end"]))
        conflicts.setdefault(one["current"], {})[one["previous"]] = Conflict(*spans)
    immunity = row["immunity"]
    return KnowledgeBase(
        authority=row["authority"],
        disease=row["disease"],
        version=row["version"],
        edition=row.get("edition"),
        starts=date.fromisoformat(row["in_force"]["from"]),
        ends=date.fromisoformat(row["in_force"]["to"]),
        vaccines=frozenset(row["vaccines"]),
        unspecified=frozenset(row["unspecified"]),
        conflicts=conflicts,
        contraindications=tuple(_contraindications(row["contraindications"])),
        immune_findings=frozenset(immunity["findings"]),
        immune_births=tuple(_birth(one) for one in immunity["births"]),
        series=tuple(_series(one) for one in row["series"]),
    )


def _contraindications(row: Row) -> Iterable[Contraindication]:
    for one in row["disease"]:
        yield Contraindication(one["observation"], {"": _ages(one)})
    for one in row["vaccine"]:
        yield Contraindication(one["observation"], {vaccine["cvx"]: _ages(vaccine) for vaccine in one["vaccines"]})


def _birth(row: Row) -> ImmuneByBirth:
    return ImmuneByBirth(_day(row["before"]), row.get("country"), frozenset(row["exclusions"]))


def _series(row: Row) -> Series:
    doses = tuple(_dose(one) for one in row["doses"])
    return Series(
        name=row["name"],
        type=row["type"],
        group=row["group"],
        equivalent=frozenset(row.get("equivalent", ())),
        gender=frozenset(row.get("gender", ())),
        default=row.get("default", False),
        product=row.get("product", False),
        shared_decision=row.get("shared_decision", False),
        priority=row["priority"],
        preference=row.get("preference", 0),
        maximum_age_to_start=_period(row.get("maximum_age_to_start")),
        indications=tuple(Indication(one["observation"], _ages(one)) for one in row.get("indications", ())),
        doses=doses,
        preferable=frozenset(cvx for dose in doses for cvx in dose.preferable),
    )


def _dose(row: Row) -> SeriesDose:
    preferable: dict[str, tuple[Preferable, ...]] = {}
    for one in row.get("preferable", ()):
        preferable[one["cvx"]] = (*preferable.get(one["cvx"], ()), _preferable(one))
    allowable: dict[str, tuple[AgeRange, ...]] = {}
    for one in row.get("allowable", ()):
        allowable[one["cvx"]] = (*allowable.get(one["cvx"], ()), _ages(one))
    season = row.get("season", {})
    return SeriesDose(
        ages=tuple(_age(one) for one in row.get("ages", ())),
        intervals=tuple(_interval(one) for one in row.get("intervals", ())),
        allowable_intervals=tuple(_interval(one) for one in row.get("allowable_intervals", ())),
        preferable=preferable,
        allowable=allowable,
        inadvertent=frozenset(row.get("inadvertent", ())),
        skips=tuple(_skip(one) for one in row.get("skips", ())),
        recurring=row.get("recurring", False),
        season_start=_day(season["from"]) if "from" in season else None,
        season_end=_day(season["to"]) if "to" in season else FAR_FUTURE,
    )


def _preferable(row: Row) -> Preferable:
    volume = Decimal(row["volume"]) if "volume" in row else None
    return Preferable(row["cvx"], _ages(row), row.get("mvx"), volume, row.get("forecast", False))


def _age(row: Row) -> Age:
    effective, cessation = _window(row)
    return Age(
        absolute=_period(row.get("absolute")),
        minimum=_period(row.get("minimum")),
        recommended=_period(row.get("recommended")),
        latest=_period(row.get("latest")),
        maximum=_period(row.get("maximum")),
        effective=effective,
        cessation=cessation,
    )


def _interval(row: Row) -> Interval:
    reference = row["from"]
    effective, cessation = _window(row)
    return Interval(
        previous=reference == "previous",
        target=reference if isinstance(reference, int) else None,
        vaccines=frozenset(reference) if isinstance(reference, list) else frozenset(),
        observation=reference["observation"] if isinstance(reference, dict) else None,
        absolute=_period(row.get("absolute")),
        minimum=_period(row.get("minimum")),
        recommended=_period(row.get("recommended")),
        latest=_period(row.get("latest")),
        effective=effective,
        cessation=cessation,
    )


def _skip(row: Row) -> Skip:
    sets = tuple(
        ConditionSet(tuple(_condition(condition) for condition in one["conditions"]), one["all"], *_window(one))
        for one in row["sets"]
    )
    return Skip(row["context"] in ("evaluation", "both"), row["context"] in ("forecast", "both"), sets, row["all"])


def _condition(row: Row) -> Condition:
    return Condition(
        kind=row["kind"],
        ages=_ages(row),
        interval=_period(row.get("interval")),
        groups=frozenset(row.get("groups", ())),
        compare=row.get("compare", "greater than"),
        count=row.get("count", 0),
        valid=row.get("valid", False),
        vaccines=frozenset(row.get("vaccines", ())),
        start=_day(row["start"]) if "start" in row else FAR_PAST,
        end=_day(row["end"]) if "end" in row else FAR_FUTURE + 1,
    )


def _ages(row: Row) -> AgeRange:
    return AgeRange(_period(row.get("from")), _period(row.get("to")))


def _window(row: Row) -> tuple[int, int]:
    effective, cessation = row.get("effective"), row.get("cessation")
    return _day(effective) if effective else FAR_PAST, _day(cessation) if cessation else FAR_FUTURE


def _period(text: str | None) -> Period | None:
    return None if text is None else period(text)


def _day(text: str) -> int:
    return date.fromisoformat(text).toordinal()
