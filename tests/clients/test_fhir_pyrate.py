"""FHIR-PYrate, which turns search results into tables: https://github.com/UMEssen/FHIR-PYrate

It only reads. It brings pandas, so it is an extra of its own: `make test-clients` installs it.
"""

import logging
from collections.abc import Iterator
from typing import TYPE_CHECKING

import httpx
import pytest

from tests.clients.people import FAMILY, person
from tests.conftest import Server
from tests.http.answers import JSON

if TYPE_CHECKING:
    from fhir_pyrate import Pirate

fhir_pyrate = pytest.importorskip(
    "fhir_pyrate", reason="fhir-pyrate is not installed; `make test-clients` installs it", exc_type=ImportError
)

ME = "fhir-pyrate"


@pytest.fixture
def pirate(server: Server) -> Iterator["Pirate"]:
    """The client on the server, in this process alone."""
    with fhir_pyrate.Pirate(server.base, auth=None, num_processes=1) as pirate:
        yield pirate


@pytest.fixture(scope="module")
async def crew(client: httpx.AsyncClient) -> list[str]:
    """The ids of seven people, the youngest last."""
    answers = [await client.post("Patient", json=person(ME, number), headers=JSON) for number in range(7)]
    return [answer.json()["id"] for answer in answers]


def test_all_pages(pirate: "Pirate", crew: list[str]) -> None:
    asked = {"family": FAMILY, "given": ME, "_sort": "birthdate", "_count": 3}
    bundles = list(pirate.steal_bundles("Patient", asked))
    assert [len(bundle.entry) for bundle in bundles] == [3, 3, 1]
    table = pirate.steal_bundles_to_dataframe(
        "Patient", asked, fhir_paths=[("id", "Patient.id"), ("birth", "Patient.birthDate")]
    )
    assert list(table["id"]) == crew
    assert list(table["birth"]) == [f"1950-01-{number + 1:02}" for number in range(7)]
    assert pirate.get_bundle_total("Patient", {**asked, "_total": "accurate"}) == 7


def test_tables_lead_to_further_searches(pirate: "Pirate", crew: list[str]) -> None:
    table = pirate.steal_bundles_to_dataframe("Patient", {"given": ME, "_sort": "birthdate"})
    people = pirate.trade_rows_for_dataframe(
        table, "Patient", df_constraints={"_id": "id"}, fhir_paths=[("family", "Patient.name.family")]
    )
    assert list(people["family"]) == [FAMILY] * 7
    spans = pirate.sail_through_search_space_to_dataframe(
        "Patient", "birthdate", "1950-01-01", "1950-01-04", {"given": ME, "_sort": "birthdate"}
    )
    assert list(spans["id"]) == crew[:3]


def test_refusals_end_it_without_rows(pirate: "Pirate", caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.ERROR, logger="fhir_pyrate"):
        assert list(pirate.steal_bundles("Patient", {"shoe-size": "43"})) == []
    assert "400 Client Error" in caplog.text
