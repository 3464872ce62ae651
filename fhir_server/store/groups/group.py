"""Group: taking the members out of a Group's body and putting them back, byte for byte.

https://hl7.org/fhir/R4/group.html

Pure. Up to INLINE members stay in the body; more live out of line (members.py), and the body says SUBSETTED.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import msgspec

from fhir_server.fhir import json
from fhir_server.fhir.condition import SEPARATOR
from fhir_server.fhir.index import Entries, entries
from fhir_server.store.records import Member

INLINE = 1_000
"""A Group of more members is stored without them."""

SUBSETTED = {"system": "http://terminology.hl7.org/CodeSystem/v3-ObservationValue", "code": "SUBSETTED"}
GENERATION = f"members{SEPARATOR}"
"""Begins the token key by which a Group points to its members out of line. No search parameter has this name."""

_PARAMETER = "member"
_parts = msgspec.json.Decoder(dict[str, msgspec.Raw])
_list = msgspec.json.Decoder(list[msgspec.Raw])


class _Meta(msgspec.Struct):
    tag: list[dict[str, Any]] = []


class _Entity(msgspec.Struct):
    reference: str = ""


class _MemberShape(msgspec.Struct):
    entity: _Entity


_meta = msgspec.json.Decoder(_Meta)
_member = msgspec.json.Decoder(_MemberShape)


@dataclass(frozen=True, slots=True)
class Body:
    """A Group's body apart: its members' bytes, whether it says SUBSETTED, and the other parts."""

    parts: dict[str, msgspec.Raw]
    members: tuple[bytes, ...]
    subsetted: bool

    def with_members(self, members: Iterable[bytes]) -> bytes:
        """The body with exactly these members."""
        listed = b"[" + b",".join(members) + b"]"
        parts = {**self.parts, _PARAMETER: msgspec.Raw(listed)} if listed != b"[]" else _without(self.parts, _PARAMETER)
        return msgspec.json.encode(parts)

    def without_members(self, quantity: int) -> bytes:
        """The body of a Group whose members are out of line."""
        parts = {**_without(self.parts, _PARAMETER), "quantity": msgspec.Raw(b"%d" % quantity)}
        if not self.subsetted:
            meta = _parts.decode(self.parts["meta"]) if "meta" in self.parts else {}
            tags = [*(_list.decode(meta["tag"]) if "tag" in meta else ()), msgspec.Raw(json.dump(SUBSETTED))]
            parts["meta"] = msgspec.Raw(msgspec.json.encode({**meta, "tag": tags}))
        return msgspec.json.encode(parts)


def take_apart(body: bytes) -> Body:
    """The parts of a Group's body (valid, parsed before)."""
    parts = _parts.decode(body)
    members = tuple(bytes(each) for each in _list.decode(parts[_PARAMETER])) if _PARAMETER in parts else ()
    tags = _meta.decode(parts["meta"]).tag if "meta" in parts else []
    subsetted = any(tag.get("code") == "SUBSETTED" and tag.get("system") == SUBSETTED["system"] for tag in tags)
    return Body(parts, members, subsetted)


def as_members(raws: Iterable[bytes]) -> list[Member]:
    """Members with the reference each is known by; without a reference, its own text identifies it."""
    found = []
    for raw in raws:
        reference = _member.decode(raw).entity.reference
        found.append(Member(reference or f"#{msgspec.json.decode(raw)}", raw))
    return found


def merged(present: Sequence[bytes], added: Sequence[Member]) -> list[bytes]:
    """The members with the added ones put in the place of those with the same reference, or at the end."""
    by_reference = {member.reference: member.raw for member in as_members(present)}
    by_reference.update({member.reference: member.raw for member in added})
    return list(by_reference.values())


def keys_of(member: Member, base: str) -> list[str]:
    """By what a search finds this member: its token keys, and the patient's compartment as `pt␟Patient/1`."""
    found = entries({"resourceType": "Group", _PARAMETER: [json.parse(member.raw)]}, base)
    return [*(key for key in found.tk if is_member_key(key)), *compartment_keys(found.pt)]


def is_member_key(key: str) -> bool:
    """Whether a token key can only come from a member."""
    return key.startswith((f"{_PARAMETER}{SEPARATOR}", f"{_PARAMETER}:"))


def compartment_keys(references: Iterable[str]) -> list[str]:
    """Patients' compartments as keys of members."""
    return [f"pt{SEPARATOR}{reference}" for reference in references]


def pointing(found: Entries, generation: str) -> Entries:
    """The entries of a Group whose members are out of line in this generation."""
    kept = [key for key in found.tk if not is_member_key(key) and not key.startswith(GENERATION)]
    return replace(
        found,
        tk=[*kept, GENERATION + generation],
        hs=[*dict.fromkeys([*found.hs, _PARAMETER])],
        so={name: span for name, span in found.so.items() if name != _PARAMETER},
        pt=[],
    )


def _without(parts: dict[str, msgspec.Raw], name: str) -> dict[str, msgspec.Raw]:
    return {key: value for key, value in parts.items() if key != name}
