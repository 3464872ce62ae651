"""Address: what the relative URL of an entry in a Bundle stands for.

https://hl7.org/fhir/R4/http.html#summary
"""

from dataclasses import dataclass

from fhir_server.fhir.outcome import refuse
from fhir_server.interactions.incoming import known_type, legal_id

EVERY = "*"
"""In place of a type: all types of a compartment."""


@dataclass(frozen=True, slots=True)
class Address:
    """`criteria` is the query string, None without a question mark. `owner` is whose compartment is searched: of
    `Patient/1/Immunization` it is `("Patient", "1")`. `special` names what is no resource: `metadata`, `_history`,
    `_search`, or the code of an operation (`$everything`).
    """

    type: str | None = None
    id: str | None = None
    version: str | None = None
    owner: tuple[str, str] | None = None
    special: str = ""
    criteria: str | None = None

    def __str__(self) -> str:
        """The relative URL."""
        history = f"_history/{self.version}" if self.version is not None else self.special
        path = "/".join(part for part in (*(self.owner or ()), self.type, self.id, history) if part)
        return path if self.criteria is None else f"{path}?{self.criteria}"

    @property
    def operation(self) -> str:
        """The code of the operation, empty where there is none."""
        return self.special[1:] if self.special.startswith("$") else ""


def address(url: str, base: str) -> Address:
    """What `url` names, relative to the server's own base. FhirError 404 for an unknown type, 400 for what is none."""
    path, question, query = url.removeprefix(base).lstrip("/").partition("?")
    criteria = query if question else None
    segments = [segment for segment in path.split("/") if segment]
    first, rest = segments[0] if segments else "", segments[1:]
    if not first or first[0] in "_$" or first == "metadata":
        if rest or (first.startswith("_") and first not in ("_history", "_search")):
            raise refuse(400, "not-supported", "unsupported-url", f"'{url}' cannot be called in a Bundle.", "url")
        return Address(special=first, criteria=criteria)
    resource_type = known_type(first)
    match rest:
        case []:
            return Address(resource_type, criteria=criteria)
        case ["_history" | "_search" as special]:
            return Address(resource_type, special=special, criteria=criteria)
        case [special] if special.startswith("$"):
            return Address(resource_type, special=special, criteria=criteria)
    resource_id = rest[0]
    if not legal_id(resource_id):
        raise refuse(400, "value", "malformed-id", f"'{resource_id}' cannot be an id.", "url")
    match rest[1:]:
        case []:
            return Address(resource_type, resource_id, criteria=criteria)
        case ["_history"]:
            return Address(resource_type, resource_id, special="_history", criteria=criteria)
        case ["_history", version]:
            return Address(resource_type, resource_id, version, criteria=criteria)
        case [special] if special.startswith("$"):
            return Address(resource_type, resource_id, special=special, criteria=criteria)
        case [member] | [member, "_search"] if not member.startswith("_"):
            special = "_search" if len(rest) == 3 else ""
            kind = member if member == EVERY else known_type(member)
            return Address(kind, owner=(resource_type, resource_id), special=special, criteria=criteria)
    raise refuse(400, "not-supported", "unsupported-url", f"'{url}' cannot be called in a Bundle.", "url")
