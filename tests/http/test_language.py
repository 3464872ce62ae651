"""https://hl7.org/fhir/R4/http.html#general: what is refused is told in the language the reader asks for"""

import json
from typing import Any

import httpx
import pytest

from fhir_server.fhir import sentences
from tests.http.answers import patient, put, shape
from tests.http.conftest import CASES
from tests.http.test_batch import entry, post

ES = {"accept-language": "es-MX,es;q=0.9,en;q=0.5"}
REFUSED: list[dict[str, Any]] = json.loads((CASES / "search_refused.json").read_text())


def texts(outcome: dict[str, Any]) -> list[str]:
    return [issue["details"]["text"] for issue in outcome["issue"]]


async def test_by_accept_language(client: httpx.AsyncClient) -> None:
    for header, language, text in (
        ("es", "es", "No hay ningún Patient/nobody."),
        ("en;q=0.4, es;q=0.8", "es", "No hay ningún Patient/nobody."),
        ("es;q=0.4, en", "en", "There is no Patient/nobody."),
        ("fr", "en", "There is no Patient/nobody."),
        ("*", "en", "There is no Patient/nobody."),
    ):
        answer = await client.get("Patient/nobody", headers={"accept-language": header})
        assert (answer.status_code, answer.headers["content-language"]) == (404, language)
        assert texts(answer.json()) == [text]
        assert "Accept-Language" in answer.headers["vary"]
    plain = await client.get("Patient/nobody")
    assert plain.headers["content-language"] == "en"
    spanish = await client.get("Patient/nobody?_format=xml", headers=ES)
    assert "No hay ningún Patient/nobody." in spanish.text
    assert shape((await client.get("Patient/nobody", headers=ES)).json()) == shape(plain.json())


@pytest.mark.parametrize("case", REFUSED, ids=lambda case: case["address"])
async def test_refused_searches(client: httpx.AsyncClient, case: dict[str, Any]) -> None:
    """Whatever the sentence is made of, it is told in Spanish, in every part."""
    english = texts((await client.get(case["address"])).json())
    spanish = texts((await client.get(case["address"], headers=ES)).json())
    assert spanish == [sentences.said(text, "es") for text in english]
    for before, after in zip(english, spanish, strict=True):
        assert before != after
        assert not {"is", "the", "it", "has", "not", "written"} & set(after.split()), after


async def test_beside_resources(client: httpx.AsyncClient) -> None:
    await put(client, patient("language-1"))
    asked = [entry("GET", "Patient/language-1"), entry("GET", "Patient/nobody"), entry("DELETE", "Patient")]
    answer = await post(client, "batch", *asked, **ES)
    found, absent, unclear = answer.json()["entry"]
    assert found["resource"]["id"] == "language-1"
    assert texts(absent["response"]["outcome"]) == ["No hay ningún Patient/nobody."]
    assert "no dice cuál" in texts(unclear["response"]["outcome"])[0]
    lenient = await client.get("Patient?_id=language-1&shoe=43", headers={**ES, "prefer": "handling=lenient"})
    [row] = [row for row in lenient.json()["entry"] if row["search"]["mode"] == "outcome"]
    assert texts(row["resource"]) == ["Patient no tiene el parámetro de búsqueda shoe. Se ha pasado por alto."]
    stored = await client.put(
        "Patient/language-2", json=patient("language-2"), headers={**ES, "prefer": "return=OperationOutcome"}
    )
    assert texts(stored.json())[-1] in ("El recurso se ha creado.", "El recurso se ha guardado.")
    assert stored.headers["content-language"] == "es"
    # The next request reads English again.
    again = await post(client, "batch", *asked)
    assert texts(again.json()["entry"][1]["response"]["outcome"]) == ["There is no Patient/nobody."]


async def test_a_resource_with_problems(client: httpx.AsyncClient) -> None:
    body = {"resourceType": "Patient", "gender": "robot", "nam": [{}], "birthDate": "yesterday", "active": "true"}
    answer = await client.post("Patient", json=body, headers=ES)
    assert answer.status_code == 422
    for text in texts(answer.json()):
        assert not {"is", "the", "it", "has", "not"} & set(text.split()), text
