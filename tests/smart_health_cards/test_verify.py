import io
import json
import tracemalloc
import zlib
from collections.abc import Callable
from typing import Any

import pytest
import qrcode
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from smart_health_cards import (
    Card,
    Issuer,
    RevocationList,
    SigningKey,
    TrustList,
    base64url,
    deep_link,
    issue,
    numeric,
    png,
    verify,
    write_file,
)
from smart_health_cards.report import CHECKS
from tests.smart_health_cards.attacks import CASES, forge
from tests.smart_health_cards.conftest import NOW, fixed_key, immunization

Made = Callable[..., Card]


def codes(report: Any) -> dict[str, str]:
    return {verdict.check: verdict.code for verdict in report.verdicts}


def claims_of(jws: str) -> Any:
    return json.loads(zlib.decompress(base64url.decode(jws.split(".")[1]), -15))


@pytest.fixture(scope="module")
def other() -> SigningKey:
    return fixed_key(0xBAD)


@pytest.fixture(scope="module")
def wary(key: SigningKey) -> TrustList:
    """A list on which the key's revocations are known, and another issuer whose keys are none of these."""
    crl = {"kid": key.kid, "method": "rid", "ctr": 2, "rids": ["revoked-rid", f"revoked-to.{NOW + 1}"]}
    known = TrustList.from_jwks("https://health.example/shc", {"keys": [key.public.jwk(2)]}, revocations=[crl])
    return known | TrustList.from_jwks("https://other.example/shc", {"keys": []})


def test_a_good_card_passes_every_check(issue_one: Made, trust: TrustList) -> None:
    (report,) = verify(issue_one().jws, trust, NOW)
    assert report.accepted
    assert [verdict.check for verdict in report.verdicts] == list(CHECKS)
    assert codes(report) == {
        "format": "well-formed",
        "signature": "signed",
        "validity": "in-force",
        "revocation": "no-rid",
        "trust": "issuer-trusted",
        "profile": "minimal-form",
    }
    assert report.content is not None
    assert (report.content.name, report.content.birth_date) == ("John B. Anyperson", "1951-01-20")
    assert report.content.issuer_name == "Example Health"
    (dose,) = report.content.doses
    assert (dose.code, dose.date, dose.lot_number, dose.status) == ("208", "2021-01-29", "0000007", "completed")
    assert (dose.performer, dose.subpotent) == ("ABC General Hospital", False)


def test_every_form_of_presentation_is_recognised(issue_one: Made, trust: TrustList) -> None:
    jws = issue_one().jws
    for data in (
        jws,
        f" {jws}\n",
        jws.encode(),
        numeric(jws),
        numeric(jws).encode() + b"\r\n",
        write_file([jws]),
        json.dumps({"verifiableCredential": [jws]}, indent=2),
        deep_link("https://app.example/SMARTHealthCard/", [jws]),
        png(jws),
    ):
        (report,) = verify(data, trust, NOW)
        assert report.accepted, data


def test_each_card_of_a_file_gets_its_report(issue_one: Made, trust: TrustList) -> None:
    good = issue_one().jws
    reports = verify(write_file([good, "nonsense", good[:-1]]), trust, NOW)
    assert [codes(report)["format"] for report in reports] == ["well-formed", "jws-not-compact", "base64url-invalid"]
    lines = f"{numeric(good)}\nshc:/1\n{numeric(good)}"
    assert [report.accepted for report in verify(lines, trust, NOW)] == [True, False, True]


def test_a_card_in_several_codes_is_an_option(issue_one: Made, trust: TrustList) -> None:
    digits = numeric(issue_one().jws).removeprefix("shc:/")
    texts = f"shc:/2/2/{digits[400:]}\nshc:/1/2/{digits[:400]}"
    assert [codes(report)["format"] for report in verify(texts, trust, NOW)] == ["chunked", "chunked"]
    (report,) = verify(texts, trust, NOW, chunks=True)
    assert report.accepted


def test_pictures_without_a_card_say_so(trust: TrustList) -> None:
    link = "shlink:/eyJ1cmwiOiJodHRwczovL3guZXhhbXBsZSJ9"
    seen = {}
    for text in ("https://example.org", link):
        out = io.BytesIO()
        qrcode.make(text).save(out, "PNG")
        (report,) = verify(out.getvalue(), trust, NOW)
        seen[text] = codes(report)["format"]
    assert seen == {"https://example.org": "picture-without-card", link: "link-not-card"}


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"\xff\xfe\x00", "presentation-unknown"),
        (b"\xef\xbb\xbf{}", "json-bom"),
        ("x" * 1_100_000, "presentation-too-large"),
        ("shc:/11\n" * 101, "presentation-too-large"),
        (json.dumps({"verifiableCredential": ["a.b.c"] * 101}), "presentation-too-large"),
        ("shc:/" + "11" * 4_000, "numeric-digits"),
        (b"\x89PNG\r\n\x1a\n", "picture-unreadable"),
        (b"PK\x03\x04", "jws-not-compact"),
    ],
)
def test_presentations_that_are_none(trust: TrustList, data: bytes | str, code: str) -> None:
    assert [codes(report)["format"] for report in verify(data, trust, NOW)] == [code]


