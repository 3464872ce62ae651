"""Filters: one search parameter with its modifier and values, as a condition on index entries.

https://hl7.org/fhir/R4/search.html#modifiers
"""

from collections.abc import Callable, Iterable
from itertools import product
from typing import get_args

from fhir_server.fhir import coded, composites, dates, numbers, references, strings, tokens
from fhir_server.fhir.condition import (
    EVERYTHING,
    NOTHING,
    SEPARATOR,
    Any,
    Condition,
    Contains,
    Ids,
    Keys,
    Not,
    Prefix,
    Range,
    Test,
    Updated,
)
from fhir_server.fhir.escapes import split, unescape
from fhir_server.fhir.keys import LENGTH, escape, key, token
from fhir_server.fhir.outcome import FhirError, refuse
from fhir_server.fhir.params import Component, Parameter
from fhir_server.fhir.paths import Branch
from profiles.definitions import RESOURCE_TYPES

MODIFIERS: dict[str, frozenset[str]] = {
    "token": frozenset({"missing", "not", "text", "of-type"}),
    "string": frozenset({"missing", "exact", "contains"}),
    "reference": frozenset({"missing", "identifier"}),
    "uri": frozenset({"missing", "above", "below"}),
    "date": frozenset({"missing"}),
    "number": frozenset({"missing"}),
    "quantity": frozenset({"missing"}),
    "composite": frozenset({"missing"}),
}
"""Modifiers by parameter type. A reference also takes the name of a type, a token those of coded.py."""

_PREFIXES: frozenset[str] = frozenset(get_args(Test))


def condition(parameter: Parameter, modifier: str, value: str, base: str = "") -> Condition:
    """What `name:modifier=value` asks for; a comma in `value` means or. `base` is the server's own URL.

    FhirError 400 naming the parameter where modifier or value do not fit its type.
    """
    if parameter.name == "_id":
        return _id(parameter, modifier, value)
    if parameter.name == "_lastUpdated":
        return _any(_updated(parameter, modifier, part) for part in split(value, ","))
    _check(parameter, modifier)
    if modifier == "missing":
        return _missing(parameter, value)
    parts = split(value, ",")
    if not all(parts):
        raise wrong_value(parameter.name, value, "a value is empty")
    found = _any(_SEARCHES[parameter.type](parameter, modifier, part, base) for part in parts)
    return Not(found) if modifier == "not" else found


def wrong_value(name: str, value: str, reason: str) -> FhirError:
    """The refusal of a value that its parameter cannot have."""
    return refuse(
        400, "value", "invalid-value", f"The search parameter {name}={value[:200]} is not valid: {reason}.", name
    )


def _check(parameter: Parameter, modifier: str) -> None:
    name = parameter.name
    if parameter.type == "special":
        raise refuse(400, "not-supported", "not-supported", f"Searching by {name} is not supported.", name)
    if not modifier or modifier in MODIFIERS[parameter.type]:
        return
    if parameter.type == "reference" and modifier in RESOURCE_TYPES:
        if parameter.targets and modifier not in parameter.targets:
            text = f"The search parameter {name} does not refer to {modifier}."
            raise refuse(400, "invalid", "invalid-modifier", text, f"{name}:{modifier}")
        return
    if parameter.type == "reference" and modifier in coded.MODIFIERS:
        text = f"The modifier {modifier} of the search parameter {name} is not supported."
        raise refuse(400, "not-supported", "not-supported", text, f"{name}:{modifier}")
    text = f"The search parameter {name} has the type {parameter.type}, which knows no modifier {modifier}."
    raise refuse(400, "invalid", "invalid-modifier", text, f"{name}:{modifier}")


