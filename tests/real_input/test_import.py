"""`fhir-server import`: files in any order, with a summary of what was stored and what was refused and why."""

import asyncio
import json
import sys
from asyncio.subprocess import PIPE, STDOUT
from collections import Counter
from pathlib import Path

import httpx

from fhir_server.commands.loading import load
from tests.conftest import Server
from tests.http.answers import everything, patient
from tests.http.test_batch import entry

SYSTEM = "https://import.example"


async def test_the_population_in_any_order(client: httpx.AsyncClient, shared: Path) -> None:
    paths = sorted((shared / "synthea").glob("*.json"), reverse=True)
    expected = Counter(
        each["resource"]["resourceType"] for path in paths for each in json.loads(path.read_bytes())["entry"]
    )
    done: list[Path] = []
    summary = await load(client, paths, done.append)
    assert summary.refused == []
    assert summary.stored == expected
    assert done == paths


async def test_files_that_refer_to_later_ones(client: httpx.AsyncClient, tmp_path: Path) -> None:
    """a needs b, b needs c; d needs what never comes."""

    def named(number: str, needed: str | None) -> dict[str, object]:
        person = patient("x", identifier=[{"system": SYSTEM, "value": number}])
        if needed:
            person["link"] = [{"other": {"reference": f"Patient?identifier={SYSTEM}|{needed}"}, "type": "seealso"}]
        return {"resourceType": "Bundle", "type": "transaction", "entry": [entry("POST", "Patient", person)]}

    for name, needed in (("a", "b"), ("b", "c"), ("c", None), ("d", "never")):
        (tmp_path / f"{name}.json").write_text(json.dumps(named(name, needed)))
    summary = await load(client, [tmp_path / f"{name}.json" for name in "abcd"], lambda path: None)
    assert summary.stored == Counter({"Patient": 3})
    [refusal] = summary.refused
    assert (refusal.path.name, refusal.status) == ("d.json", 412)
    assert "matches nothing" in refusal.reasons[0]
    [first] = await everything(client, f"Patient?identifier={SYSTEM}|a")
    [second] = await everything(client, f"Patient?identifier={SYSTEM}|b")
    assert (await client.get(f"Patient/{first}")).json()["link"][0]["other"] == {"reference": f"Patient/{second}"}


async def test_the_command(server: Server, client: httpx.AsyncClient, shared: Path, tmp_path: Path) -> None:
    lines = tmp_path / "people.ndjson"
    people = [patient(f"import-{number}") for number in range(5)] + [patient("import-bad", gender="x")]
    lines.write_text("\n".join([*(json.dumps(person) for person in people), "{", ""]))
    example = shared / "fhir-r4-examples" / "Questionnaire-qs1.json"
    command = [sys.executable, "-m", "fhir_server", "import", str(lines), str(example), "--server", server.base]
    process = await asyncio.create_subprocess_exec(*command, stdout=PIPE, stderr=STDOUT)
    output, _ = await asyncio.wait_for(process.communicate(), 60)
    told = output.decode()
    assert process.returncode == 1, told
    for number in range(5):
        assert (await client.get(f"Patient/import-{number}")).status_code == 200
    assert "Patient" in told
    assert "Patient.gender" in told
    assert "linkId" in told
    assert "line 7" in told