def test_more_than_expected_is_accepted(key: SigningKey, other: SigningKey, issue_one: Made, trust: TrustList) -> None:
    harmless = {
        "set": {
            "claims.nbf": NOW - 0.25,
            "claims.sub": "somebody",
            "claims.vc.@context": ["https://www.w3.org/2018/credentials/v1"],
            "claims.vc.type": ["VerifiableCredential", "https://smarthealth.cards#health-card", "https://x.example#y"],
            "claims.vc.credentialSubject.fhirVersion": "4.3.0",
            "header.typ": "JWT",
        }
    }
    (report,) = verify(forge(harmless, key, other, claims_of(issue_one().jws)), trust, NOW)
    assert report.accepted
    (stored,) = verify(forge({"encode": "stored"}, key, other, claims_of(issue_one().jws)), trust, NOW)
    assert stored.accepted


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_hostile_input_is_refused_for_its_own_reason(
    case: dict[str, Any], key: SigningKey, other: SigningKey, issue_one: Made, wary: TrustList
) -> None:
    good = issue_one(immunization(), immunization("2021-02-20"))
    (report,) = verify(forge(case, key, other, claims_of(good.jws)), wary, NOW)
    assert not report.accepted
    assert codes(report)[case["check"]] == case["code"]
    assert report.verdict(case["check"]).status == "fail"
    others = [verdict for verdict in report.verdicts if verdict.check != case["check"] and verdict.status == "fail"]
    assert not others or case["check"] == "trust"


def test_the_corpus_is_large_and_its_names_are_unique() -> None:
    assert len({case["name"] for case in CASES}) == len(CASES) >= 80


def test_a_bomb_costs_little_memory(key: SigningKey, other: SigningKey, issue_one: Made, trust: TrustList) -> None:
    bomb = forge({"encode": "bomb"}, key, other, claims_of(issue_one().jws))
    tracemalloc.start()
    verify(bomb, trust, NOW)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 2_000_000


def test_changing_any_character_of_a_card_breaks_it(issue_one: Made, trust: TrustList) -> None:
    jws = issue_one().jws
    for place in range(0, len(jws), 7):
        changed = jws[:place] + ("A" if jws[place] != "A" else "B") + jws[place + 1 :]
        assert not any(report.accepted for report in verify(changed, trust, NOW)), place


@pytest.mark.parametrize(
    ("published", "listed", "status", "code"),
    [
        (None, None, "pass", "no-list-published"),
        (2, None, "unknown", "list-missing"),
        (2, {"ctr": 1, "rids": {}}, "unknown", "list-outdated"),
        (2, {"ctr": 2, "rids": {}}, "pass", "not-revoked"),
        (2, {"ctr": 2, "rids": {"my-rid": None}}, "fail", "revoked"),
        (2, {"ctr": 1, "rids": {"my-rid": None}}, "fail", "revoked"),
        (2, {"ctr": 2, "rids": {"my-rid": NOW}}, "pass", "not-revoked"),
        (2, {"ctr": 2, "rids": {"my-rid": NOW + 1}}, "fail", "revoked"),
        (None, {"ctr": 2, "rids": {"my-rid": NOW + 1}}, "fail", "revoked"),
    ],
)
def test_revocation(
    key: SigningKey, issue_one: Made, published: int | None, listed: dict[str, Any] | None, status: str, code: str
) -> None:
    documents = [RevocationList(key.kid, **listed).document()] if listed else []
    trust = TrustList.from_jwks(
        "https://health.example/shc", {"keys": [key.public.jwk(published)]}, revocations=documents
    )
    (report,) = verify(issue_one(rid=lambda group: "my-rid").jws, trust, NOW)
    verdict = report.verdict("revocation")
    assert (verdict.status, verdict.code) == (status, code)
    assert report.accepted is (status != "fail")


def test_known_but_untrusted_issuer_is_told_apart(key: SigningKey, issue_one: Made) -> None:
    trust = TrustList.from_jwks("https://health.example/shc", {"keys": [key.public.jwk()]}, trusted=False)
    (report,) = verify(issue_one().jws, trust, NOW)
    assert (codes(report)["signature"], codes(report)["trust"]) == ("signed", "issuer-not-trusted")
    assert not report.accepted


