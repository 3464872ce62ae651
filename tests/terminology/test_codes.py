"""Codes and what they mean, in every spelling they arrive in."""

import subprocess
import sys

import pytest

from terminology import codes
from terminology.systems import CVX, MVX, NDC

COVID = [207, 208, *range(210, 214), *range(217, 220), 221, *range(225, 231), *range(300, 303), *range(308, 314), 334]
FOREIGN_COVID = range(500, 522)


@pytest.mark.parametrize(
    ("system", "code", "stored", "display"),
    [
        (CVX, "207", "207", "COVID-19, mRNA, LNP-S, PF, 100 mcg/0.5 mL dose"),
        ("urn:oid:2.16.840.1.113883.12.292", "03", "03", "MMR"),
        ("http://terminology.hl7.org/CodeSystem/CVX", "3", "03", "MMR"),
        (MVX, "pfr", "PFR", "Pfizer, Inc"),
        (NDC, "59267-1000-1", "59267-1000-01", "Pfizer-BioNTech Covid-19 Vaccine"),
    ],
)
def test_lookup(system: str, code: str, stored: str, display: str) -> None:
    concept = codes.lookup(system, code)
    assert (concept.code, concept.display) == (stored, display)


def test_use_windows() -> None:
    assert not codes.lookup(CVX, "207").active
    assert codes.lookup(CVX, "207").end == "2023-10-24"
    assert codes.lookup(CVX, "312").active


@pytest.mark.parametrize(
    ("system", "code"), [(CVX, "9999"), (CVX, ""), (MVX, "???"), (NDC, "1"), (NDC, "00000-0000-00")]
)
def test_unknown_code(system: str, code: str) -> None:
    with pytest.raises(codes.UnknownCodeError):
        codes.lookup(system, code)


def test_unknown_system() -> None:
    with pytest.raises(codes.UnknownSystemError):
        codes.lookup("http://snomed.info/sct", "840534001")


@pytest.mark.parametrize(
    ("cvx", "groups"),
    [("208", ("COVID-19",)), ("94", ("MMR", "VARICELLA")), ("141", ("FLU",)), ("998", ()), ("4711", ()), ("", ())],
)
def test_vaccine_groups(cvx: str, groups: tuple[str, ...]) -> None:
    assert codes.vaccine_groups(cvx) == groups


def test_covid_vaccines_are_all_there_and_nothing_else() -> None:
    found = {code for code in map(str, range(1, 1000)) if codes.is_covid_vaccine(code)}
    assert found == {str(code) for code in (*COVID, *FOREIGN_COVID)}


@pytest.mark.parametrize(
    ("cvx", "unspecified"), [("213", True), ("500", True), ("208", False), ("88", True), ("0", False)]
)
def test_unspecified(cvx: str, unspecified: bool) -> None:
    assert codes.is_unspecified(cvx) is unspecified


@pytest.mark.parametrize(
    ("code", "ndc", "cvx", "mvx"),
    [
        ("80777-0273-10", "80777-0273-10", ("207",), ("MOD",)),
        ("80777-273-10", "80777-0273-10", ("207",), ("MOD",)),
        ("80777027310", "80777-0273-10", ("207",), ("MOD",)),
        ("8077727310", "80777-0273-10", ("207",), ("MOD",)),
        ("80777-0273-98", "80777-0273-98", ("207",), ("MOD",)),
        ("0310-1222-10", "00310-1222-10", ("210",), ("ASZ",)),
        ("59676-580-05", "59676-0580-05", ("212",), ("JSN",)),
        ("58160-0821-01", "58160-0821-01", ("43", "44"), ("SKB",)),
    ],
)
def test_ndc_translates(code: str, ndc: str, cvx: tuple[str, ...], mvx: tuple[str, ...]) -> None:
    product = codes.product(code)
    assert (product.ndc, product.cvx, product.mvx) == (ndc, cvx, mvx)


@pytest.mark.parametrize(
    ("code", "normal"),
    [
        ("1-2-3", None),
        ("12345-6789-0", "12345-6789-00"),
        ("1234-567-89", None),
        ("123456789012", None),
        ("1234567890", None),
        (" 12345678901 ", "12345-6789-01"),
        ("١٢٣٤٥٦٧٨٩٠١", None),
    ],
)
def test_normal_ndc(code: str, normal: str | None) -> None:
    assert codes.normal_ndc(code) == normal


def test_the_library_loads_nothing_of_the_server() -> None:
    program = (
        "import sys, terminology.codes; "
        "print([n for n in sys.modules if n.split('.')[0] in ('fhir_server', 'fastapi', 'pymongo', 'profiles')])"
    )
    assert subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout == "[]\n"
