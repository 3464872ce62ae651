// fhir-kit-client against the server whose base URL is the argument: https://github.com/Vermonster/fhir-kit-client

import assert from "node:assert/strict";
import { Client } from "fhir-kit-client";
import { FAMILY, SYSTEM, dose, household, person, told } from "./people.mjs";

const ME = "fhir-kit-client";
const client = new Client({ baseUrl: process.argv[2] });

async function capabilities() {
  const statement = await client.capabilityStatement();
  assert.equal(statement.fhirVersion, "4.0.1");
}

async function life() {
  const created = await client.create({ resourceType: "Patient", body: person(ME, 1) });
  const { response } = Client.httpFor(created);
  assert.equal(response.status, 201);
  assert.equal(response.headers.get("location"), `${client.baseUrl}/Patient/${created.id}/_history/1`);
  const { id } = created;
  assert.deepEqual(await client.read({ resourceType: "Patient", id }), created);
  const updated = await client.update({ resourceType: "Patient", id, body: { ...created, gender: "female" } });
  assert.equal(updated.meta.versionId, "2");
  const jsonPatch = [{ op: "replace", path: "/gender", value: "unknown" }];
  const patched = await client.patch({ resourceType: "Patient", id, jsonPatch });
  assert.deepEqual([patched.gender, patched.meta.versionId], ["unknown", "3"]);
  assert.deepEqual(await client.vread({ resourceType: "Patient", id, version: "1" }), created);
  const history = await client.history({ resourceType: "Patient", id });
  assert.deepEqual(history.entry.map((entry) => entry.resource.meta.versionId), ["3", "2", "1"]);
  await client.delete({ resourceType: "Patient", id });
  const gone = await refusal(client.read({ resourceType: "Patient", id }));
  assert.deepEqual(gone, [410, "deleted/deleted"]);
}

async function pages() {
  const mine = `${ME}-pages`;
  for (let number = 0; number < 7; number++) {
    await client.create({ resourceType: "Patient", body: person(mine, number) });
  }
  const searchParams = { family: FAMILY, given: mine, _sort: "birthdate", _count: 3 };
  for (const options of [{}, { postSearch: true }]) {
    const days = [];
    let page = await client.search({ resourceType: "Patient", searchParams, options });
    while (page) {
      days.push(...page.entry.map((entry) => entry.resource.birthDate));
      page = await client.nextPage({ bundle: page });
    }
    assert.deepEqual(days, Array.from({ length: 7 }, (_, number) => person(mine, number).birthDate));
  }
}

async function conditionalUpdate() {
  const searchParams = { identifier: `${SYSTEM}/${ME}|5` };
  const created = await client.update({ resourceType: "Patient", searchParams, body: person(ME, 5) });
  assert.equal(Client.httpFor(created).response.status, 201);
  const updated = await client.update({ resourceType: "Patient", searchParams, body: { ...person(ME, 5), active: true } });
  assert.deepEqual([updated.id, updated.meta.versionId], [created.id, "2"]);
}

async function transaction() {
  const answer = await client.transaction({ body: household(ME) });
  assert.deepEqual(answer.entry.map((entry) => entry.response.status), ["201 Created", "201 Created"]);
  const searchParams = { identifier: `${SYSTEM}/${ME}|27` };
  const found = await client.search({ resourceType: "Patient", searchParams });
  const [{ resource: patient }] = found.entry;
  const clinic = await client.resolve({ reference: patient.managingOrganization.reference });
  assert.equal(clinic.name, `Clinic of ${ME}`);
  await client.create({ resourceType: "Immunization", body: dose(`Patient/${patient.id}`) });
  const compartment = { resourceType: "Patient", id: patient.id };
  const doses = await client.search({ resourceType: "Immunization", compartment });
  assert.deepEqual(doses.entry.map((entry) => entry.resource.occurrenceDateTime), ["2021-01-05"]);
  const asked = { ...compartment, name: "vaccine-eligibility", method: "GET", input: { asOf: "2021-01-05" } };
  assert.equal((await client.operation(asked)).resourceType, "Parameters");
}

async function refusals() {
  const body = { ...person(ME, 26), gendre: "female" };
  const invalid = await refusal(client.create({ resourceType: "Patient", body }));
  assert.deepEqual(invalid, [422, "structure/unknown-element"]);
  const searchParams = { "shoe-size": "43" };
  const unknown = await refusal(client.search({ resourceType: "Patient", searchParams }));
  assert.deepEqual(unknown, [400, "not-found/unknown-parameter"]);
  const missing = await refusal(client.read({ resourceType: "Patient", id: "fhir-kit-nobody" }));
  assert.deepEqual(missing, [404, "not-found/unknown-resource"]);
}

async function refusal(promise) {
  const error = await promise.then(() => assert.fail("it was not refused"), (reason) => reason);
  assert.ok(error.response, error);
  return [error.response.status, told(error.response.data)];
}

for (const step of [capabilities, life, pages, conditionalUpdate, transaction, refusals]) {
  await step();
  console.log(`${ME}: ${step.name}`);
}
