"""Refusals: the sentences of OperationOutcomes in the code, merged into the catalogue of every language.

https://hl7.org/fhir/R4/operationoutcome-definitions.html#OperationOutcome.issue.details

`python -m tools.refusals` adds what is new and drops what nobody says any more; `--check` only tells what a catalogue
lacks. A sentence is an f-string; its gaps are named after what fills them: `'{name}' has no meaning at this address.`
"""

import argparse
import ast
import re
import sys
from collections.abc import Iterable, Iterator
from keyword import iskeyword
from pathlib import Path

from babel.messages.catalog import Catalog
from babel.messages.pofile import write_po

from fhir_server.fhir import sentences

ROOT = Path(__file__).parents[1]
PACKAGES = ("fhir_server", "profiles", "terminology")

_SILENT = tuple(
    f"{package}/{name}"
    for package, names in (
        ("fhir_server/access", "assertions authorization card_keys clients introspection judge jwt key_sets outbound "
         "passwords registration secret server token_keys users"),
        ("fhir_server", "administering cli commands context forks serve settings story"),
        ("fhir_server/store", "access_log/sheets driver engine schema"),
        ("fhir_server/http", "card_face portal sign_in"),
        ("fhir_server/operations", "registry"),
        ("fhir_server/domain", "calendar facts"),
        ("fhir_server/jobs", "reminders"),
        ("fhir_server/fhir", "paths"),
        ("profiles", "package snapshot"),
    )
    for name in names.split()
)  # fmt: skip
"""What these say is read where the server is run, or by OAuth's rules in English, not in an OperationOutcome."""
_PLACES: dict[str, tuple[int, ...]] = {
    **dict.fromkeys(("_only_post", "_not_in_xml"), (0,)),
    **dict.fromkeys(("_unknown",), (1,)),
    **dict.fromkeys(("Issue", "Fault", "refusal", "wrong_value", "_wrong", "_dated", "_matching"), (2,)),
    **dict.fromkeys(("refuse", "Problem", "_refused"), (3,)),
    "_malformed": (0, 2),
}
"""Where the sentence, or what completes one, stands among the arguments of a call."""
_REASONS = ("Error",)
"""Exceptions are raised with the reason that another sentence quotes."""
_OTHER = frozenset({"FhirError", "UnknownParameterError", "KeyError", "TypeError", "AssertionError", "PermissionError"})
_NEITHER = re.compile(r"[a-z]+(-[a-z]+)*|[A-Z]\w*|\W*")
"""Codes and names, which are no sentences."""


def said() -> Catalog:
    """Every sentence that a refusal may say, with the files that say it."""
    template = Catalog(project="fhir-server", fuzzy=False)
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*.py")):
            if str(path.relative_to(ROOT)).removesuffix(".py").startswith(_SILENT):
                continue
            for sentence in _of(path):
                template.add(sentence, None, [(str(path.relative_to(ROOT)), 1)])
    return template


def lacking(language: str, template: Catalog) -> Iterator[str]:
    """What is wrong with a catalogue: a sentence that it lacks, or whose gaps are others, or that nobody says."""
    catalogue = sentences.catalogue(language)
    for message in template:
        if not message.id:
            continue
        found = catalogue.get(message.id)
        if found is None or not found.string:
            yield f"not translated: {message.id!r}"
        elif set(_gaps(message.id)) != set(_gaps(found.string)):
            yield f"other gaps: {message.id!r}"
    yield from (f"said nowhere: {message.id!r}" for message in catalogue if message.id and message.id not in template)


def merge(language: str, template: Catalog) -> None:
    """Bring a catalogue to what is said now; what is new stands in it untranslated."""
    path = sentences.path(language)
    path.parent.mkdir(parents=True, exist_ok=True)
    catalogue = sentences.catalogue(language) if path.exists() else Catalog(locale=language)
    catalogue.update(template, no_fuzzy_matching=True)
    catalogue.obsolete.clear()
    for message in catalogue:
        message.locations = sorted({(name, 0) for name, _ in message.locations})
        message.flags.discard("python-brace-format")
    with path.open("wb") as file:
        write_po(file, catalogue, width=120, sort_output=True, include_lineno=False, omit_header=True)