def _any(conditions: Iterable[Condition]) -> Condition:
    """Their disjunction; keys of the same field become one set of keys."""
    keys: dict[str, None] = {}
    others: list[Condition] = []
    field = None
    for found in conditions:
        if isinstance(found, Keys) and field in (None, found.field):
            field = found.field
            keys.update(dict.fromkeys(found.keys))
        else:
            others.append(found)
    if field is not None and keys:
        others.insert(0, Keys(field, tuple(keys)))
    return others[0] if len(others) == 1 else Any(tuple(others))


def _id(parameter: Parameter, modifier: str, value: str) -> Condition:
    if modifier == "missing":
        return _never_missing(parameter, value)
    if modifier not in ("", "not"):
        raise refuse(400, "invalid", "invalid-modifier", f"_id knows no modifier {modifier}.", f"_id:{modifier}")
    ids = tuple(dict.fromkeys(unescape(part) for part in split(value, ",")))
    for id in ids:
        if not references.ID.fullmatch(id):
            raise wrong_value("_id", value, "an id has 1 to 64 letters, digits, hyphens and dots")
    return Not(Ids(ids)) if modifier else Ids(ids)


def _updated(parameter: Parameter, modifier: str, value: str) -> Condition:
    if modifier == "missing":
        return _never_missing(parameter, value)
    if modifier:
        text = f"_lastUpdated knows no modifier {modifier}."
        raise refuse(400, "invalid", "invalid-modifier", text, f"_lastUpdated:{modifier}")
    test, interval = _interval(parameter.name, value)
    return Updated(test, dates.microseconds(interval.lo), dates.microseconds(interval.hi))


def _never_missing(parameter: Parameter, value: str) -> Condition:
    return NOTHING if isinstance(_missing(parameter, value), Not) else EVERYTHING


def _missing(parameter: Parameter, value: str) -> Condition:
    present = Keys("hs", (parameter.label,))
    if value not in ("true", "false"):
        raise wrong_value(f"{parameter.name}:missing", value, "it is true or false")
    return Not(present) if value == "true" else present


def _token(parameter: Parameter, modifier: str, value: str, base: str) -> Condition:
    name, label = parameter.name, parameter.label
    if modifier == "text":
        return Prefix("st", f"{label}:text{SEPARATOR}{_folded(name, value)}")
    if modifier == "of-type":
        parts = [unescape(part) for part in split(value, "|")]
        if len(parts) != 3 or not all(parts):
            raise wrong_value(f"{name}:of-type", value, "it is written system|code|value")
        system, code, text = parts
        return Keys("tk", (key(f"{label}:of-type", f"{token(system, code)}|{text}"),))
    return _token_keys(name, label, parameter.branches, value)


def _token_keys(name: str, label: str, branches: tuple[Branch, ...], value: str) -> Condition:
    system, code = _token_parts(name, value)
    if tokens.is_plain(branches):
        return _plain_token(name, label, branches, system, code)
    if system is None:
        return Keys("tk", (f"{label}{SEPARATOR}*|{escape(code)}",))
    if not code:
        return Prefix("tk", f"{label}{SEPARATOR}{token(escape(system), '')}")
    return Keys("tk", (f"{label}{SEPARATOR}{token(escape(system), escape(code))}",))


def _token_parts(name: str, value: str) -> tuple[str | None, str]:
    """System and code as asked: None for any system, an empty one for none; an empty code for any."""
    parts = [unescape(part) for part in split(value, "|")]
    if len(parts) > 2 or not any(parts):
        raise wrong_value(name, value, r"it is written code, |code, system| or system|code, and a bar in them \|")
    return (None, parts[0]) if len(parts) == 1 else (parts[0], parts[1])


def _plain_token(name: str, label: str, branches: tuple[Branch, ...], system: str | None, code: str) -> Condition:
    """The values have no system written; a system that is asked for must be the one of their binding."""
    types = {branch.type for branch in branches}
    if types == {"boolean"} and code not in ("true", "false", ""):
        raise wrong_value(name, code, "it is true or false")
    if types == {"ContactPoint"}:
        code = tokens.contact(code)
    if system and system not in tokens.systems(branches, code):
        return NOTHING
    if not code:
        return Prefix("tk", f"{label}{SEPARATOR}*|")
    return Keys("tk", (f"{label}{SEPARATOR}*|{escape(code)}",))


