"""Loading a guide: a FHIR package made known to the servers of a data folder; behind `fhir-server load-ig`.

https://confluence.hl7.org/display/FHIR/NPM+Package+Specification
"""

from dataclasses import dataclass
from pathlib import Path

from fhir_server.context import Settings
from fhir_server.guides import FOLDER, Guides


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
