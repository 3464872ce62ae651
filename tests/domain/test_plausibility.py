"""Every rule about a dose: what breaks it, and what comes close and does not."""

from datetime import date
from typing import Any

import pytest

from fhir_server.domain.plausibility import RULES, Days, Dose, Package, Product, findings, months_between

TODAY = date(2021, 6, 1)


def day(text: str) -> Days:
    return Days(date.fromisoformat(text), date.fromisoformat(text))


PFIZER = Product("208", date(2020, 11, 2), date(2023, 10, 24), 144, None)
CHILDREN = Product("310", date(2023, 9, 13), None, 60, 143)
UNSPECIFIED = Product("213", None, date(2020, 11, 16), 5, None, unspecified=True)
MODERNA_PACKAGE = Package("80777-0273-10", frozenset({"207"}), frozenset({"MOD"}))
PFIZER_PACKAGE = Package("59267-1000-01", frozenset({"208"}), frozenset({"PFR"}))

SOUND: dict[str, Any] = {
    "given": True,
    "administered": True,
    "today": TODAY,
    "day": day("2021-03-01"),
    "born": day("1950-05-17"),
    "lot": "EL9261",
    "expires": day("2021-07-31"),
    "products": (PFIZER,),
    "packages": (PFIZER_PACKAGE,),
    "manufacturers": ("PFR",),
    "number": 2,
    "earlier": 1,
}


def broken(**changes: Any) -> list[str]:
    return [found.rule.code for found in findings(Dose(**{**SOUND, **changes}))]


def test_a_sound_dose() -> None:
    assert broken() == []


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"lot": ""}, ["lot-number-missing"]),
        ({"expires": None}, ["expiration-date-missing"]),
        ({"lot": "", "expires": None, "administered": False}, []),
        ({"lot": "", "given": False}, []),
        ({"born": day("2021-03-02"), "products": ()}, ["dose-before-birth"]),
        ({"born": day("2021-03-01"), "products": ()}, []),
        ({"born": Days(date(2021, 1, 1), date(2021, 12, 31)), "products": ()}, []),
        ({"born": Days(date(2022, 1, 1), date(2022, 12, 31)), "products": ()}, ["dose-before-birth"]),
        ({"day": day("2021-06-02")}, ["dose-in-future"]),
        ({"day": day("2021-06-01")}, []),
        ({"day": Days(date(2021, 6, 1), date(2021, 6, 30))}, []),
        ({"expires": day("2021-02-28")}, ["dose-after-expiry"]),
        ({"expires": day("2021-03-01")}, []),
        ({"expires": Days(date(2021, 3, 1), date(2021, 3, 31))}, []),
        ({"day": day("2020-11-01")}, ["dose-before-product"]),
        ({"day": day("2020-11-02")}, []),
        ({"products": (PFIZER, Product("999"))}, []),
        ({"day": day("2023-10-25"), "today": date(2024, 1, 1), "expires": day("2024-01-01")}, ["dose-after-product"]),
        ({"born": day("2009-03-06")}, ["product-not-for-age"]),
        ({"born": day("2009-03-05")}, []),
        ({"products": (CHILDREN,), "packages": (), "born": day("2011-11-30"), "day": day("2023-11-30"),
          "today": date(2024, 1, 1), "expires": day("2024-01-01")}, ["product-not-for-age"]),
        ({"products": (CHILDREN,), "packages": (), "born": day("2011-12-01"), "day": day("2023-11-30"),
          "today": date(2024, 1, 1), "expires": day("2024-01-01")}, []),
        ({"packages": (MODERNA_PACKAGE,), "manufacturers": ("MOD",)}, ["package-not-product"]),
        ({"packages": (MODERNA_PACKAGE,)}, ["package-not-product", "package-not-manufacturer"]),
        ({"manufacturers": ("MOD",)}, ["package-not-manufacturer"]),
        ({"manufacturers": ()}, []),
        ({"products": (UNSPECIFIED,), "packages": ()}, ["product-unspecified"]),
        ({"products": (UNSPECIFIED,)}, []),
        ({"products": (UNSPECIFIED,), "packages": (), "administered": False}, []),
        ({"products": (), "unknown": ("4711",)}, ["vaccine-code-unknown"]),
        ({"number": 3}, ["dose-number-ahead"]),
        ({"number": 1}, ["dose-number-behind"]),
        ({"number": 1, "earlier": 0}, []),
        ({"earlier": None}, []),
        ({"day": None, "born": None}, []),
        (
            {"day": day("9999-12-31"), "born": day("0001-01-01"), "expires": day("9999-12-31")},
            ["dose-in-future", "dose-after-product"],
        ),
    ],
)  # fmt: skip
def test_rules(changes: dict[str, Any], expected: list[str]) -> None:
    assert broken(**changes) == expected


def test_every_rule_speaks_both_languages() -> None:
    assert len({rule.code for rule in RULES}) == len(RULES)
    for rule in RULES:
        assert rule.english != rule.spanish
        gaps = [{part for part in text.split() if "{" in part} for text in (rule.english, rule.spanish)]
        assert [len(each) for each in gaps] == [len(gaps[0])] * 2


def test_a_sentence_in_both_languages() -> None:
    [found] = findings(Dose(**{**SOUND, "expires": day("2021-02-28")}))
    assert found.english == "The dose was given on March 1, 2021, after its lot expired on February 28, 2021."
    assert found.spanish == (
        "La dosis se administró el 1 de marzo de 2021, después de que su lote caducara el 28 de febrero de 2021."
    )


@pytest.mark.parametrize(
    ("born", "on", "months"),
    [("2020-01-31", "2020-02-29", 0), ("2020-01-31", "2020-03-31", 2), ("2020-05-10", "2020-05-09", -1)],
)
def test_months_of_age(born: str, on: str, months: int) -> None:
    assert months_between(date.fromisoformat(born), date.fromisoformat(on)) == months
