"""Index: from a resource to its index entries, and do these entries satisfy a condition.

https://hl7.org/fhir/R4/search.html
"""

from collections.abc import Callable, Iterator
from functools import cache
from typing import Any, NamedTuple

from fhir_server.fhir import composites, dates, edition, quantities, references, strings, tokens
from fhir_server.fhir.condition import SEPARATOR
from fhir_server.fhir.entries import Entries, Span
from fhir_server.fhir.keys import escape
from fhir_server.fhir.params import Parameter, compartments, parameters
from fhir_server.fhir.paths import Branch, Select
from fhir_server.fhir.satisfies import satisfies

__all__ = ["Entries", "Span", "entries", "satisfies"]

OWNERS = (
    "managingOrganization",
    "managingEntity",
    "serviceProvider",
    "custodian",
    "organization",
    "partOf",
    "performer",
    "owner",
)
"""Members of a resource whose Organizations own it, directly or as their `actor`."""

SORT_LENGTH = 100
"""Sort keys hold this many characters."""

Add = Callable[[Entries, Any, str], None]


class _Step(NamedTuple):
    """What to do with the values a branch selects: the key of their presence, and their other keys."""

    select: Select
    present: str
    add: Add


class _Joined(NamedTuple):
    """A composite: needs the whole resource beside the focus."""

    branch: Branch
    present: str
    add: Callable[[Entries, Any, Any, str], None]


class _Plan(NamedTuple):
    """How to index one resource type: steps by the member they start with, steps on the whole, composites; and the
    edition of all that."""

    members: dict[str, list[_Step]]
    whole: list[_Step]
    joined: list[_Joined]
    edition: int


def entries(resource: dict[str, Any], base: str = "", id: str = "") -> Entries:
    """The index entries of a valid resource. `base` is the server's own URL without a slash at its end; `id` the
    logical id where the resource does not have it yet (it belongs to its own compartment).

    Values that do not fit their element's type have no entries; KeyError where the resource type is unknown; FhirError
    422 where the codes of a composite parameter multiply beyond measure.
    """
    type_name: str = resource["resourceType"]
    plan = _plan(type_name)
    found = Entries(ix=plan.edition)
    members = plan.members
    for name, value in resource.items():
        steps = members.get(name)
        if steps is not None and value is not None:
            for select, present, add in steps:
                values = select(value)
                if values:
                    found.hs.append(present)
                    for item in values:
                        add(found, item, base)
    for select, present, add in plan.whole:
        values = select(resource)
        if values:
            found.hs.append(present)
            for item in values:
                add(found, item, base)
    for branch, present, join in plan.joined:
        for focus in branch.of(resource):
            found.hs.append(present)
            join(found, focus, resource, base)
    _add_access(found, resource, type_name, id, base)
    found.tk = list(dict.fromkeys(found.tk))
    found.hs = list(dict.fromkeys(found.hs))
    found.st = list(dict.fromkeys(found.st))
    if found.rk:
        found.rk = list(dict.fromkeys(found.rk))
    return found


def adder(type_name: str, parameter: str) -> Add:
    """What gives entries those of one value of this parameter, whose values are all of one type: `add(entries, value,
    base)`. KeyError where the type has no such parameter."""
    found = parameters(type_name)[parameter]
    add = _adder(found, found.branches[0], parameter in compartments()["Patient"].get(type_name, ()))
    if add is None:
        raise KeyError(parameter)
    return add


def referred(resource: dict[str, Any], parameter: str, base: str = "") -> list[references.Local]:
    """The resources of this server that a resource names by a reference parameter, in order, for includes.

    KeyError where the type has no such parameter.
    """
    found: dict[references.Local, None] = {}
    for branch in parameters(resource["resourceType"])[parameter].branches:
        for value in branch.of(resource):
            text = value.get("reference") if type(value) is dict else value
            target = references.local(text, base) if type(text) is str else None
            if target is not None:
                found[target] = None
    return list(found)


@cache
def _plan(type_name: str) -> _Plan:
    plan = _Plan({}, [], [], edition.number(edition.digests(type_name)))
    in_patient = compartments()["Patient"].get(type_name, ())
    for parameter in parameters(type_name).values():
        if parameter.name in ("_id", "_lastUpdated") or parameter.same_as:
            continue
        present = parameter.name
        if parameter.type == "composite":
            for branch, components in zip(parameter.branches, parameter.components, strict=True):
                plan.joined.append(_Joined(branch, present, composites.adder(parameter, components)))
            continue
        for branch in parameter.branches:
            add = _adder(parameter, branch, parameter.name in in_patient)
            if add is None:
                # A value of another type is none that could be searched: to this parameter it is missing.
                continue
            step = _Step(branch.select, present, add)
            if branch.member:
                plan.members.setdefault(branch.member, []).append(step)
            else:
                plan.whole.append(step)
    return plan


