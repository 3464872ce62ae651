"""A roster's row as a Patient, and what a row says anew about a Patient who is already there.

https://hl7.org/fhir/us/core/StructureDefinition-us-core-patient.html
"""

from collections.abc import Mapping, Sequence
from typing import Any

from fhir_server.domain.demographics import ETHNICITIES, RACES, comparable
from fhir_server.domain.roster import Row
from terminology.systems import RACE_ETHNICITY

Resource = dict[str, Any]

_RACE = "http://hl7.org/fhir/us/core/StructureDefinition/us-core-race"
_ETHNICITY = "http://hl7.org/fhir/us/core/StructureDefinition/us-core-ethnicity"
_NAME = ("family", "given", "suffix")


def patient(row: Row) -> Resource:
    """The Patient a row describes, without id and without the roster's identifier."""
    extensions = [
        *([_category(_RACE, row.races, RACES)] if row.races else []),
        *([_category(_ETHNICITY, (row.ethnicity,), ETHNICITIES)] if row.ethnicity else []),
    ]
    telecom = [
        {"system": system, "value": value} for system, value in (("phone", row.phone), ("email", row.email)) if value
    ]
    address = _without_none(
        line=[row.street] if row.street else None,
        city=row.city,
        district=row.county,
        state=row.state,
        postalCode=row.postal_code,
    )
    suffix = [row.suffix] if row.suffix else None
    name = _without_none(use="official", family=row.family, given=list(row.given), suffix=suffix)
    return _without_none(
        resourceType="Patient",
        extension=extensions or None,
        active=True,
        name=[name],
        telecom=telecom or None,
        gender=row.gender,
        birthDate=row.birth_date.isoformat(),
        address=[{"use": "home", **address}] if address else None,
    )


def official_name(resource: Mapping[str, Any]) -> Resource:
    """The name a person is known by: the one marked official, else the first; empty where there is none."""
    names: Sequence[Resource] = resource.get("name", ())
    return next((name for name in names if name.get("use") == "official"), names[0] if names else {})


def with_identifier(resource: Resource, identifier: Mapping[str, Any]) -> Resource:
    """The resource with this identifier, added unless one with its system and value is there."""
    held = resource.get("identifier", [])
    if any((found.get("system"), found.get("value")) == (identifier["system"], identifier["value"]) for found in held):
        return resource
    # Where it is new it goes in front of the other members, as in the specification's order.
    return _in_order({**resource, "identifier": [*held, dict(identifier)]})


def merged(known: Resource, said: Resource) -> Resource:
    """`known` with what a roster says anew: name, birth date, sex and address are replaced; telephone and e-mail
    added; extensions and everything else a person already has stay, what is missing comes in. The same object if
    nothing changes."""
    result = {**said, **known}
    result["name"] = _names(known.get("name", []), official_name(said))
    result["birthDate"] = said["birthDate"]
    if "gender" in said:
        result["gender"] = said["gender"]
    if "address" in said:
        result["address"] = _addresses(known.get("address", []), said["address"][0])
    telecom = known.get("telecom", [])
    new = [point for point in said.get("telecom", []) if not any(_same_point(point, held) for held in telecom)]
    if new:
        result["telecom"] = [*telecom, *new]
    held_urls = {extension.get("url") for extension in known.get("extension", [])}
    added = [extension for extension in said.get("extension", []) if extension.get("url") not in held_urls]
    if added:
        result["extension"] = [*known.get("extension", []), *added]
    return known if result == known else _in_order(result)


def is_somebody_else(known: Resource, said: Resource) -> bool:
    """Whether both the name and the birth date differ: no correction, but another person under the same row_id."""
    if known.get("birthDate") == said["birthDate"]:
        return False
    names = {_comparable_name(name) for name in known.get("name", [])}
    return bool(names) and _comparable_name(official_name(said)) not in names


def _names(known: Sequence[Resource], said: Resource) -> list[Resource]:
    number = next((place for place, name in enumerate(known) if name.get("use") == "official"), 0)
    if number >= len(known):
        return [said]
    current = known[number]
    wanted = {part: said[part] for part in _NAME if part in said}
    if all(current.get(part) == value for part, value in wanted.items()):
        return list(known)
    # `text` and the primitives' extensions belong to the old name.
    kept = {part: value for part, value in current.items() if part not in (*_NAME, "text") and part[:1] != "_"}
    return [*known[:number], {**kept, **wanted}, *known[number + 1 :]]


def _addresses(known: Sequence[Resource], said: Resource) -> list[Resource]:
    number = next((place for place, address in enumerate(known) if address.get("use") == "home"), 0)
    if number >= len(known):
        return [said]
    if all(known[number].get(part) == value for part, value in said.items() if part != "use"):
        return list(known)
    return [*known[:number], said, *known[number + 1 :]]


def _same_point(left: Resource, right: Resource) -> bool:
    def compared(point: Resource) -> tuple[Any, str]:
        return point.get("system"), "".join(point.get("value", "").casefold().split())

    return compared(left) == compared(right)


def _comparable_name(name: Resource) -> tuple[str, str]:
    return comparable(name.get("family", "")), comparable(next(iter(name.get("given", ())), ""))


def _category(url: str, codes: Sequence[str], displays: Mapping[str, str]) -> Resource:
    """A US Core race or ethnicity extension."""
    parts: list[Resource] = [
        {
            "url": "ombCategory",
            "valueCoding": {"system": RACE_ETHNICITY, "code": code, "display": displays[code]},
        }
        for code in codes
    ]
    return {
        "url": url,
        "extension": [*parts, {"url": "text", "valueString": ", ".join(displays[code] for code in codes)}],
    }


_ORDER = ("resourceType", "id", "meta", "implicitRules", "language", "text", "contained", "extension")


def _in_order(resource: Resource) -> Resource:
    """Members that come first in the specification's order first; the others as they are, `identifier` ahead."""
    first = [name for name in (*_ORDER, "modifierExtension", "identifier") if name in resource]
    return {name: resource[name] for name in (*first, *(name for name in resource if name not in first))}


def _without_none(**members: Any) -> Resource:
    return {name: value for name, value in members.items() if value is not None}
