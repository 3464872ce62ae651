"""Lots of the day: what is in the refrigerator of a place today, set once and chosen from at every chair.

https://hl7.org/fhir/R4/list.html

A List for a place and day, with the lots as contained Medications: written once by whoever opens the place, read by all
of the organization, kept as the record of what was in use (decision 32).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from fhir_server.http.portal.api import RefusedError
from fhir_server.http.portal.session import Visitor
from fhir_server.operations.vocabulary import BASE
from terminology import codes
from terminology.systems import CVX, MVX, NDC

DAYS = f"{BASE}/NamingSystem/lots-of-the-day"
"""Of the List's identifier: place and day."""
_TRIES = 4
_STALE = (409, 412)

Resource = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Place:
    """Where doses are given: a Location of the organization, or the organization itself where it has named none."""

    id: str
    name: str
    reference: str


@dataclass(frozen=True, slots=True)
class Lot:
    """A lot of a product. `ndc` and `mvx` may be empty; `expires` is the last day of use."""

    cvx: str
    ndc: str
    mvx: str
    number: str
    expires: date

    @property
    def key(self) -> str:
        """What tells it from the other lots of a day."""
        return f"{self.ndc or self.cvx}|{self.number}"

    @property
    def name(self) -> str:
        """What the product is called: by its brand and dose where they are known, else as CVX calls it."""
        entry = codes.table("cvx").get(self.cvx, {})
        display = str(entry.get("display", self.cvx))
        brand = codes.product(self.ndc).display if self.ndc in codes.table("ndc") else ""
        return f"{brand} · {display}" if brand else display


def of_package(ndc: str, number: str, expires: date) -> Lot | None:
    """The lot of a package; None where its number stands for no vaccine, or for several."""
    try:
        product = codes.product(ndc)
    except codes.UnknownCodeError:
        return None
    if len(product.cvx) != 1:
        return None
    return Lot(product.cvx[0], product.ndc, next(iter(product.mvx), ""), number, expires)


async def places(visitor: Visitor) -> list[Place]:
    """The places of the visitor's organization, by name; never none."""
    organization = f"Organization/{visitor.caller.organization}"
    found = await visitor.visit.entries(
        "Location", {"organization": organization, "status": "active", "_sort": "name", "_count": "100"}
    )
    named = [Place(each["id"], each.get("name", each["id"]), f"Location/{each['id']}") for each in found]
    return named or [Place("", "", organization)]


async def of_day(visitor: Visitor, place: Place, day: date) -> tuple[Lot, ...]:
    """The lots set for this place and day."""
    return _lots(await _list(visitor, place, day))


async def of_the_last_day(visitor: Visitor, place: Place, day: date) -> tuple[Lot, ...]:
    """The lots of the last day before that any were set for, still good on this one."""
    asked = {"identifier": f"{DAYS}|", "date": f"lt{day.isoformat()}", "_sort": "-date", "_count": "50"}
    found = await visitor.visit.entries("List", asked)
    last = next((each for each in found if each["identifier"][0]["value"].startswith(f"{place.reference}/")), None)
    return tuple(lot for lot in _lots(last) if lot.expires >= day)


async def change(
    visitor: Visitor, place: Place, day: date, add: Sequence[Lot] = (), remove: Sequence[str] = ()
) -> tuple[Lot, ...]:
    """Add lots, and remove those of these keys; what is set by then. Two who change them at once both have their way.

    RefusedError where that fails again and again.
    """
    for left in reversed(range(_TRIES)):
        stored = await _list(visitor, place, day)
        wanted = {lot.key: lot for lot in (*_lots(stored), *add) if lot.key not in remove}
        try:
            await _store(visitor, place, day, stored, tuple(wanted.values()))
        except RefusedError as error:
            if error.status not in _STALE or not left:
                raise
        else:
            break
    return tuple(wanted.values())


async def _store(visitor: Visitor, place: Place, day: date, stored: Resource | None, lots: Sequence[Lot]) -> None:
    contained = [_medication(number, lot) for number, lot in enumerate(lots, 1)]
    listed: Resource = {
        "resourceType": "List",
        **({"contained": contained} if contained else {}),
        "identifier": [{"system": DAYS, "value": _value(place, day)}],
        "status": "current",
        "mode": "snapshot",
        "title": "Lots of the day",
        "subject": {"reference": place.reference},
        "date": day.isoformat(),
        **({"entry": [{"item": {"reference": f"#{each['id']}"}} for each in contained]} if contained else {}),
    }
    if place.reference.startswith("Organization/"):
        del listed["subject"]
    if stored is not None:
        await visitor.visit.put({**listed, "id": stored["id"], "meta": stored["meta"]})
        return
    made = await visitor.visit.post("List", listed, {"if-none-exist": f"identifier={DAYS}|{_value(place, day)}"})
    if _lots(made) != tuple(lots):
        raise RefusedError(412, {})


async def _list(visitor: Visitor, place: Place, day: date) -> Resource | None:
    found = await visitor.visit.entries("List", {"identifier": f"{DAYS}|{_value(place, day)}"})
    return next(iter(found), None)


def _value(place: Place, day: date) -> str:
    return f"{place.reference}/{day.isoformat()}"


def _medication(number: int, lot: Lot) -> Resource:
    return {
        "resourceType": "Medication",
        "id": f"lot-{number}",
        "code": {"coding": list(codings(lot))},
        **({"manufacturer": manufacturer(lot)} if lot.mvx else {}),
        "batch": {"lotNumber": lot.number, "expirationDate": lot.expires.isoformat()},
    }


def codings(lot: Lot) -> tuple[Resource, ...]:
    """The product, as a vaccineCode says it."""
    cvx = {"system": CVX, "code": lot.cvx, "display": codes.lookup(CVX, lot.cvx).display}
    return (cvx, {"system": NDC, "code": lot.ndc}) if lot.ndc else (cvx,)


def manufacturer(lot: Lot) -> Resource:
    """The maker, by the code that its organization is known by."""
    return {"identifier": {"system": MVX, "value": lot.mvx}, "display": codes.lookup(MVX, lot.mvx).display}


def _lots(stored: Mapping[str, Any] | None) -> tuple[Lot, ...]:
    found = []
    for each in () if stored is None else stored.get("contained", ()):
        coded = {one["system"]: one["code"] for one in each["code"]["coding"]}
        mvx = each.get("manufacturer", {}).get("identifier", {}).get("value", "")
        batch = each["batch"]
        expires = date.fromisoformat(batch["expirationDate"])
        found.append(Lot(coded[CVX], coded.get(NDC, ""), mvx, batch["lotNumber"], expires))
    return tuple(found)
