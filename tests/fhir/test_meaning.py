"""The engine finds what a second, naive reading of the specification finds, on random resources and queries.

https://hl7.org/fhir/R4/search.html
"""

from decimal import Decimal
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from fhir_server.fhir.index import entries, satisfies
from fhir_server.fhir.query import parse
from tests.fhir.naive import finds

words = st.text(st.sampled_from("aáAbñn,|$\\"), min_size=1, max_size=3)
systems = st.sampled_from(["urn:a", "urn:a|b", "*"])
dates = st.sampled_from(["2019", "2020", "2019-12", "2020-01", "2020-02", "2019-12-31", "2020-01-01", "2020-02-29"])
numbers = st.sampled_from(["1", "1.1", "1.10", "1.14", "1.15", "-1", "0", "0.95", "10", "100", "99.5", "-0.5"])
tests = st.sampled_from(["", "eq", "ne", "gt", "ge", "lt", "le", "sa", "eb"])


def escaped(text: str) -> str:
    for sign in "\\,|$":
        text = text.replace(sign, f"\\{sign}")
    return text


def some(**members: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries({}, optional=members)


patients = st.builds(
    lambda members: {"resourceType": "Patient", **members},
    some(
        name=st.lists(some(family=words, given=st.lists(words, min_size=1, max_size=2)), min_size=1, max_size=2),
        gender=st.sampled_from(["male", "female"]),
        identifier=st.lists(
            st.builds(lambda value, more: {"value": value, **more}, words, some(system=systems)), min_size=1, max_size=2
        ),
        birthDate=dates,
        managingOrganization=some(reference=st.sampled_from(["Organization/a", "Organization/b"])),
    ),
)
observations = st.builds(
    lambda members: {"resourceType": "Observation", **members},
    some(valueQuantity=st.builds(lambda text: {"value": Decimal(text)}, numbers)),
)

token = st.one_of(
    st.sampled_from(["male", "female", "other"]),
    st.lists(st.sampled_from(["male", "female"]), min_size=2, max_size=2).map(",".join),
)
identifier = st.one_of(
    words.map(escaped),
    words.map(lambda value: f"|{escaped(value)}"),
    systems.map(lambda system: f"{escaped(system)}|"),
    st.builds(lambda system, value: f"{escaped(system)}|{escaped(value)}", systems, words),
)
several = st.lists(words.map(escaped), min_size=1, max_size=2).map(",".join)
patient_queries = st.one_of(
    st.tuples(
        st.sampled_from([f"{n}{m}" for n in ("family", "given", "name") for m in ("", ":exact", ":contains")]), several
    ),
    st.tuples(st.sampled_from(["gender", "gender:not"]), token),
    st.tuples(st.sampled_from(["identifier", "identifier:not"]), identifier),
    st.tuples(st.just("birthdate"), st.builds(str.__add__, tests | st.just("ap"), dates)),
    st.tuples(st.just("organization"), st.sampled_from(["a", "Organization/b", "Organization/c"])),
    st.tuples(
        st.sampled_from([f"{n}:missing" for n in ("family", "gender", "birthdate", "identifier")]),
        st.sampled_from(["true", "false"]),
    ),
)
observation_queries = st.tuples(st.just("value-quantity"), st.builds(str.__add__, tests, numbers))


@settings(max_examples=400, deadline=None)
@given(patients, st.lists(patient_queries, min_size=1, max_size=2))
def test_patients(resource: dict[str, Any], query: list[tuple[str, str]]) -> None:
    expected = all(finds(resource, name, value) for name, value in query)
    assert satisfies(entries(resource), "1", 0, parse("Patient", query).where) == expected


@settings(max_examples=200, deadline=None)
@given(observations, observation_queries)
def test_quantities(resource: dict[str, Any], query: tuple[str, str]) -> None:
    expected = finds(resource, *query)
    assert satisfies(entries(resource), "1", 0, parse("Observation", [query]).where) == expected