def _adder(parameter: Parameter, branch: Branch, in_patient: bool) -> Add | None:
    name = parameter.name
    if parameter.type == "token":
        read = tokens.reader(branch, tokens.is_plain(parameter.branches))
        return _add_tokens(name, branch.type, read) if read else None
    if parameter.type == "string":
        texts = strings.reader(branch.type)
        return _add_strings(name, texts, strings.is_name(parameter)) if texts else None
    if parameter.type == "reference":
        return _add_references(name, in_patient, len(parameter.targets) == 1)
    if parameter.type == "date":
        covered = dates.reader(branch.type)
        return _add_dates(name, covered) if covered else None
    if parameter.type in ("number", "quantity"):
        measure = quantities.reader(branch.type)
        return _add_quantities(name, measure) if measure else None
    if parameter.type == "uri":
        return _add_uris(name)
    return None


def _add_tokens(name: str, type_name: str, read: tokens.Read) -> Add:
    prefix = f"{name}{SEPARATOR}"
    typed = f"{name}:of-type{SEPARATOR}"
    text_prefix = f"{name}:text{SEPARATOR}"
    has_text = type_name in ("CodeableConcept", "Coding", "Identifier")
    is_identifier = type_name == "Identifier"

    def add(found: Entries, value: Any, base: str) -> None:
        keys = read(value)
        if keys:
            for key in keys:
                found.tk.append(prefix + key)
            code = key[key.index("|") + 1 :][:SORT_LENGTH]
            found.sort(name, code, code)
        if has_text:
            for text in tokens.texts(value):
                found.st.append(text_prefix + strings.folded(text))
            if is_identifier and type(value) is dict and "type" in value:
                found.tk += [typed + escape(key) for key in tokens.of_type(value)]

    return add


def _add_strings(name: str, read: Callable[[Any], list[str]], by_word: bool) -> Add:
    prefix = f"{name}{SEPARATOR}"

    def add(found: Entries, value: Any, base: str) -> None:
        for text in read(value):
            key = strings.whole(text)
            found.st.append(prefix + key)
            key = key[: key.index(SEPARATOR)]
            if by_word and " " in key:
                found.st += [prefix + rest for rest in strings.further(key)]
            key = key[:SORT_LENGTH]
            found.sort(name, key, key)

    return add


def _add_references(name: str, in_patient: bool, is_typed: bool) -> Add:
    prefix = f"{name}{SEPARATOR}"
    identified = f"{name}:identifier{SEPARATOR}"

    def add(found: Entries, value: Any, base: str) -> None:
        text = value
        if type(value) is dict:
            text = value.get("reference")
            if "identifier" in value:
                found.tk += [identified + key for key in tokens.identifier(value["identifier"])]
            if "resourceType" in value and "id" in value:
                text = f"{value['resourceType']}/{value['id']}"
        if type(text) is not str:
            return
        keys = references.keys(text, base)
        if not keys:
            return
        for key in keys:
            # an id alone is only looked for where several types are possible
            if not (is_typed and key.startswith("*/")):
                found.tk.append(prefix + escape(key))
        key = keys[0][:SORT_LENGTH]
        found.sort(name, key, key)
        if in_patient and key.startswith("Patient/") and key not in found.pt:
            found.pt.append(key)

    return add


def _add_dates(name: str, read: Callable[[Any], dates.Interval | None]) -> Add:
    def add(found: Entries, value: Any, base: str) -> None:
        interval = read(value)
        if interval is not None:
            found.days(name, interval.lo, interval.hi, interval.a, interval.z)
            found.sort(name, interval.lo, interval.hi)

    return add


def _add_quantities(name: str, read: Callable[[Any], quantities.Measured | None]) -> Add:
    def add(found: Entries, value: Any, base: str) -> None:
        measured = read(value)
        if measured is not None:
            lo, hi, units = measured
            for unit in units:
                found.span(f"{name}{SEPARATOR}{unit}" if unit else name, lo, hi)
            found.sort(name, lo, hi)

    return add


def _add_uris(name: str) -> Add:
    prefix = f"{name}{SEPARATOR}"

    def add(found: Entries, value: Any, base: str) -> None:
        if type(value) is str:
            found.tk.append(prefix + escape(value))
            canonical, bar, _ = value.partition("|")
            if bar:
                found.tk.append(prefix + escape(canonical))
            key = canonical[:SORT_LENGTH]
            found.sort(name, key, key)

    return add


def _add_access(found: Entries, resource: dict[str, Any], type_name: str, id: str, base: str) -> None:
    """Whose compartment, which organizations', under which labels."""
    own = id or resource.get("id")
    if type_name == "Patient" and own:
        found.pt.insert(0, f"Patient/{own}")
    if type_name == "Organization" and own:
        found.org.append(f"Organization/{own}")
    for name in OWNERS:
        for text in _texts(resource.get(name)):
            target = references.local(text, base)
            if target is not None and target.type == "Organization" and str(target) not in found.org:
                found.org.append(str(target))
    meta = resource.get("meta")
    labels = meta.get("security", ()) if type(meta) is dict else ()
    for label in labels:
        found.lb += [key for key in tokens.coding(label) if not key.startswith("*|") and not key.endswith("|")]


def _texts(value: Any) -> Iterator[str]:
    """The references in a member that is a Reference, a list of them, or a list of parts with an `actor`."""
    for item in value if type(value) is list else (value,):
        if type(item) is not dict:
            continue
        actor = item.get("actor")
        text = (actor if type(actor) is dict else item).get("reference")
        if type(text) is str:
            yield text
