"""Messages: the sentences in code and templates, merged into the catalogue of every language.

https://babel.pocoo.org/en/stable/messages.html

`python -m tools.messages` adds what is new and drops what nobody says any more; `--check` only tells whether a
catalogue lacks a translation or is behind the code. A new language: `python -m tools.messages --add fr`.
"""

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path

from babel.messages.catalog import Catalog
from babel.messages.extract import extract_from_dir
from babel.messages.pofile import write_po

from fhir_server import languages

ROOT = Path(__file__).parents[1] / "fhir_server"
_TEMPLATES = ("**/templates/**.html", "**/templates/**.txt")
_METHODS = [("**.py", "python"), *((each, "jinja2.ext:babel_extract") for each in _TEMPLATES)]
_OPTIONS = {each: {"trimmed": "true", "encoding": "utf-8", "newstyle_gettext": "true"} for each in _TEMPLATES}


def said() -> Catalog:
    """Every sentence that code and templates mark for translation, with the files that say it."""
    template = Catalog(project="fhir-server", fuzzy=False)
    for name, _, message, comments, context in extract_from_dir(str(ROOT), _METHODS, _OPTIONS):
        template.add(message, None, [(name, 1)], auto_comments=comments, context=context)
    return template


def lacking(language: str, template: Catalog) -> Iterator[str]:
    """What is wrong with a catalogue: a sentence that it lacks, leaves empty, or that nobody says."""
    catalogue = languages.catalogue(language)
    for message in template:
        if not message.id:
            continue
        found = catalogue.get(message.id, message.context)
        strings = [] if found is None else found.string if isinstance(found.string, tuple) else [found.string]
        if found is None or found.fuzzy or not all(strings):
            yield f"not translated: {message.id!r}"
        else:
            yield from (f"{problem}: {message.id!r}" for problem in found.check(catalogue))
    yield from (f"said nowhere: {message.id!r}" for message in catalogue if message.id and message.id not in template)


def merge(language: str, template: Catalog) -> None:
    """Bring a catalogue to what is said now; what is new stands in it untranslated."""
    path = languages.FOLDER / language / "LC_MESSAGES" / "messages.po"
    path.parent.mkdir(parents=True, exist_ok=True)
    catalogue = languages.catalogue(language) if path.exists() else Catalog(locale=language)
    catalogue.update(template, no_fuzzy_matching=True)
    catalogue.obsolete.clear()
    for message in catalogue:
        message.locations = sorted({(name, 0) for name, _ in message.locations})
    with path.open("wb") as file:
        write_po(file, catalogue, width=120, sort_output=True, include_lineno=False, omit_header=True)


def main() -> int:
    """Merge, or with --check tell; 1 where something lacks."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="change nothing; exit status 1 where something lacks")
    parser.add_argument("--add", metavar="LANGUAGE", help="begin the catalogue of another language")
    arguments = parser.parse_args()
    template = said()
    named = [language for language in (*languages.languages(), arguments.add) if language not in (None, "en")]
    if not arguments.check:
        for language in named:
            merge(language, template)
    problems = [f"{language}: {problem}" for language in named for problem in lacking(language, template)]
    print("\n".join(problems) or "Every sentence is said in every language.")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
