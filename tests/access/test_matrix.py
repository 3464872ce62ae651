"""https://hl7.org/fhir/R4/security.html

What every kind of caller is answered at every kind of address for every kind of type; no cell without an expectation.
The expectations are told here in words of their own, not taken from the policy.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from fhir_server.caller import Caller
from tests.access.conftest import House
from tests.access.world import ABOUT, DIRECTORY, STEWARD, about, directory, patient, reference, resources

Resource = dict[str, Any]

NORTH = {"practitioner": "doctor-north", "organization": "north"}
PROVIDER, RECIPIENT = frozenset({"provider"}), frozenset({"recipient"})
ANN, BOTH = frozenset({"ann"}), frozenset({"ann", "cat"})
ALL = ("user/*.cruds",)

PRINCIPALS: dict[str, Caller | None] = {
    "nobody": None,
    "ann": Caller("m-ann", RECIPIENT, "app", ("patient/*.cruds",), ANN, "ann"),
    "ann-reading": Caller("m-ann", RECIPIENT, "app", ("patient/*.read",), ANN, "ann"),
    "ann-doses": Caller("m-ann", RECIPIENT, "app", ("patient/Immunization.rs?status=completed",), ANN, "ann"),
    "ann-and-cat": Caller("m-ann", RECIPIENT, "app", ALL, BOTH),
    "north": Caller("m-north", PROVIDER, "ehr", ALL, **NORTH),  # type: ignore[arg-type] # names of members
    "north-ann": Caller("m-north", PROVIDER, "ehr", ("patient/*.cruds",), patient="ann", **NORTH),  # type: ignore[arg-type] # likewise
    "south": Caller("m-south", PROVIDER, "ehr", ALL, practitioner="doctor-south", organization="south"),
    "plant": Caller("m-plant", frozenset({"employer"}), "hr", ALL, organization="plant"),
    "analyst": Caller("m-analyst", frozenset({"analyst"}), "charts", ALL),
    "submitter": Caller("m-ehr", frozenset({"registry"}), "ehr-backend", ("system/*.*",), organization="north"),
    "registry": STEWARD,
}

TYPES = (*ABOUT, "Patient", "Group", "Task", *DIRECTORY)

WORLD = {(each["resourceType"], each["id"]): each for _, entries in resources() for each in entries}


def mine(kind: str) -> str:
    """The id of the resource of this type about ann; of the plant's roster, the north's task."""
    known: dict[str, str] = {"Patient": "ann", "Group": "roster-plant", "Task": "task-north", **SHARED_IDS}
    return known.get(kind, f"{kind}-ann")


def theirs(kind: str) -> str:
    """The id of the resource of this type about ben; of the south's roster and task."""
    known: dict[str, str] = {"Patient": "ben", "Group": "roster-south", "Task": "task-south", **SHARED_IDS}
    return known.get(kind, f"{kind}-ben")


SHARED_IDS: dict[str, str] = {
    each["resourceType"]: each["id"] for each in reversed(directory()) if each["resourceType"] in DIRECTORY
}

SEES_MINE = {
    "record": {"ann", "ann-reading", "ann-doses", "ann-and-cat", "north", "north-ann", "submitter", "registry"},
    "Group": {"plant", "registry"},
    "Task": {"north", "submitter", "registry"},
}
SEES_THEIRS = {"record": {"south", "registry"}, "Group": {"south", "registry"}, "Task": {"south", "registry"}}


def sees(table: dict[str, set[str]], who: str, kind: str) -> bool:
    return kind in DIRECTORY or who in table.get(kind, table["record"])


def scoped(who: str, kind: str, verb: str) -> bool:
    if who == "ann-doses":
        return kind == "Immunization" and verb in "rs"
    return who != "ann-reading" or verb in "rs"


def may_change_theirs(who: str, kind: str) -> bool:
    """The south, what names it as its own; and everything the registry."""
    return who == "registry" or (who == "south" and kind in ("Immunization", "Encounter", "Patient", "Group", "Task"))


def may_create(who: str, kind: str, is_mine: bool) -> bool:
    if who == "registry" or kind in DIRECTORY:
        return who == "registry"
    staff = {"north", "south", "submitter"}
    if kind == "Patient":
        return who in staff | {"plant"}
    if kind == "Task":
        return who in staff | {"plant"}
    if kind == "Group":
        return who == ("plant" if is_mine else "south")
    if who in ("north", "north-ann", "submitter"):
        return is_mine
    if who == "south":
        return not is_mine
    return who in ("ann", "ann-and-cat") and is_mine and kind in ("QuestionnaireResponse", "Consent", "Communication")


def new(kind: str, person: str) -> Resource:
    """What is posted: something about the person, or of the north (ann) and the south (ben)."""
    organization = {"ann": "north", "ben": "south"}[person]
    if kind in ABOUT:
        body = about(kind, person, organization)
    elif kind == "Patient":
        body = patient("new", organization)
    else:
        body = dict(WORLD[kind, mine(kind) if person == "ann" else theirs(kind)])
    return {name: value for name, value in body.items() if name != "id"}