def _of(path: Path) -> Iterator[str]:
    tree = ast.parse(path.read_text())
    for scope in ast.walk(tree):
        if isinstance(scope, ast.FunctionDef | ast.AsyncFunctionDef):
            yield from _of_calls(scope, _texts(ast.walk(scope)))
    for statement in tree.body:
        if not isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield from _of_calls(statement, _texts(tree.body))


def _texts(nodes: Iterable[ast.AST]) -> dict[str, list[ast.expr]]:
    """What is assigned to each name."""
    found: dict[str, list[ast.expr]] = {}
    for node in nodes:
        if isinstance(node, ast.Assign) and len(node.targets) == 1 and isinstance(node.targets[0], ast.Name):
            found.setdefault(node.targets[0].id, []).append(node.value)
    return found


def _of_calls(within: ast.AST, texts: dict[str, list[ast.expr]]) -> Iterator[str]:
    for node in ast.walk(within):
        if not isinstance(node, ast.Call):
            continue
        name = node.func.id if isinstance(node.func, ast.Name) else getattr(node.func, "attr", "")
        is_reason = name.endswith(_REASONS) and name not in _OTHER
        for place in (0,) if is_reason else _PLACES.get(name, ()):
            if len(node.args) > place:
                yield from _sentences(node.args[place], texts)


def _sentences(value: ast.expr, texts: dict[str, list[ast.expr]]) -> Iterator[str]:
    """The sentences an argument may come to, with those that its gaps choose between."""
    match value:
        case ast.Name(id=name):
            for each in texts.get(name, ()):
                if not isinstance(each, ast.Name):
                    yield from _sentences(each, texts)
        case ast.IfExp(body=body, orelse=other):
            yield from _sentences(body, texts)
            yield from _sentences(other, texts)
        case ast.Constant(value=str(text)) if not _NEITHER.fullmatch(text):
            yield text.replace("{", "{{").replace("}", "}}")
        case ast.JoinedStr(values=parts):
            sentence, gaps = "", dict[str, str]()
            for part in parts:
                if isinstance(part, ast.Constant):
                    sentence += str(part.value).replace("{", "{{").replace("}", "}}")
                elif isinstance(part, ast.FormattedValue):
                    sentence += "{" + _gap(part.value, gaps) + "}"
                    if isinstance(part.value, ast.Name | ast.IfExp):
                        yield from _sentences(part.value, texts)
            if re.search(r"[^\W\d_]{2}", re.sub(r"\{\w*\}", "", sentence)):
                yield sentence


def _gap(value: ast.expr, gaps: dict[str, str]) -> str:
    """A name for a gap: the last word of what fills it, with a number where another has that."""
    source = ast.unparse(value)
    words = [word for word in re.findall(r"[A-Za-z_]\w*", re.sub(r"'[^']*'", "", source)) if not iskeyword(word)]
    words = words or ["value"]
    name = words[-1].strip("_").lower() or "value"
    number = 1
    while gaps.setdefault(name if number == 1 else f"{name}{number}", source) != source:
        number += 1
    return name if number == 1 else f"{name}{number}"


def _gaps(sentence: object) -> list[str]:
    return re.findall(r"(?<!\{)\{(\w+)\}", str(sentence))


def main() -> int:
    """Merge, or with --check tell; 1 where something lacks."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="change nothing; exit status 1 where something lacks")
    parser.add_argument("--add", metavar="LANGUAGE", help="begin the catalogue of another language")
    arguments = parser.parse_args()
    template = said()
    held = [path.parts[-3] for path in sentences.FOLDER.glob("*/LC_MESSAGES/issues.po")]
    named = sorted({*held, arguments.add} - {None})
    if not arguments.check:
        for language in named:
            merge(language, template)
    problems = [f"{language}: {problem}" for language in named for problem in lacking(language, template)]
    print("\n".join(problems) or "Every refusal is said in every language.")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
