// @medplum/core against the server whose base URL is the argument: https://github.com/medplum/medplum

import assert from "node:assert/strict";
import { MedplumClient, OperationOutcomeError } from "@medplum/core";
import { FAMILY, SYSTEM, dose, household, person, told } from "./people.mjs";

const ME = "medplum";
const base = new URL(process.argv[2]);
// No cache, so that everything read comes from the server.
const client = new MedplumClient({ baseUrl: `${base.origin}/`, fhirUrlPath: base.pathname.slice(1), cacheTime: 0 });

async function capabilities() {
  const statement = await client.get(client.fhirUrl("metadata"));
  assert.equal(statement.fhirVersion, "4.0.1");
}

async function life() {
  const created = await client.createResource(person(ME, 1));
  assert.equal(created.meta.versionId, "1");
  const { id } = created;
  assert.deepEqual(await client.readResource("Patient", id), created);
  const updated = await client.updateResource({ ...created, gender: "female" });
  assert.equal(updated.meta.versionId, "2");
  const patched = await client.patchResource("Patient", id, [{ op: "replace", path: "/gender", value: "unknown" }]);
  assert.deepEqual([patched.gender, patched.meta.versionId], ["unknown", "3"]);
  assert.deepEqual(await client.readVersion("Patient", id, "1"), created);
  const history = await client.readHistory("Patient", id);
  assert.deepEqual(history.entry.map((entry) => entry.resource.meta.versionId), ["3", "2", "1"]);
  await client.deleteResource("Patient", id);
  assert.equal(await refusal(client.readResource("Patient", id)), "deleted/deleted");
}

async function pages() {
  const mine = `${ME}-pages`;
  for (let number = 0; number < 7; number++) {
    await client.createResource(person(mine, number));
  }
  const days = [];
  const sizes = [];
  const query = { family: FAMILY, given: mine, _sort: "-birthdate", _count: "3" };
  for await (const page of client.searchResourcePages("Patient", query)) {
    sizes.push(page.length);
    days.push(...page.map((patient) => patient.birthDate));
  }
  assert.deepEqual(sizes, [3, 3, 1]);
  assert.deepEqual(days, Array.from({ length: 7 }, (_, number) => person(mine, 6 - number).birthDate));
}

async function conditions() {
  const query = `identifier=${SYSTEM}/${ME}|5`;
  const created = await client.createResourceIfNoneExist(person(ME, 5), query);
  const again = await client.createResourceIfNoneExist(person(ME, 5), query);
  assert.deepEqual(again, created);
  const updated = await client.upsertResource({ ...person(ME, 5), active: true }, query);
  assert.deepEqual([updated.id, updated.meta.versionId], [created.id, "2"]);
}

async function transaction() {
  const answer = await client.executeBatch(household(ME));
  assert.deepEqual(answer.entry.map((entry) => entry.response.status), ["201 Created", "201 Created"]);
  const patient = await client.searchOne("Patient", { identifier: `${SYSTEM}/${ME}|27` });
  const clinic = await client.readReference(patient.managingOrganization);
  assert.equal(clinic.name, `Clinic of ${ME}`);
  await client.createResource(dose(`Patient/${patient.id}`));
  const query = { patient: `Patient/${patient.id}`, _include: "Immunization:patient" };
  const both = await client.search("Immunization", query);
  assert.deepEqual(both.entry.map((entry) => entry.search.mode), ["match", "include"]);
}

async function refusals() {
  const invalid = client.createResource({ ...person(ME, 26), gendre: "female" });
  assert.equal(await refusal(invalid), "structure/unknown-element");
  assert.equal(await refusal(client.search("Patient", { "shoe-size": "43" })), "not-found/unknown-parameter");
  assert.equal(await refusal(client.readResource("Patient", "medplum-nobody")), "not-found/unknown-resource");
}

async function refusal(promise) {
  const error = await promise.then(() => assert.fail("it was not refused"), (reason) => reason);
  assert.ok(error instanceof OperationOutcomeError, error);
  return told(error.outcome);
}

for (const step of [capabilities, life, pages, conditions, transaction, refusals]) {
  await step();
  console.log(`${ME}: ${step.name}`);
}
