"""https://hl7.org/fhir/smart-app-launch/scopes-and-launch-context.html"""

import pytest

from fhir_server.access.scopes import grants, narrow, parse, parsed
from fhir_server.caller import Verb
from fhir_server.fhir.condition import EVERYTHING, Keys


@pytest.mark.parametrize(
    ("text", "level", "type", "verbs"),
    [
        ("patient/*.read", "patient", "*", "rs"),
        ("user/Immunization.write", "user", "Immunization", "cud"),
        ("system/*.*", "system", "*", "cruds"),
        ("patient/Immunization.cruds", "patient", "Immunization", "cruds"),
        ("patient/Immunization.rs?status=completed", "patient", "Immunization", "rs"),
        ("system/Patient.c", "system", "Patient", "c"),
    ],
)
def test_a_scope_is_understood_and_written_as_it_came(text: str, level: str, type: str, verbs: str) -> None:
    scope = parse(text)
    assert scope is not None
    assert (scope.level, scope.type, scope.verbs, str(scope)) == (level, type, verbs, text)


@pytest.mark.parametrize(
    "text",
    [
        *("openid", "launch/patient", "patient/*", "patient/*.", "patient/*.sr", "patient/*.rr", "Patient/*.rs"),
        *(
            "patient/patient.rs",
            "patient/Nothing.rs",
            "patient/*.reads",
            "person/*.rs",
            "patient/Immunization.read?x=1",
        ),
        *("patient/Immunization.rs?nothing=1", "patient/Immunization.rs?patient.name=x", "patient/Immunization.rs?"),
        *("patient/Immunization.rs ", "patient/Immunization.rs?status:wrong=1", "patient/*.rs?status=completed", ""),
    ],
)
def test_what_is_no_scope_on_resources_is_none(text: str) -> None:
    assert parse(text) is None


def test_a_search_of_a_scope_is_a_condition() -> None:
    scope = parse("patient/Immunization.rs?status=completed")
    assert scope is not None
    assert isinstance(scope.where("Immunization"), Keys)
    everything = parse("patient/Immunization.rs")
    assert everything is not None and everything.where("Immunization") == EVERYTHING


@pytest.mark.parametrize(
    ("verb", "type", "expected"),
    [("r", "Patient", True), ("c", "Patient", False), ("c", "Immunization", True), ("d", "Immunization", False)],
)
def test_what_scopes_grant(verb: Verb, type: str, expected: bool) -> None:
    assert grants(parsed(["user/*.read", "user/Immunization.cu", "openid"]), verb, type) is expected


@pytest.mark.parametrize(
    ("asked", "allowed", "granted"),
    [
        ("patient/*.rs", "patient/*.cruds", "patient/*.rs"),
        ("patient/*.read", "patient/*.cruds", "patient/*.read"),
        ("patient/*.*", "patient/*.rs", "patient/*.read"),
        ("patient/*.cruds", "patient/*.read", "patient/*.rs"),
        ("patient/*.rs", "patient/Patient.rs patient/Immunization.cruds", "patient/Patient.rs patient/Immunization.rs"),
        ("patient/Immunization.cruds", "patient/*.rs", "patient/Immunization.rs"),
        ("user/*.rs", "patient/*.rs", ""),
        ("system/Patient.c", "system/Patient.rs", ""),
        ("patient/Immunization.write", "patient/Immunization.c", "patient/Immunization.c"),
        (
            "patient/Immunization.rs",
            "patient/Immunization.rs?status=completed",
            "patient/Immunization.rs?status=completed",
        ),
        (
            "patient/Immunization.rs?status=completed",
            "patient/Immunization.rs",
            "patient/Immunization.rs?status=completed",
        ),
        (
            "patient/Immunization.rs?status=completed",
            "patient/Immunization.rs?date=ge2021",
            "patient/Immunization.rs?status=completed&date=ge2021",
        ),
        ("patient/*.rs", "patient/*.rs patient/Immunization.rs", "patient/*.rs"),
        (
            "openid fhirUser launch/patient offline_access",
            "openid fhirUser launch/patient",
            "openid fhirUser launch/patient",
        ),
        ("openid openid patient/*.rs patient/*.rs", "openid patient/*.rs", "openid patient/*.rs"),
        ("patient/Nothing.rs everything patient/*.x", "patient/*.cruds everything", "everything"),
        ("patient/*.read patient/Nothing.read", "patient/*.read patient/Nothing.read", "patient/*.read"),
        ("", "patient/*.rs", ""),
    ],
)
def test_granted_is_what_was_asked_and_is_allowed(asked: str, allowed: str, granted: str) -> None:
    assert " ".join(narrow(asked, allowed.split())) == granted
