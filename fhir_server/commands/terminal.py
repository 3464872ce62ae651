"""Terminal: what all commands share: where they print, the options all take, and how a failure is told.

https://typer.tiangolo.com/tutorial/exceptions/
"""

from pathlib import Path
from typing import Annotated, NoReturn

import typer
from pydantic import ValidationError
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from fhir_server.settings import Settings

out = Console()
err = Console(stderr=True)

DataFolder = Annotated[Path, typer.Option("--data", help="Folder of keys and the embedded database.")]


def command(help: str | None = None) -> typer.Typer:
    """A command, or with `help` a group of commands, to be named in cli.py."""
    return typer.Typer(help=help, no_args_is_help=help is not None, add_completion=False)


def progress() -> Progress:
    """A bar on standard error: what is done, how much of how much, and for how long."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    return Progress(*columns, console=err)


def fail(*sentences: str) -> NoReturn:
    """Say why on standard error, and exit with 1."""
    tell(*sentences)
    raise SystemExit(1)


def tell(*sentences: str) -> None:
    """Say something on standard error in the name of the program."""
    for sentence in sentences:
        err.print(f"[red]fhir-server:[/red] {sentence}", highlight=False, soft_wrap=True)


def settings_of(**given: object) -> Settings:
    """Settings from the environment and these options. Exits with 2 and a sentence per wrong value."""
    try:
        return Settings.model_validate({name: value for name, value in given.items() if value is not None})
    except ValidationError as error:
        for problem in error.errors(include_url=False, include_input=False):
            place = ".".join(str(part) for part in problem["loc"])
            tell(f"setting {place}: {problem['msg']}")
        raise SystemExit(2) from None