def test_nothing_is_known_of_an_issuer_outside_the_list(issue_one: Made) -> None:
    (report,) = verify(issue_one().jws, TrustList(), NOW)
    assert report.verdict("signature").status == "unknown"
    assert (codes(report)["signature"], codes(report)["trust"]) == ("issuer-unknown", "issuer-unknown")
    assert not report.accepted


def test_clocks_may_differ_by_the_leeway(issue_one: Made, trust: TrustList) -> None:
    jws = issue_one().jws
    assert not verify(jws, trust, NOW - 30)[0].accepted
    assert verify(jws, trust, NOW - 30, leeway=60)[0].accepted


def test_a_development_servers_card_needs_its_keys_put_on_the_list(key: SigningKey, patient: dict[str, Any]) -> None:
    issuer = Issuer("http://127.0.0.1:8000/shc", group_of=lambda dose: "covid-19")
    (card,) = issue(issuer, key, patient, [immunization()], not_before=NOW, log=print).cards
    assert codes(verify(card.jws, TrustList(), NOW)[0])["format"] == "iss-not-https"
    assert verify(card.jws, TrustList.from_jwks(issuer.iss, {"keys": [key.public.jwk()]}), NOW)[0].accepted


@pytest.mark.parametrize(
    ("path", "value", "status", "code"),
    [
        ("gender", "male", "warning", "patient-gender"),
        ("active", True, "pass", "allowable-form"),
    ],
)
def test_a_card_that_says_too_much_still_proves_what_it_says(
    key: SigningKey,
    other: SigningKey,
    issue_one: Made,
    trust: TrustList,
    path: str,
    value: object,
    status: str,
    code: str,
) -> None:
    case = {"set": {f"claims.vc.credentialSubject.fhirBundle.entry.0.resource.{path}": value}}
    (report,) = verify(forge(case, key, other, claims_of(issue_one().jws)), trust, NOW)
    assert (report.verdict("profile").status, report.verdict("profile").code) == (status, code)
    assert report.accepted


_json = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
_paths = st.sampled_from(
    ["header.alg", "header.zip", "header.kid", "claims.iss", "claims.nbf", "claims.exp", "claims.vc"]
    + [f"claims.vc.{name}" for name in ("type", "credentialSubject", "rid", "credentialSubject.fhirBundle")]
    + [f"claims.vc.credentialSubject.fhirBundle.{name}" for name in ("type", "entry", "entry.0", "entry.1.resource")]
    + [
        f"claims.vc.credentialSubject.fhirBundle.entry.{place}"
        for place in ("0.fullUrl", "0.resource.name", "0.resource.name.0", "0.resource.birthDate", "0.resource.meta")
    ]
    + [
        f"claims.vc.credentialSubject.fhirBundle.entry.1.resource.{name}"
        for name in ("vaccineCode", "vaccineCode.coding", "patient", "occurrenceDateTime", "performer", "lotNumber")
    ]
)
_FUZZ = settings(
    max_examples=200,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


@_FUZZ
@given(st.binary(max_size=300) | st.text(max_size=300))
@example(b"\xff\xd8\xff")
@example("shc:/\ud800")
@example('{"verifiableCredential":["\\ud800"]}')
@example("https://[::1]#%ff%fe")
@example("\ud800.\ud800.\ud800")
@example("e30.AwA.e30")
def test_anything_at_all_gets_a_report(trust: TrustList, data: bytes | str) -> None:
    reports = verify(data, trust, NOW)
    assert reports
    assert not any(report.accepted for report in reports)
    assert not any(report.accepted for report in verify(data, trust, NOW, chunks=True))


@_FUZZ
@given(path=_paths, value=_json)
def test_any_signed_content_gets_a_report(
    key: SigningKey, other: SigningKey, issue_one: Made, trust: TrustList, path: str, value: object
) -> None:
    forged = forge({"set": {path: value}}, key, other, claims_of(issue_one().jws))
    (report,) = verify(forged, trust, NOW)
    assert len(report.verdicts) == len(CHECKS)
    assert (report.content is None) is (report.verdict("format").status == "fail")


@_FUZZ
@given(place=st.integers(0, 5000), junk=st.text(max_size=4), cut=st.integers(0, 4))
def test_a_damaged_text_never_passes(issue_one: Made, trust: TrustList, place: int, junk: str, cut: int) -> None:
    good = numeric(issue_one().jws)
    place %= len(good)
    damaged = good[:place] + junk + good[place + cut :]
    if damaged.strip() != good:
        assert not any(report.accepted for report in verify(damaged, trust, NOW))
