"""https://hl7.org/fhir/R4/search.html#errors

After an upgrade: what is not indexed in full is refused by name, and made good while others read and write.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any

import pytest

from fhir_server.fhir import edition
from fhir_server.fhir.condition import EVERYTHING, All, Condition, Keys, Not, Prefix, Range
from fhir_server.fhir.condition import Any as AnyOf
from fhir_server.fhir.index import Entries
from fhir_server.fhir.outcome import FhirError
from fhir_server.store import documents
from fhir_server.store.rebuild.built import labels
from fhir_server.store.records import Claim, Create, Member, Selection, SortKey
from fhir_server.store.store import Store
from tests.store.conftest import Opener
from tests.store.world import ANYBODY, claim, create, identifier, only, patient, update

STRANDS = 4
FAMILY = Prefix("st", "family␟smith")
BIRTH = Range("birthdate", "ge", "1980-01-01T00:00:00.000000", "1980-01-02T00:00:00.000000", "day")


def reduced(resource_type: str) -> Mapping[str, str]:
    """The rules of an earlier version, which knew neither family nor birthdate."""
    digests = edition.digests(resource_type)
    if resource_type != "Patient":
        return digests
    return MappingProxyType({name: each for name, each in digests.items() if name not in ("family", "birthdate")})


def earlier(write: Create) -> Create:
    """The write as that version made it."""
    found, new = write.entries, ("family", "birthdate")
    kept = Entries(
        tk=[key for key in found.tk if not key.endswith(new)],
        st=[key for key in found.st if not key.startswith(new)],
        rk=[key for key in found.rk if not key.startswith(new)],
        d=[span for span in found.d if span["p"] not in new],
        so={name: span for name, span in found.so.items() if name not in new},
        pt=found.pt,
        org=found.org,
        lb=found.lb,
        ix=edition.number(reduced("Patient")),
    )
    return replace(write, entries=kept)


def people(count: int) -> list[Create]:
    return [create(f"p{n}", patient(n, f"Smith{n % 10}", "o1", birthDate=f"198{n % 10}-01-01")) for n in range(count)]


async def stored_by_an_earlier_version(store: Store, count: int) -> None:
    writes = [earlier(write) for write in people(count)]
    for start in range(0, count, 500):
        await store.commit(*ANYBODY, writes[start : start + 500])


async def found(store: Store, where: Condition, *sort: SortKey) -> list[str]:
    page = await store.search(*ANYBODY, Selection("Patient", where, tuple(sort), limit=5_000))
    return sorted(row.id for row in page.rows)


async def reindexed(store: Store, **options: Any) -> int:
    """Reindex; the number of steps."""
    return len([step async for step in store.reindex(**options)])


async def refusal(store: Store, where: Condition, *sort: SortKey) -> FhirError:
    with pytest.raises(FhirError) as caught:
        await found(store, where, *sort)
    return caught.value


@pytest.mark.parametrize(
    ("condition", "needed"),
    [
        (EVERYTHING, set()),
        (Keys("tk", ("gender␟*|male", "link:identifier␟a|b")), {"gender", "link"}),
        (Keys("hs", ("birthdate", "link")), {"birthdate", "link"}),
        (Keys("pt", ("Patient/1",)), {":pt"}),
        (All((FAMILY, Not(AnyOf((BIRTH, Prefix("st", "name:text␟x")))))), {"family", "birthdate", "name"}),
        (Range("value-quantity␟*|mg", "eq", "a", "b"), {"value-quantity"}),
    ],
)
def test_what_a_condition_needs(condition: Condition, needed: set[str]) -> None:
    assert labels(condition) == needed


def test_an_edition_is_that_of_its_rules() -> None:
    digests = edition.digests("Patient")
    assert "phonetic" not in digests, "finds what name finds, and is indexed with it"
    assert {"name", "family", "_tag", ":pt"} <= digests.keys()
    assert not digests.keys() & {"_id", "_lastUpdated"}
    assert edition.number(digests) != edition.number(reduced("Patient"))
    assert edition.number(digests) == edition.number(dict(sorted(digests.items(), reverse=True)))


async def test_what_is_not_indexed_in_full_is_refused_by_name(opened: Opener) -> None:
    await stored_by_an_earlier_version(await opened(rules=reduced), 50)
    store = await opened()
    assert store.incomplete() == {"Patient": ["birthdate", "family"]}
    for where, name in ((FAMILY, "family"), (BIRTH, "birthdate"), (Not(All((FAMILY, identifier(1)))), "family")):
        error = await refusal(store, where)
        assert (error.status, error.issues[0].code, error.issues[0].detail) == (
            400,
            "not-supported",
            "index-incomplete",
        )
        assert error.issues[0].expression == (name,)
        assert f"parameter {name} " in error.issues[0].text
        assert "fhir-server reindex" in error.issues[0].text
    assert (await refusal(store, EVERYTHING, SortKey("family"))).issues[0].expression == ("family",)
    for call in (
        store.count(*ANYBODY, "Patient", FAMILY),
        store.ids(*ANYBODY, "Patient", FAMILY),
        store.keys(*ANYBODY, "Patient", FAMILY, "identifier␟"),
        store.keys(*ANYBODY, "Patient", EVERYTHING, "birthdate␟"),
        store.commit(*ANYBODY, [create("new", patient(7), Claim("family=smith", FAMILY))]),
    ):
        with pytest.raises(FhirError, match="does not find all"):
            await call
    assert await found(store, identifier(7)) == ["p7"]
    assert len(await found(store, EVERYTHING)) == 50
    [outcome] = await store.commit(*ANYBODY, [create("other", patient(7), claim(7))])
    assert outcome.effect == "matched"


async def test_reindexed_documents_are_those_that_would_be_written_now(opened: Opener) -> None:
    await stored_by_an_earlier_version(await opened(rules=reduced), 230)
    store, other = await opened(), await opened("motor")
    assert await reindexed(store) > 2
    assert store.incomplete() == {}
    assert await found(store, FAMILY) == sorted(f"p{n}" for n in range(230))
    assert await found(store, Prefix("st", "family␟smith3")) == sorted(f"p{n}" for n in range(3, 230, 10))
    assert len(await found(store, BIRTH, SortKey("family"))) == 230
    assert len(await found(other, FAMILY)) == 230, "another process learns it when it is asked"
    assert other.incomplete() == {}
    for write in people(230):
        document = await store.database.collection("Patient").find_one({"_id": write.id})
        assert document is not None
        # Who registered the patient stays.
        write.entries.org.append("sees␟Organization/o1")
        assert {name: document[name] for name in documents.indexed(write.entries)} == documents.indexed(write.entries)
    again = await opened()
    assert again.incomplete() == {}
    assert await reindexed(again) == 0


async def test_empty_types_need_nothing(opened: Opener) -> None:
    await opened(rules=reduced)
    store = await opened()
    assert store.incomplete() == {}
    assert await found(store, FAMILY) == []


async def test_an_earlier_version_that_writes_again_is_noticed(opened: Opener) -> None:
    """Down and up again: what the earlier version wrote lacks the entries."""
    old = await opened(rules=reduced)
    await old.commit(*ANYBODY, [earlier(create("a", patient(1)))])
    await reindexed(await opened())
    old = await opened(rules=reduced)
    assert old.incomplete() == {}, "it misses nothing that it knows"
    await old.commit(*ANYBODY, [earlier(create("b", patient(2)))])
    store = await opened()
    assert (await refusal(store, FAMILY)).issues[0].expression == ("family",)
    await reindexed(store)
    assert await found(store, FAMILY) == ["a", "b"]


async def test_opened_by_an_earlier_version_meanwhile_it_is_not_called_complete(opened: Opener) -> None:
    await stored_by_an_earlier_version(await opened(rules=reduced), 300)
    store = await opened()
    steps = store.reindex()
    await anext(steps)
    old = await opened(rules=reduced)
    await old.commit(*ANYBODY, [earlier(create("late", patient(999)))])
    assert [step async for step in steps][-1].done > 0
    assert (await refusal(store, FAMILY)).issues[0].expression == ("family",)
    store = await opened()
    await reindexed(store)
    assert "late" in await found(store, FAMILY)


async def test_it_goes_on_where_it_was_stopped(opened: Opener) -> None:
    await stored_by_an_earlier_version(await opened(rules=reduced), 600)
    store = await opened()
    steps = store.reindex()
    for _ in range(3):
        stopped = await anext(steps)
    await steps.aclose()
    assert 0 < stopped.done < stopped.total == 600
    store = await opened()
    assert (await refusal(store, FAMILY)).status == 400
    first = await anext(store.reindex())
    assert first.done > stopped.done
    await reindexed(store)
    assert len(await found(store, FAMILY)) == 600


async def test_writes_meanwhile_are_neither_lost_nor_wrongly_indexed(opened: Opener) -> None:
    count = 400
    await stored_by_an_earlier_version(await opened(rules=reduced), count)
    store, writer = await opened(), await opened("motor")
    ended = asyncio.Event()
    last: dict[str, str] = {}

    async def change(strand: int) -> None:
        number = strand
        while not ended.is_set():
            number += STRANDS
            # Ids beyond the count are new, and each belongs to one strand.
            id, family = f"p{number * 7 % (count + 40)}", f"Jones{number}"
            await writer.commit(*ANYBODY, [update(id, patient(number, family))])
            last[id] = family

    changing = [asyncio.create_task(change(strand)) for strand in range(STRANDS)]
    await reindexed(store, rest=0.5)
    ended.set()
    await asyncio.gather(*changing)
    assert len(last) > 20
    expected = {f"p{n}": f"Smith{n % 10}" for n in range(count)} | last
    rows = await store.database.rows("Patient", [{"$match": {}}])
    keys = {row["_id"]: [key for key in row["st"] if key.startswith("family")] for row in rows}
    assert keys == {id: [f"family␟{family.lower()}␟{family}"] for id, family in expected.items()}
    assert await found(store, Prefix("st", "family␟")) == sorted(expected)
    assert await found(store, Prefix("st", "family␟jones")) == sorted(last)


async def test_members_out_of_line_are_indexed_again(opened: Opener) -> None:
    store = await opened()
    group = {"resourceType": "Group", "type": "person", "actual": True}
    await store.commit(*ANYBODY, [create("g", group)])
    members = [Member(f"Patient/{n}", b'{"entity":{"reference":"Patient/%d"}}' % n) for n in range(1_010)]
    await store.add_members(*ANYBODY, "g", members)
    before = await store.database.rows("members", [{"$match": {}}])
    await store.database.collection("members").update_many({"n": {"$gte": 0}}, {"$set": {"m": []}})
    await store.database.collection("Group").update_one({"_id": "g"}, {"$set": {"ix": 0}})
    await store.database.collection("meta").update_one({"_id": "index/Group"}, {"$set": {"labels": {}}})
    store = await opened()
    await reindexed(store)
    assert await store.database.rows("members", [{"$match": {}}]) == before
    page = await store.search(*ANYBODY, Selection("Group", Keys("tk", ("member␟Patient/1005",))))
    assert [row.id for row in page.rows] == ["g"]


async def test_where_access_is_undecided_nothing_is_shown(opened: Opener) -> None:
    def without_compartment(resource_type: str) -> Mapping[str, str]:
        return {name: each for name, each in edition.digests(resource_type).items() if name != ":pt"}

    old = await opened(rules=without_compartment)
    await old.commit(*ANYBODY, [create("p1", patient())])
    store = await opened()
    limited = only("Patient", Keys("pt", ("Patient/p1",)))
    for call in (
        store.read(*limited, "Patient", "p1"),
        store.search(*limited, Selection("Patient", EVERYTHING)),
        store.history(*limited, "Patient"),
        store.commit(*limited, [update("p1", patient(2))]),
    ):
        with pytest.raises(FhirError) as caught:
            await call
        assert (caught.value.status, caught.value.issues[0].detail) == (503, "index-incomplete")
    assert (await store.read(*ANYBODY, "Patient", "p1")).version == 1


async def test_what_cannot_be_indexed_is_named_and_leaves_its_type_incomplete(
    opened: Opener, caplog: pytest.LogCaptureFixture
) -> None:
    await stored_by_an_earlier_version(await opened(rules=reduced), 20)
    store = await opened()
    await store.database.collection("Patient").update_one({"_id": "p3"}, {"$set": {"raw": b"{"}})
    await reindexed(store)
    assert "Patient/p3 cannot be indexed" in caplog.text
    assert store.incomplete() == {"Patient": ["birthdate", "family"]}
    assert (await refusal(store, FAMILY)).status == 400
