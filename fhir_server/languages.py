"""Languages: sentences for people in the language they read, from gettext catalogues.

https://www.gnu.org/software/gettext/manual/html_node/PO-Files.html

The English sentence is the key, its gaps are named: `{day}`. A language is a folder of `locales/` with a catalogue
(`LC_MESSAGES/messages.po`), read once; adding one is adding that file. Dates and plurals follow CLDR.
"""

from collections.abc import Mapping
from datetime import date, datetime
from functools import cache
from importlib.resources import files
from io import BytesIO
from pathlib import Path
from zoneinfo import ZoneInfo

from babel import Locale
from babel.dates import format_date, format_datetime, format_time
from babel.messages.catalog import Catalog
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po
from babel.support import NullTranslations, Translations

SOURCE = "en"
"""The language the sentences are written in."""
FOLDER = Path(str(files("fhir_server"))) / "locales"


def N_(sentence: str) -> str:  # noqa: N802 - the name by which gettext's tools find what it marks
    """Marks a sentence for the catalogues; it is said in the reader's language later."""
    return sentence


@cache
def languages() -> tuple[str, ...]:
    """The languages there are, that of the source first."""
    return (SOURCE, *sorted(path.parts[-3] for path in FOLDER.glob("*/LC_MESSAGES/messages.po")))


def catalogue(language: str) -> Catalog:
    """The catalogue of a language other than the source, as it is on disk."""
    with (FOLDER / language / "LC_MESSAGES" / "messages.po").open("rb") as file:
        return read_po(file, language)


@cache
def translations(language: str) -> NullTranslations:
    """What gettext and templates ask for a language; the source's own sentences for a language there is not."""
    if language == SOURCE or language not in languages():
        return NullTranslations()
    compiled = BytesIO()
    write_mo(compiled, catalogue(language))
    compiled.seek(0)
    return Translations(compiled)


def say(sentence: str, language: str, values: Mapping[str, object] | None = None) -> str:
    """The sentence in this language, its gaps filled; days are written out."""
    text: str = translations(language).gettext(sentence)
    if values is None:
        return text
    return text.format_map({name: _shown(value, language) for name, value in values.items()})


def day(value: date, language: str) -> str:
    """A calendar day as people write it: January 14, 2021; 14 de enero de 2021."""
    return format_date(value, "long", locale=language if language in languages() else SOURCE)


def hour(value: datetime, language: str) -> str:
    """A time of day as people write it: 2:30 PM; 14:30."""
    return format_time(value.time(), "short", locale=language if language in languages() else SOURCE)


def moment(instant: str, language: str, zone: str) -> str:
    """A FHIR instant as people write it, by the clock of that time zone (IANA name); empty for none."""
    if not instant:
        return ""
    at = datetime.fromisoformat(instant).astimezone(ZoneInfo(zone))
    return format_datetime(at, "medium", locale=language if language in languages() else SOURCE)


def own_name(language: str) -> str:
    """What its speakers call a language: English, español."""
    return Locale.parse(language).get_language_name(language) or language


def preferred(accept_language: str) -> str:
    """The language of ours that an Accept-Language header ranks highest; the source's where it names none."""
    best, quality = SOURCE, 0.0
    for item in accept_language.split(","):
        tag, _, weight = item.partition(";")
        try:
            q = float(weight.strip().removeprefix("q=")) if weight else 1.0
        except ValueError:
            continue
        language = tag.strip().lower().split("-")[0]
        if language in languages() and q > quality:
            best, quality = language, q
    return best


def _shown(value: object, language: str) -> object:
    return day(value, language) if isinstance(value, date) else value
