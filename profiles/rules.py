"""Rules: a profile's table made ready to be followed; what its members mean is told in profiles/snapshot.py.

https://hl7.org/fhir/R4/elementdefinition.html
"""

from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Any, NamedTuple

from profiles.constraints import Constraint, constraint
from profiles.definitions import PRIMITIVE_TYPES, TYPES, elements
from profiles.snapshot import Table


class Value(NamedTuple):
    """One value of an element, as the object that holds it has it.

    `content` is the JSON value (None where only an extension stands), `beside` its `_name` sibling, `type` its FHIR
    type or definition path, `where` its place from the holder (`.name[0]`).
    """

    content: Any
    beside: Any
    type: str
    number: int | None
    name: str

    @property
    def where(self) -> str:
        return f".{self.name}" if self.number is None else f".{self.name}[{self.number}]"

    @property
    def inside(self) -> Any:
        """The object that holds the value's children: itself, or a primitive's sibling."""
        return self.beside if self.type in PRIMITIVE_TYPES else self.content


class Rule:
    """What is asked of an element (or of a slice of its values) that the definition path `parent` has."""

    def __init__(self, row: Table, parent: str, at: str, root: Table) -> None:
        self.row = row
        self._root = root
        base = elements(parent)[row["name"]]
        self.name: str = base.name
        self.at = f"{at}.{base.name}"
        self.slice: str = row.get("slice", "")
        self.members: tuple[tuple[str, str, str], ...] = tuple((n, "_" + n, t) for n, t in base.names().items())
        self.many = base.many
        self.min: int = row.get("min", 0)
        self.max: int | None = row.get("max")
        self.types = frozenset(row["types"]) if "types" in row else None
        self.profiles: Mapping[str, list[str]] = row.get("profiles", {})
        self.targets: tuple[str, ...] = tuple(row.get("targets", ()))
        self.fixed: Any = row.get("fixed")
        self.pattern: Any = row.get("pattern")
        self.binding: tuple[str, str] | None = tuple(row["binding"]) if "binding" in row else None
        self.most: str | None = row.get("most")
        self.must: bool = row.get("must", False)
        self.constraints: tuple[Constraint, ...] = tuple(constraint(*each) for each in row.get("constraints", ()))
        slicing = row.get("slicing", {})
        self.by: tuple[tuple[str, str], ...] = tuple((kind, path) for kind, path in slicing.get("by", ()))
        self.openness: str = slicing.get("rules", "open")
        self.ordered: bool = slicing.get("ordered", False)
        self._parent = parent
        self._children: dict[str, tuple[Rule, ...]] = {}
        self.borrows = "like" in row
        """Whether its children are those of another element, as may be theirs, without end."""
        self._holder: Table = _like(row["like"], root) if "like" in row and "children" not in row else row
        self.has_children = "children" in self._holder
        self.plain = not (
            self.fixed is not None
            or self.pattern is not None
            or self.binding
            or self.most
            or self.constraints
            or self.types
            or self.targets
            or self.profiles
            or self.has_children
        )
        """Whether the values themselves need no look: only their number, and the slices they fall in."""

    @cached_property
    def slices(self) -> tuple["Rule", ...]:
        """The slices, in the profile's order."""
        at = self.at.rpartition(".")[0]
        rows = self.row.get("slices", ())
        return tuple(Rule({"name": self.name, **row}, self._parent, at, self._root) for row in rows)

    def children(self, path: str) -> tuple["Rule", ...]:
        """The rules of the children, for a value of the type (or definition path) `path`."""
        if path not in self._children:
            self._children[path] = children(self._holder, path, self.at, self._root)
        return self._children[path]

    def child(self, name: str) -> "Rule | None":
        """The rule of the child with this name, for whatever type of value has one."""
        paths = self.types or {type_name for _, _, type_name in self.members}
        return next((rule for path in paths for rule in self.children(path) if rule.name == name), None)

    def values(self, owner: Mapping[str, Any]) -> list[Value]:
        """The element's values in the object that holds it; empty where it is absent or not shaped as R4 asks."""
        found: list[Value] = []
        for name, beside_name, type_name in self.members:
            content, beside = owner.get(name), owner.get(beside_name)
            if content is None and beside is None:
                continue
            if not self.many:
                if type(content) is not list:
                    found.append(Value(content, beside, type_name, None, self.name))
            elif type(content) is list or type(beside) is list:
                length = max(len(each) for each in (content, beside) if type(each) is list)
                found += [
                    Value(_at(content, i), _at(beside, i), type_name, i, self.name) for i in range(length)
                ]  # fmt: skip
        return found


class Profile:
    """A profile or extension definition, its rules compiled on first use."""

    def __init__(self, table: Table, guide: str) -> None:
        self.url: str = table["url"]
        self.version: str = table["version"]
        self.title: str = table["title"]
        self.type: str = table["type"]
        self.base: str = table["base"]
        self.guide = guide
        self.context: tuple[tuple[str, str], ...] = tuple((kind, text) for kind, text in table.get("context", ()))
        self.is_modifier: bool = table.get("modifier", False)
        self._row: Table = table["rules"]

    @cached_property
    def rules(self) -> tuple[Rule, ...]:
        """The rules of the root's children."""
        return children(self._row, self.type, self.type, self._row)

    @cached_property
    def constraints(self) -> tuple[Constraint, ...]:
        """The constraints of the root."""
        return tuple(constraint(*each) for each in self._row.get("constraints", ()))

    @property
    def canonical(self) -> str:
        """`url|version`, or the url alone of a profile without version."""
        return f"{self.url}|{self.version}" if self.version else self.url


def children(row: Table, path: str, at: str, root: Table) -> tuple[Rule, ...]:
    """The rules below a row of the profile's `root`, for the children that the definition path `path` has."""
    known: Callable[[str], bool] = elements(path).__contains__ if _has_children(path) else lambda _: False
    return tuple(Rule(each, path, at, root) for each in row.get("children", ()) if known(each["name"]))


def _like(path: str, root: Table) -> Table:
    """The row of the element at a path below the root; an empty one where the profile asks nothing of it."""
    row = root
    for name in path.split("."):
        row = next((each for each in row.get("children", ()) if each["name"] == name), {})
    return row


def _has_children(path: str) -> bool:
    return path in TYPES or "." in path


def _at(values: Any, index: int) -> Any:
    return values[index] if type(values) is list and index < len(values) else None
