// The people whom every client creates, changes, finds and deletes.

export const FAMILY = "Clientson";
export const SYSTEM = "https://example.org/clients";

export const CVX = "http://hl7.org/fhir/sid/cvx";

// Person `number` of a client, with an identifier of their own.
export function person(client, number) {
  return {
    resourceType: "Patient",
    identifier: [{ system: `${SYSTEM}/${client}`, value: String(number) }],
    name: [{ family: FAMILY, given: [`Person ${number}`, client] }],
    birthDate: `1950-01-${String(number + 1).padStart(2, "0")}`,
  };
}

export function dose(patient) {
  return {
    resourceType: "Immunization",
    status: "completed",
    vaccineCode: { coding: [{ system: CVX, code: "207" }] },
    patient: { reference: patient },
    occurrenceDateTime: "2021-01-05",
  };
}

// A transaction: an Organization, and a Patient who refers to it by its urn:uuid.
export function household(client) {
  const organization = "urn:uuid:7b1a6d0e-3f0e-4a53-8a0b-0a7f3f6f5c11";
  return {
    resourceType: "Bundle",
    type: "transaction",
    entry: [
      {
        fullUrl: organization,
        resource: { resourceType: "Organization", name: `Clinic of ${client}` },
        request: { method: "POST", url: "Organization" },
      },
      {
        fullUrl: "urn:uuid:2f5ed4b5-6f3a-4a55-9a35-b0b1b1c8d7f2",
        resource: { ...person(client, 27), managingOrganization: { reference: organization } },
        request: { method: "POST", url: "Patient" },
      },
    ],
  };
}

// A refusal's first issue as `code/detail`.
export function told(outcome) {
  const [issue] = outcome.issue;
  return `${issue.code}/${issue.details.coding[0].code}`;
}