def _folded(name: str, value: str) -> str:
    folded = strings.folded(unescape(value))
    if not folded:
        raise wrong_value(name, value, "nothing to compare is left of it")
    if len(folded) >= LENGTH:
        raise wrong_value(name, value, f"a text to search for has less than {LENGTH} characters")
    return folded


def _string(parameter: Parameter, modifier: str, value: str, base: str) -> Condition:
    prefix = f"{parameter.label}{SEPARATOR}"
    if modifier == "exact":
        return Keys("st", (f"{prefix}{strings.whole(unescape(value))}",))
    folded = _folded(parameter.name, value)
    return Contains("st", prefix, folded) if modifier == "contains" else Prefix("st", f"{prefix}{folded}")


def _reference(parameter: Parameter, modifier: str, value: str, base: str) -> Condition:
    if modifier == "identifier":
        return _token_keys(f"{parameter.name}:identifier", f"{parameter.label}:identifier", _IDENTIFIER, value)
    found = _reference_keys(parameter.name, parameter.branches, parameter.targets, modifier, value, base)
    return Keys("tk", tuple(f"{parameter.label}{SEPARATOR}{escape(text)}" for text in found))


def _reference_keys(
    name: str, branches: tuple[Branch, ...], targets: tuple[str, ...], type: str, value: str, base: str
) -> list[str]:
    text = references.normalise(unescape(value), base)
    if references.ID.fullmatch(text):
        target = type or (targets[0] if len(targets) == 1 else "*")
        plain = [text] if any(branch.type in ("canonical", "uri") for branch in branches) else []
        return [f"{target}/{text}", *plain]
    found = references.local(text)
    if found is not None:
        if type and found.type != type:
            raise wrong_value(f"{name}:{type}", value, f"it names a {found.type}")
        return [str(found) if found.version is None else f"{found}/_history/{found.version}"]
    if ":" not in text or (type and f"/{type}/" not in text):
        raise wrong_value(name, value, "a reference is written id, Type/id, or as an absolute URL")
    return [text]


def _uri(parameter: Parameter, modifier: str, value: str, base: str) -> Condition:
    text, prefix = unescape(value), f"{parameter.label}{SEPARATOR}"
    if not modifier:
        return Keys("tk", (f"{prefix}{escape(text)}",))
    if text.startswith("urn:") or "//" not in text:
        raise wrong_value(f"{parameter.name}:{modifier}", value, "only URLs have others above and below them")
    text = text.rstrip("/")
    if modifier == "below":
        return Any((Keys("tk", (f"{prefix}{escape(text)}",)), Prefix("tk", f"{prefix}{escape(text)}/")))
    scheme, _, path = text.partition("//")
    parts = path.split("/")
    above = [f"{scheme}//{'/'.join(parts[:count])}" for count in range(len(parts), 0, -1)]
    return Keys("tk", tuple(f"{prefix}{escape(url)}" for url in (*above, *(f"{url}/" for url in above))))


def _date(parameter: Parameter, modifier: str, value: str, base: str) -> Condition:
    return _date_range(parameter.name, parameter.label, value)


def _date_range(name: str, label: str, value: str) -> Condition:
    test, interval = _interval(name, value)
    if interval.is_day:
        return Range(label, test, interval.a, interval.z, "day")
    return Range(label, test, interval.lo, interval.hi)


def _interval(name: str, value: str) -> tuple[Test, dates.Interval]:
    test, text = _test(unescape(value))
    try:
        interval = dates.parse(text)
    except ValueError as error:
        hint = "; write a plus sign in a URL as %2B" if " " in text else ""
        raise wrong_value(name, value, f"{error}{hint}") from None
    return test, dates.widen(interval) if test == "ap" else interval