@dataclass(frozen=True)
class Path:
    """A way to ask: its verb, the request for a type, and the status expected of who has a token and the scope."""

    verb: str
    method: str
    address: Callable[[str, str], str]
    expected: Callable[[str, str], int]
    body: Callable[[str, str], Resource] | None = None
    matches: Callable[[str, str], bool] | None = None
    if_match: str | None = None


def found(is_there: bool) -> int:
    return 200 if is_there else 404


def put(who: str, kind: str) -> int:
    if not sees(SEES_THEIRS, who, kind):
        return 404
    return 200 if may_change_theirs(who, kind) else 403


PATHS = {
    "read": Path("r", "GET", lambda k, w: f"{k}/{mine(k)}", lambda w, k: found(sees(SEES_MINE, w, k))),
    "read foreign": Path("r", "GET", lambda k, w: f"{k}/{theirs(k)}", lambda w, k: found(sees(SEES_THEIRS, w, k))),
    "read absent": Path("r", "GET", lambda k, w: f"{k}/absent", lambda w, k: 404),
    "vread": Path("r", "GET", lambda k, w: f"{k}/{theirs(k)}/_history/1", lambda w, k: found(sees(SEES_THEIRS, w, k))),
    "history": Path("r", "GET", lambda k, w: f"{k}/{theirs(k)}/_history", lambda w, k: found(sees(SEES_THEIRS, w, k))),
    "search": Path(
        "s", "GET", lambda k, w: f"{k}?_id={mine(k)}", lambda w, k: 200, matches=lambda w, k: sees(SEES_MINE, w, k)
    ),
    "search foreign": Path(
        "s", "GET", lambda k, w: f"{k}?_id={theirs(k)}", lambda w, k: 200, matches=lambda w, k: sees(SEES_THEIRS, w, k)
    ),
    "update": Path("u", "PUT", lambda k, w: f"{k}/{theirs(k)}", put, lambda k, w: WORLD[k, theirs(k)]),
    "update absent": Path(
        "u",
        "PUT",
        lambda k, w: f"{k}/absent-{w}",
        lambda w, k: 201 if w == "registry" else 404,
        lambda k, w: {**new(k, "ann"), "id": f"absent-{w}"},
    ),
    "create": Path(
        "c", "POST", lambda k, w: k, lambda w, k: 201 if may_create(w, k, True) else 403, lambda k, w: new(k, "ann")
    ),
    "create foreign": Path(
        "c", "POST", lambda k, w: k, lambda w, k: 201 if may_create(w, k, False) else 403, lambda k, w: new(k, "ben")
    ),
    "delete": Path("d", "DELETE", lambda k, w: f"{k}/{theirs(k)}", lambda w, k: 412, if_match='W/"999"'),
}


def expected(who: str, kind: str, path: Path) -> int:
    if who == "nobody":
        return 401
    return path.expected(who, kind) if scoped(who, kind, path.verb) else 403


CELLS = [(kind, name) for kind in TYPES for name in PATHS]


def test_the_matrix_is_as_large_as_promised() -> None:
    assert len(CELLS) * len(PRINCIPALS) >= 2_400


@pytest.mark.parametrize("who", [who for who in PRINCIPALS if who != "nobody"])
async def test_row(house: House, who: str) -> None:
    """All cells of one principal, as entries of a batch: each is done as if it had come alone."""
    entries = []
    for kind, name in CELLS:
        path = PATHS[name]
        request = {"method": path.method, "url": path.address(kind, who)}
        if path.if_match is not None:
            request["ifMatch"] = path.if_match
        entry: Resource = {"request": request}
        if path.body is not None:
            entry["resource"] = path.body(kind, who)
        entries.append(entry)
    caller = PRINCIPALS[who]
    assert caller is not None
    answer = await house.ask(caller, "POST", "", {"resourceType": "Bundle", "type": "batch", "entry": entries})
    assert answer.status_code == 200, answer.text
    wrong = []
    for (kind, name), told in zip(CELLS, answer.json()["entry"], strict=True):
        status = int(told["response"]["status"][:3])
        path = PATHS[name]
        wanted: object = expected(who, kind, path)
        got: object = status
        if path.matches is not None and status == 200:
            wanted, got = int(path.matches(who, kind)), told["resource"]["total"]
        if got != wanted:
            wrong.append((kind, name, wanted, got, told["response"].get("outcome", {}).get("issue", "")))
    assert not wrong, f"{len(wrong)} cells: {wrong[:8]}"


async def test_row_of_nobody(house: House) -> None:
    for kind, name in CELLS:
        path = PATHS[name]
        body = path.body(kind, "nobody") if path.body is not None else None
        answer = await house.http.request(path.method, path.address(kind, "nobody"), json=body)
        assert answer.status_code == 401, (kind, name)
        assert answer.headers["www-authenticate"].startswith("Bearer ")


def test_the_roster_is_a_group() -> None:
    assert WORLD["Group", "roster-plant"]["managingEntity"] == reference("Organization", "plant")
