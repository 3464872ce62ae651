"""Whatever is sent: never a 5xx, and every refusal is an OperationOutcome.

https://hl7.org/fhir/R4/http.html#Status-Codes
"""

import json
import time
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import httpx
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from fhir_server.fhir.params import parameters
from profiles import structure
from profiles.definitions import RESOURCE_TYPES
from tests.conftest import Server

SECONDS = 6.0
"""For the whole of it: this test shares the machine with all others."""

METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "PROPFIND"]
PLACES = [
    *(("POST", ""), ("POST", ""), ("POST", "/"), ("GET", "Patient"), ("GET", "Immunization"), ("GET", "Observation")),
    *(("GET", "Group"), ("POST", "Patient"), ("PUT", "Patient/fuzz-1"), ("PUT", "Patient/fuzz-1"), ("PUT", "Patient")),
    *(("PATCH", "Patient/fuzz-1"), ("DELETE", "Patient"), ("DELETE", "Patient/fuzz-1"), ("GET", "Patient/fuzz-1")),
    *(
        ("GET", "Patient/_history"),
        ("GET", "_history"),
        ("GET", "Patient/fuzz-1/_history"),
        ("POST", "Patient/_search"),
    ),
    *(("GET", "Patient/fuzz-1/$vaccine-eligibility"), ("POST", "Patient/fuzz-1/$health-cards-issue")),
    *(("POST", "Group/fuzz-1/$roster-upload"), ("GET", "metadata")),
]
WORDS = [
    *(
        "Patient",
        "Immunization",
        "Group",
        "Bundle",
        "Observation",
        "Location",
        "patient",
        "Nonsense",
        "fuzz-1",
        "x" * 70,
    ),
    *("_history", "_search", "metadata", "$vaccine-eligibility", "$health-cards-issue", "$roster-upload", "$nonsense"),
    *("1", "0", "-1", "..", ".", "", "%00", "%ff", "%", "a%2fb", "a b", "ü"),
]
NAMES = [
    *("_id", "_lastUpdated", "_tag", "_profile", "_security", "_source", "_has", "_include", "_revinclude", "_sort"),
    *("_count", "_total", "_summary", "_elements", "_page", "_since", "_at", "_format", "_pretty", "_type", "_list"),
    *("name", "family", "birthdate", "identifier", "gender", "organization", "general-practitioner", "patient", "date"),
    *("value-quantity", "code-value-quantity", "vaccine-code", "near", "url", "member", "asOf", "policy", ""),
]
MODIFIERS = [
    "",
    "",
    "",
    ":exact",
    ":contains",
    ":missing",
    ":not",
    ":of-type",
    ":identifier",
    ":Patient",
    ":above",
    ":x",
    ":",
]
VALUES = [
    *(
        "true",
        "1",
        "-1",
        "0",
        "1e400",
        "1e5",
        "NaN",
        "2021-01-14",
        "ge2021",
        "xx2021",
        "2021-02-30",
        "9999-12-31",
        "0001",
    ),
    *("2021-01-14T10:00:00Z", "9999-12-31T23:59:59.999999Z", "0001-01-01T00:00:00+14:00", "a|b", "|b", "a|", "|", "||"),
    *(
        "a|b|c",
        "a,b",
        ",",
        "a\\,b",
        "\\",
        "$",
        "a$b",
        "Patient/1",
        "http://x/Patient/1",
        "urn:uuid:1",
        "Patient:organization",
    ),
    *(
        "*",
        "count",
        "data",
        "accurate",
        "json",
        "text/turtle",
        "␟",
        "\x00",
        "\ud7ff",
        "%",
        ".*",
        '{"$gt":""}',
        "a" * 2_000,
    ),
]
HEADERS = {
    "if-match": ['W/"1"', "1", "*", "", 'W/"99999999999999999999"', "é"],
    "if-none-match": ['W/"1"', "*", ",", '"'],
    "if-none-exist": ["identifier=a|b", "", "_id=x", "nonsense=1", "%", "identifier=%ff"],
    "if-modified-since": ["Mon, 23 Nov 2026 02:22:22 GMT", "x", "Mon, 99 Nov 99999 99:99:99 GMT"],
    "prefer": ["return=minimal", "handling=lenient", "respond-async", "=;,=", "return"],
    "accept": ["application/fhir+json", "*/*", "x", ";;q=x", "text/html"],
    "content-type": [
        "application/fhir+json",
        "application/json-patch+json",
        "application/x-www-form-urlencoded",
        "text/csv",
        "x",
        "",
    ],
    "accept-language": ["es", "en;q=x", "*"],
    "content-encoding": ["gzip", "identity"],
}

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["resourceType", "id", "meta", "name", "family", "entry", "request", "resource", "url", "extension"]
            )
            | st.text(max_size=8),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)
