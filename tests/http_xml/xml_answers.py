"""What tests ask of answers in XML, and how they send it."""

import json
from typing import Any

import httpx

from fhir_server.fhir.xml import from_xml
from tests.http.answers import Told, shape

NAMESPACE = 'xmlns="http://hl7.org/fhir"'
SEND = {"content-type": "application/fhir+xml"}
ASK = {"accept": "application/fhir+xml"}
XML = SEND | ASK


def resource(answer: httpx.Response, status: int = 200) -> dict[str, Any]:
    """The resource of an answer with this status, which is in XML."""
    assert answer.status_code == status, f"{answer.status_code}: {answer.text[:500]}"
    assert answer.headers["content-type"] == "application/fhir+xml; charset=utf-8"
    assert answer.content.startswith(b'<?xml version="1.0" encoding="UTF-8"?>')
    found: dict[str, Any] = json.loads(from_xml(answer.content))
    return found


def refused(answer: httpx.Response, status: int) -> Told:
    """The first issue of a refusal told in XML."""
    return shape(resource(answer, status))
