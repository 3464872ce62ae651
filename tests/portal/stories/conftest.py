"""Who walks through a story: in both languages, on a phone without scripts and at a desk with them."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from playwright.async_api import Browser

from tests.portal.conftest import Town
from tests.portal.places import DESK, PHONE
from tests.portal.stories.reader import PICTURES, Reader, reading

WAYS = [
    pytest.param(("es", "phone"), id="es-phone"),
    *(
        pytest.param((language, size), id=f"{language}-{size}", marks=pytest.mark.long)
        for language, size in (("es", "desk"), ("en", "phone"), ("en", "desk"))
    ),
]
SIZES = {"phone": PHONE, "desk": DESK}


@pytest.fixture(params=WAYS)
async def reader(request: pytest.FixtureRequest, browser: tuple[Browser, Path], town: Town) -> AsyncIterator[Reader]:
    """Somebody who has not signed in. After the story nothing may have been wrong with any page of it."""
    language, size = request.param
    story = request.function.__name__.removeprefix("test_")
    folder = PICTURES / story / f"{language}-{size}"
    for old in folder.glob("*.jpg"):
        old.unlink()
    async with reading(browser[0], town, language, SIZES[size], folder) as somebody:
        yield somebody
    assert not somebody.wrong, "\n".join(somebody.wrong)
