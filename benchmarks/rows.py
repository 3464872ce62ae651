"""Rows: the requests that are measured."""

from collections.abc import Callable
from dataclasses import dataclass

from benchmarks.load import Request
from benchmarks.population import FAMILIES, MRN, dose, entry, patient


@dataclass(frozen=True, slots=True)
class Row:
    """What is measured: a name, and the request with each number in a population of some size."""

    name: str
    make: Callable[[int, int], Request]


def _spread(number: int, size: int) -> int:
    """Any patient, and not the same one soon again."""
    return number * 7_919 % size


def _read(number: int, size: int) -> Request:
    return Request("GET", f"Patient/bench-{_spread(number, size)}")


def _identifier(number: int, size: int) -> Request:
    return Request("GET", f"Patient?identifier={MRN}|MRN{_spread(number, size):08d}")


def _family(number: int, size: int) -> Request:
    return Request("GET", f"Patient?family={FAMILIES[number % len(FAMILIES)]}&_count=20")


def _page(number: int, size: int) -> Request:
    return Request("GET", f"Patient?gender={'female' if number % 2 else 'male'}&_count=50")


def _chain(number: int, size: int) -> Request:
    return Request("GET", f"Immunization?patient.identifier={MRN}|MRN{_spread(number, size):08d}")


def _include(number: int, size: int) -> Request:
    patient_id = f"bench-{_spread(number, size)}"
    return Request("GET", f"Immunization?patient={patient_id}&_include=Immunization:patient")


def _create(number: int, size: int) -> Request:
    return Request("POST", "Patient", patient(number + size, seed=11), 201)


def _update(number: int, size: int) -> Request:
    which = _spread(number, size)
    return Request("PUT", f"Patient/bench-{which}", patient(which, seed=number))


def _transaction(number: int, size: int) -> Request:
    entries = []
    for offset in range(5):
        person = size + number * 5 + offset
        entries.append(entry(patient(person, seed=13), "POST", "Patient"))
        entries.append(entry(dose(person % size, seed=13), "POST", "Immunization"))
    return Request("POST", "", b'{"resourceType":"Bundle","type":"transaction","entry":[' + b",".join(entries) + b"]}")


ROWS = (
    Row("read", _read),
    Row("search by identifier (1 hit)", _identifier),
    Row("search by family name (page of 20)", _family),
    Row("search with a page of 50", _page),
    Row("chained search (`patient.identifier`)", _chain),
    Row("search with `_include`", _include),
    Row("create", _create),
    Row("update", _update),
    Row("transaction of 10", _transaction),
)
