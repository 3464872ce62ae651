"""Members: who belongs to a Group, however many there are.

https://hl7.org/fhir/R4/group-definitions.html#Group.member

A Group of more than INLINE members points by a token key to a generation of rows (generations.py). A whole list of any
length is written under a new generation first and takes effect with the one small transaction that stores the Group;
members added later are stored together with the Group's next version. Earlier versions of a large Group have no
members: those have periods of their own.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import get_args

from fhir_server.caller import Access, Predicate, Verb
from fhir_server.fhir import json, references
from fhir_server.fhir.condition import EVERYTHING, All, Condition, Keys, Not
from fhir_server.fhir.condition import Any as AnyOf
from fhir_server.fhir.index import entries
from fhir_server.fhir.outcome import FhirError, refuse
from fhir_server.store import reads, relations
from fhir_server.store.commit import Also, Commit
from fhir_server.store.database import Database
from fhir_server.store.driver import Document
from fhir_server.store.failures import contended
from fhir_server.store.groups import group
from fhir_server.store.groups.generations import ROWS_AT_ONCE, Generations
from fhir_server.store.records import Committed, Create, Delete, Member, MemberPage, Once, Stored, Update, Write
from fhir_server.store.versions import beyond

ATTEMPTS = 20
"""Times an addition starts again after others changed the Group."""


@dataclass
class Prepared:
    """Writes with large member lists taken out. By a write's number: what its transaction has to do besides, the
    generation that is of no use if it changes nothing, and the one that is of none if it does."""

    writes: list[Write]
    also: dict[int, Also] = field(default_factory=dict)
    fresh: dict[int, str] = field(default_factory=dict)
    obsolete: dict[int, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Members:
    """The members of one database's Groups. `base` is the server's own base URL."""

    database: Database
    commit: Commit
    generations: Generations
    base: str

    async def write(self, predicate: Predicate, writes: Sequence[Write], once: Once | None = None) -> list[Committed]:
        """Commit writes of any type; those of Groups keep large member lists out of line. Errors as in commit.py, and
        400 for a Group that leaves it open which members it should have."""
        prepared = Prepared(list(writes))
        try:
            for number, write in enumerate(writes):
                if write.type == "Group":
                    await self._prepare(predicate, prepared, number, write)
            committed = await self.commit.run(predicate, prepared.writes, prepared.also, once)
        except BaseException:
            await self.generations.drop(prepared.fresh.values())
            raise
        for number, outcome in enumerate(committed):
            superfluous = prepared.obsolete if outcome.changed else prepared.fresh
            if number in superfluous:
                await self.generations.drop([superfluous[number]])
            write = writes[number]
            if outcome.changed and number in prepared.fresh and not isinstance(write, Delete):
                members = group.as_members(group.take_apart(write.body).members)
                await self._enrol(write.id, write.entries.org, members)
        return committed

    async def add(
        self, predicate: Predicate, id: str, members: Sequence[Member], expected: int | None = None
    ) -> Stored:
        """Add members; one with the reference of a present member takes its place. The Group's newest version.

        Nothing changes where all are there already. Larger additions are several transactions of ROWS_AT_ONCE, each a
        version; after a failure the same call completes it. FhirError 404, 410, or 412 where `expected` is not the
        version.
        """
        unique = list({member.reference: member for member in members}.values())
        for _ in range(ATTEMPTS):
            held = await reads.read(self.database, predicate("Group"), "Group", id)
            if expected is not None and held.version != expected:
                raise refuse(412, "conflict", "stale-version", f"Group/{id} is now version {held.version}.", "If-Match")
            header = await self.generations.header(id)
            try:
                if header is None:
                    return await self._add_inline(predicate, held, unique)
                return await self._add_rows(predicate, held, header, unique)
            except FhirError as error:
                if error.status not in (409, 412) or expected is not None:
                    raise
        raise contended()

    async def page(self, visible: Condition, id: str, after: int | None, limit: int) -> MemberPage:
        """Members behind the position `after`. FhirError 404 or 410 as for the Group."""
        held = await reads.read(self.database, visible, "Group", id)
        header = await self.generations.header(id)
        start = after + 1 if after is not None else 0
        if header is None:
            found = group.as_members(group.take_apart(held.raw or b"{}").members)[start : start + limit + 1]
        else:
            rows = await self.generations.stretch(header["gen"], start, limit + 1)
            found = [Member(row["r"], row["raw"]) for row in rows]
        return MemberPage(tuple(found[:limit]), start + limit - 1 if len(found) > limit else None)

    async def find(self, visible: Condition, id: str, references: Iterable[str]) -> dict[str, Member]:
        """Those of the Group's members that have one of these references."""
        held = await reads.read(self.database, visible, "Group", id)
        header = await self.generations.header(id)
        asked = set(references)
        if header is None:
            listed = group.as_members(group.take_apart(held.raw or b"{}").members)
            return {member.reference: member for member in listed if member.reference in asked}
        rows = await self.generations.rows(header["gen"], sorted(asked))
        return {row["r"]: Member(row["r"], row["raw"]) for row in rows}

    async def resolved(self, condition: Condition) -> Condition:
        """`condition` on Groups, true also for those whose member is out of line."""
        match condition:
            case Keys("tk", keys) if any(group.is_member_key(key) for key in keys):
                asked = [key for key in keys if group.is_member_key(key)]
                return Keys("tk", (*keys, *await self.generations.with_keys(asked)))
            case Keys("pt", keys):
                pointers = await self.generations.with_keys(group.compartment_keys(keys))
                return AnyOf((condition, Keys("tk", pointers))) if pointers else condition
            case Not(inner):
                return Not(await self.resolved(inner))
            case All(parts):
                return All(tuple([await self.resolved(part) for part in parts]))
            case AnyOf(parts):
                return AnyOf(tuple([await self.resolved(part) for part in parts]))
        return condition

    async def within(self, predicate: Predicate) -> Predicate:
        """The predicate, deciding on large Groups by their members, too."""
        if isinstance(predicate, Access):
            return await self._within(predicate)
        before = predicate("Group")
        if before == EVERYTHING:
            return predicate
        resolved = await self.resolved(before)
        return lambda resource_type: resolved if resource_type == "Group" else predicate(resource_type)

    async def _within(self, access: Access) -> Access:
        verbs: tuple[Verb | None, ...] = (None, *get_args(Verb))
        found = {verb: access.rules(verb, "Group") for verb in verbs}
        resolved = {verb: None if each is None else await self.resolved(each) for verb, each in found.items()}
        if resolved == found:
            return access
        rules = access.rules
        return replace(access, rules=lambda verb, each: resolved[verb] if each == "Group" else rules(verb, each))

    async def _enrol(self, id: str, owners: Iterable[str], members: Iterable[Member]) -> None:
        """The relationships that a roster shows with members out of line; `owners` are keys of its `org`."""
        listed = self._patients(members)
        for key in owners:
            if key.startswith("Organization/") and listed:
                organization = key.removeprefix("Organization/")
                await relations.relate(self.database, organization, listed, "roster", f"Group/{id}")

    async def _require_known(self, predicate: Predicate, members: Sequence[Member]) -> None:
        """FhirError 403 where a roster names patients with whom its writer has nothing to do."""
        if not isinstance(predicate, Access) or (predicate.patients is None and not predicate.organization):
            return
        listed = self._patients(members)
        ties = await relations.load(self.database, None, listed, 0)
        if any(not ties.is_tied(patient, predicate.organization) for patient in listed):
            raise beyond("Group")

    def _patients(self, members: Iterable[Member]) -> list[str]:
        found = (references.local(member.reference, self.base) for member in members)
        return sorted({str(each) for each in found if each is not None and each.type == "Patient"})

    async def _prepare(self, predicate: Predicate, prepared: Prepared, number: int, write: Write) -> None:
        body = None if isinstance(write, Delete) else group.take_apart(write.body)
        if body is not None and body.subsetted and body.members:
            text = "This Group says SUBSETTED and has members: send either all of its members, or none of them."
            raise refuse(400, "invalid", "subsetted-members", text, "Group.member")
        if not isinstance(write, Delete) and write.unless is not None:
            unless = replace(write.unless, where=await self.resolved(write.unless.where))
            write = prepared.writes[number] = replace(write, unless=unless)
        header = None if isinstance(write, Create) else await self.generations.header(write.id)
        new: Document | None = None
        if body is not None and not isinstance(write, Delete):
            if len(body.members) > group.INLINE:
                await self._require_known(predicate, group.as_members(body.members))
                new = await self.generations.store(body.members)
                prepared.fresh[number] = new["gen"]
            elif body.subsetted:
                new = header
            if new is not None:
                prepared.writes[number] = _pointing(write, body, new)
        if header is None and new is None:
            return
        prepared.also[number] = self.generations.switch(write.id, header, new)
        if header is not None and new is not header:
            prepared.obsolete[number] = header["gen"]

    async def _add_inline(self, predicate: Predicate, held: Stored, added: Sequence[Member]) -> Stored:
        body = group.take_apart(held.raw or b"{}")
        members = group.merged(body.members, added)
        if members == list(body.members):
            return held
        whole = body.with_members(members)
        found = entries(json.parse(whole), self.base, held.id)
        [committed] = await self.write(predicate, [Update("Group", held.id, whole, found, held.version)])
        return committed.stored or held

    async def _add_rows(self, predicate: Predicate, held: Stored, header: Document, added: Sequence[Member]) -> Stored:
        for start in range(0, len(added), ROWS_AT_ONCE):
            part = added[start : start + ROWS_AT_ONCE]
            rows = await self.generations.rows(header["gen"], [each.reference for each in part])
            present = {row["r"]: row for row in rows}
            new = [each for each in part if each.reference not in present]
            changed = [
                each for each in part if each.reference in present and present[each.reference]["raw"] != each.raw
            ]
            if not new and not changed:
                continue
            after = {**header, "next": header["next"] + len(new), "count": header["count"] + len(new)}
            await self._require_known(predicate, new)
            also = self.generations.append(
                held.id,
                header,
                after,
                await self.generations.documents(header["gen"], new, header["next"]),
                [{**present[each.reference], "raw": each.raw, "m": group.keys_of(each, self.base)} for each in changed],
            )
            body = group.take_apart(held.raw or b"{}")
            found = entries(json.parse(body.with_members(())), self.base, held.id)
            write = _pointing(Update("Group", held.id, held.raw or b"{}", found, held.version), body, after)
            [committed] = await self.commit.run(predicate, [write], {0: also})
            await self._enrol(held.id, found.org, new)
            held, header = committed.stored or held, after
        return held


def _pointing(write: Create | Update, body: group.Body, header: Document) -> Create | Update:
    pointing = group.pointing(write.entries, header["gen"])
    return replace(write, body=body.without_members(header["count"]), entries=pointing)