requests = st.fixed_dictionaries(
    {"method": st.sampled_from(["GET", "POST", "PUT", "DELETE", "PATCH"]), "url": st.sampled_from(WORDS)}
)
entries = st.fixed_dictionaries(
    {"request": requests | json_values}, optional={"resource": json_values, "fullUrl": json_values}
)
bundles = st.fixed_dictionaries(
    {
        "resourceType": st.just("Bundle"),
        "type": st.sampled_from(["batch", "transaction", "collection"]),
        "entry": st.lists(entries | json_values, max_size=3),
    }
)
resources = st.fixed_dictionaries(
    {"resourceType": st.sampled_from(["Patient", "Parameters", "Group"]), "id": st.just("fuzz-1")},
    optional={"name": json_values, "identifier": json_values, "parameter": json_values, "text": json_values},
)
garbage = json_values.map(lambda value: json.dumps(value).encode()) | st.binary(max_size=40) | st.just(b"")


paths = st.lists(st.sampled_from(WORDS), max_size=4).map("/".join)
places = st.sampled_from(PLACES) | st.sampled_from(PLACES) | st.tuples(st.sampled_from(METHODS), paths)


odd = st.sampled_from([(name, value) for name, values in HEADERS.items() for value in values])
headers = st.lists(odd, max_size=1).map(lambda found: {"content-type": "application/fhir+json", **dict(found)})


@st.composite
def asked(draw: st.DrawFn) -> tuple[str, str, dict[str, str], bytes]:
    """Method, address, headers and body: mostly of a kind that gets past the first checks."""
    method, path = draw(places)
    kind = path.partition("/")[0]
    known = [*NAMES, *parameters(kind)] if kind in RESOURCE_TYPES else NAMES
    pair = st.tuples(st.sampled_from(known), st.sampled_from(MODIFIERS), st.sampled_from(VALUES) | st.text(max_size=10))
    most = 2 if method == "GET" or path in ("Patient", "Patient/_search") else draw(st.sampled_from([0, 0, 0, 1]))
    query = "&".join(f"{name}{modifier}={value}" for name, modifier, value in draw(st.lists(pair, max_size=most)))
    fitting = bundles if not kind else resources
    body = (
        draw(st.one_of(garbage, *[fitting.map(lambda value: json.dumps(value).encode())] * 3))
        if method != "GET"
        else b""
    )
    return method, f"/fhir/{path}{'?' if query else ''}{query}", draw(headers), body


@pytest.fixture(scope="module")
def plain(server: Server) -> Iterator[httpx.Client]:
    """Hypothesis calls plain functions."""
    with httpx.Client(base_url=server.base, timeout=20) as client:
        yield client


def test_no_request_breaks_it(plain: httpx.Client) -> None:
    until = time.monotonic() + SECONDS

    @settings(
        max_examples=700,
        derandomize=True,
        deadline=None,
        database=None,
        phases=(Phase.generate,),
        suppress_health_check=list(HealthCheck),
    )
    @given(asked())
    def one(request: tuple[str, str, dict[str, str], bytes]) -> None:
        if time.monotonic() > until:
            return
        method, address, sent, body = request
        target = quote(address, "/?=&%$:|,").encode()
        encoded = {name.encode(): value.encode() for name, value in sent.items()}
        answer = plain.request(method, "", headers=encoded, content=body, extensions={"target": target})
        assert answer.status_code < 500, (method, target, sent, body, answer.text)
        if answer.status_code >= 400 and method != "HEAD":
            _is_outcome(answer, (method, target, sent, body))

    one()


def _is_outcome(answer: httpx.Response, sent: Any) -> None:
    assert answer.headers.get("content-type", "").startswith("application/fhir+json"), (sent, answer.text)
    outcome = answer.json()
    assert outcome["resourceType"] == "OperationOutcome", sent
    assert [issue for issue in structure.check(outcome) if issue.severity == "error"] == [], (sent, outcome)
