"""Which version of a phase counts on which day, by the clock of the jurisdiction."""

from datetime import date
from typing import Any

import pytest

from fhir_server.caller import SERVER, allow_all
from fhir_server.context import Context
from fhir_server.fhir import index, json
from fhir_server.fhir.outcome import FhirError
from fhir_server.operations import policies, shipped, vocabulary
from fhir_server.store.records import Delete, Update
from tests.operations.conftest import Clock

ELDERS = next(each for each in shipped.resources() if each["id"] == "nc-2021-01-group-2")


def phase(id: str, low: int, opens: str | None, **more: Any) -> dict[str, Any]:
    group: dict[str, Any] = json.parse(json.dump(ELDERS)) | {"id": id, **more}
    for identifier in group["identifier"]:
        if identifier["system"] != vocabulary.PHASE_VERSION:
            identifier["value"] = f"plan-{id}"
    [criterion] = group["characteristic"]
    criterion["valueRange"]["low"]["value"] = low
    criterion.pop("period")
    if opens is not None:
        criterion["period"] = {"start": opens}
    return group


async def put(context: Context, resource: dict[str, Any]) -> None:
    entries = index.entries(resource, context.settings.base)
    await context.store.commit(SERVER, allow_all, [Update("Group", resource["id"], json.dump(resource), entries)])


async def versions(context: Context, id: str, day: str) -> list[str]:
    """References of the Groups that count on that day under the plan of this test."""
    known, _ = await policies.every(context, date.fromisoformat(day))
    return [group.reference for group in known if group.reference.startswith(f"Group/{id}/")]


async def test_a_day_in_the_past_sees_the_version_of_its_end(timed: tuple[Context, Clock]) -> None:
    context, clock = timed
    clock.set("2021-01-10T12:00:00-05:00")
    await put(context, phase("a", 75, "2021-01-04"))
    # Late in the evening, which is the next day in UTC.
    clock.set("2021-01-13T23:30:00-05:00")
    await put(context, phase("a", 70, "2021-01-04"))
    clock.set("2021-01-14T09:00:00-05:00")
    await put(context, phase("a", 65, "2021-01-14"))
    clock.set("2021-02-01T09:00:00-05:00")
    assert await versions(context, "a", "2021-01-12") == ["Group/a/_history/1"]
    assert await versions(context, "a", "2021-01-13") == ["Group/a/_history/2"]
    assert await versions(context, "a", "2021-01-14") == ["Group/a/_history/3"]
    assert await versions(context, "a", "2021-03-01") == ["Group/a/_history/3"]
    # Before it was stored at all its periods tell, as they are known now.
    assert await versions(context, "a", "2021-01-05") == ["Group/a/_history/3"]


async def test_a_phase_taken_out_of_use_still_counts_for_the_days_before(timed: tuple[Context, Clock]) -> None:
    context, clock = timed
    clock.set("2021-01-10T12:00:00-05:00")
    await put(context, phase("b", 75, "2021-01-04"))
    clock.set("2021-02-10T12:00:00-05:00")
    await put(context, phase("b", 75, "2021-01-04", active=False))
    assert await versions(context, "b", "2021-02-09") == ["Group/b/_history/1"]
    assert await versions(context, "b", "2021-02-10") == []


async def test_a_deleted_version_between_is_passed_over(timed: tuple[Context, Clock]) -> None:
    context, clock = timed
    clock.set("2021-01-10T12:00:00-05:00")
    await put(context, phase("c", 75, "2021-01-04"))
    clock.set("2021-01-11T12:00:00-05:00")
    await context.store.commit(SERVER, allow_all, [Delete("Group", "c")])
    clock.set("2021-01-20T12:00:00-05:00")
    await put(context, phase("c", 70, "2021-01-04"))
    assert await versions(context, "c", "2021-01-15") == []
    assert await versions(context, "c", "2021-01-20") == ["Group/c/_history/3"]


async def test_identifiers_may_come_with_their_systems(timed: tuple[Context, Clock]) -> None:
    context, clock = timed
    clock.set("2021-01-10T12:00:00-05:00")
    await put(context, phase("d", 75, "2021-01-04"))
    day = date(2021, 1, 12)
    for policy in ("plan-d", f"{vocabulary.POLICY}|plan-d"):
        found = await policies.applying(context, day, policy, "urn:iso:std:iso:3166:-2|US-NC")
        assert [group.reference for group in found.groups] == ["Group/d/_history/1"]
    for wrong in ({"policy": "plan-x"}, {"jurisdiction": "US-SC"}):
        with pytest.raises(FhirError) as caught:
            await policies.applying(context, day, **wrong)
        assert (caught.value.status, caught.value.issues[0].expression) == (400, (next(iter(wrong)),))
