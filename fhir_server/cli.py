"""The command `fhir-server`: which commands there are; what each does is imported when it is called.

https://click.palletsprojects.com/en/stable/complex/#lazily-loading-subcommands
"""

from importlib import import_module
from typing import Any

import typer
from typer.core import TyperGroup

COMMANDS = {
    "serve": "serving:app",
    "demo": "demo:app",
    "import": "loading:app",
    "verify": "verifying:app",
    "keys": "keys:app",
    "clients": "access:clients_app",
    "users": "access:users_app",
    "remind": "reminding:app",
    "load-ig": "loading_ig:app",
    "reindex": "reindexing:app",
    "doctor": "checkup:app",
}
"""Where in `commands` each is."""


class Commands(TyperGroup):
    """All commands; a server that starts does not import what sends reminders by hand."""

    def list_commands(self, ctx: Any) -> list[str]:
        """In the order of the table."""
        return list(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """The command of that name; None where there is none."""
        if cmd_name not in COMMANDS:
            return None
        module, _, name = COMMANDS[cmd_name].partition(":")
        found = typer.main.get_command(getattr(import_module(f"fhir_server.commands.{module}"), name))
        found.name = cmd_name
        return found


app = typer.Typer(
    name="fhir-server",
    cls=Commands,
    help="HL7 FHIR R4 interoperability server for vaccination: rosters, eligibility, doses and signed proof.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


@app.callback()
def _every() -> None:
    """What is true of every command: nothing. Typer makes a group of it."""


def main() -> None:
    """Run the command line."""
    app()
