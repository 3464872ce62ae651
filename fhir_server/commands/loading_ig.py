"""Loading a guide: a FHIR package made known to the servers of a data folder; behind `fhir-server load-ig`.

https://confluence.hl7.org/display/FHIR/NPM+Package+Specification
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from fhir_server.commands.terminal import DataFolder, command, fail, out, settings_of
from fhir_server.guides import FOLDER, Guides, PackageError
from fhir_server.settings import Settings


@dataclass(frozen=True, slots=True)
class Loaded:
    """What a package brought. `unknown` are canonicals its profiles name that no guide at hand defines."""

    name: str
    version: str
    profiles: int
    extensions: int
    value_sets: int
    unknown: tuple[str, ...]


def load(settings: Settings, package: Path) -> Loaded:
    """Load the package into the data folder. PackageError or OSError, with a sentence; nothing is changed then."""
    known = Guides(settings.data / FOLDER, settings.us_core, settings.profiles_own, settings.profiles_others)
    made = known.load(package)
    definitions = [profile for url in made.urls if (profile := made.profile(url)) is not None]
    extensions = sum(profile.type == "Extension" for profile in definitions)
    bases = sorted({profile.base for profile in definitions if profile.base and known.find(profile.base) is None})
    return Loaded(
        made.name,
        made.version,
        len(definitions) - extensions,
        extensions,
        len(list(made.value_sets)),
        tuple(bases),
    )


app = command()


@app.command()
def load_ig(
    package: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="A FHIR package with snapshots (.tgz).")],
    data: DataFolder = Path("data"),
) -> None:
    """Make the profiles, extensions and value sets of an implementation guide known, for $validate and for writes.

    Running servers with the same data folder use it at once. A package that cannot be used changes nothing.
    """
    try:
        loaded = load(settings_of(data=data), package)
    except (PackageError, OSError) as error:
        fail(str(error))
    out.print(
        f"{loaded.name} {loaded.version}: {loaded.profiles} profiles, {loaded.extensions} extensions, "
        f"{loaded.value_sets} value sets. In use from now on.",
        highlight=False,
        soft_wrap=True,
    )
    for canonical in loaded.unknown:
        out.print(f"  [yellow]not checked[/yellow] {escape(canonical)}: another guide defines it", soft_wrap=True)
