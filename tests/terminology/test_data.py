"""The committed tables are what the generator makes of the sources, and agree with the source's own spellings."""

from pathlib import Path
from xml.etree import ElementTree

import pytest

from terminology import codes
from terminology.systems import CVX, MVX
from tools.definitions.package import find
from tools.terminology.__main__ import outdated, tables

ROOT = Path(__file__).parents[2]
SHARED = ROOT.parent / "shared" / "data"
FOLDER = SHARED / "terminology"

at_hand = pytest.mark.skipif(not FOLDER.is_dir(), reason=f"{FOLDER} is not there: CDC's code sets")


@at_hand
def test_the_generator_makes_the_committed_files() -> None:
    definitions = find()
    if definitions is None:
        pytest.skip("the official R4 package is not in .definitions/ (python -m tools.terminology fetches it)")
    assert outdated(tables(SHARED, definitions)) == []


@at_hand
@pytest.mark.parametrize("name", ["ndc_unit_of_use.xml", "ndc_unit_of_sale.xml"])
def test_every_deprecated_spelling_of_an_ndc_normalises(name: str) -> None:
    pairs = [
        (code.findtext("value", ""), code.findtext("code-status/deprecated/new-code-value", ""))
        for code in ElementTree.parse(FOLDER / name).getroot().iterfind("code")
        if code.findtext("code-status/status") == "Deprecated"
    ]
    assert len(pairs) > 1000
    wrong = [(old, new, codes.normal_ndc(old)) for old, new in pairs if codes.normal_ndc(old) != new]
    assert wrong == []


def test_links_of_products_lead_somewhere() -> None:
    for code in codes.table("ndc"):
        product = codes.product(code)
        for cvx in product.cvx:
            codes.lookup(CVX, cvx)
        for mvx in product.mvx:
            codes.lookup(MVX, mvx)