def _number(parameter: Parameter, modifier: str, value: str, base: str) -> Condition:
    return _number_range(parameter.name, parameter.label, value, value)


def _quantity(parameter: Parameter, modifier: str, value: str, base: str) -> Condition:
    return _quantity_range(parameter.name, parameter.label, value)


def _quantity_range(name: str, label: str, value: str) -> Condition:
    parts = [unescape(part) for part in split(value, "|")]
    if len(parts) == 1:
        return _number_range(name, label, value, value)
    if len(parts) != 3 or not parts[2]:
        raise wrong_value(name, value, "it is written number, number|system|code or number||unit")
    number, system, code = parts
    unit = f"{token(escape(system), '') if system else '*|'}{escape(code)}"
    return _number_range(name, f"{label}{SEPARATOR}{unit}", number, value)


def _number_range(name: str, label: str, text: str, value: str) -> Condition:
    test, digits = _test(text)
    try:
        number = numbers.parse(digits)
    except ValueError as error:
        raise wrong_value(name, value, str(error)) from None
    if test in ("eq", "ne"):
        return Range(label, test, numbers.ordered(number.low), numbers.ordered(number.high))
    if test == "ap":
        low, high = number.around()
        return Range(label, test, numbers.ordered(low), numbers.point(high)[1])
    return Range(label, test, *numbers.point(number.value))


def _composite(parameter: Parameter, modifier: str, value: str, base: str) -> Condition:
    name, parts = parameter.name, split(value, "$")
    components = parameter.components[0]
    if len(parts) != len(components) or not all(parts):
        raise wrong_value(name, value, f"it has {len(components)} parts joined by $")
    last = len(components) - 1
    exact = [
        _exact_keys(name, component, part, base)
        for position, (component, part) in enumerate(zip(components, parts, strict=True))
        if composites.is_exact(position, components)
    ]
    labels = [SEPARATOR.join((parameter.label, *combination)) for combination in product(*exact)]
    if composites.is_exact(last, components):
        return Keys("tk", tuple(labels))
    if components[last].type == "string":
        return _any(Prefix("st", f"{label}{SEPARATOR}{_folded(name, parts[last])}") for label in labels)
    read: Callable[[str, str, str], Condition] = _date_range if components[last].type == "date" else _quantity_range
    return _any(read(name, label, parts[last]) for label in labels)


def _exact_keys(name: str, component: Component, value: str, base: str) -> list[str]:
    """The keys a part of a composite that is compared exactly can have."""
    if component.type == "token":
        found = _token_keys(name, "", component.branches, value)
        if isinstance(found, Prefix):
            raise wrong_value(name, value, "a code is needed")
        return [text[len(SEPARATOR) :] for text in found.keys] if isinstance(found, Keys) else []
    if component.type in ("reference", "uri"):
        return [escape(text) for text in _reference_keys(name, component.branches, (), "", value, base)]
    if component.type == "string":
        return [_folded(name, value)]
    test, digits = _test(value)
    if test != "eq":
        raise wrong_value(name, value, "numbers of this parameter are only compared for equality")
    try:
        return [numbers.ordered(numbers.parse(digits).value)]
    except ValueError as error:
        raise wrong_value(name, value, str(error)) from None


def _test(text: str) -> tuple[Test, str]:
    """The prefix of a date, number or quantity, and what follows it."""
    prefix = text[:2]
    for test in get_args(Test):
        if prefix == test:
            known: Test = test
            return known, text[2:]
    return "eq", text


_IDENTIFIER = (Branch("", lambda value: [value], "Identifier"),)

_SEARCHES: dict[str, Callable[[Parameter, str, str, str], Condition]] = {
    "token": _token,
    "string": _string,
    "reference": _reference,
    "uri": _uri,
    "date": _date,
    "number": _number,
    "quantity": _quantity,
    "composite": _composite,
}
