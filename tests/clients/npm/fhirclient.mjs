// SMART's own JavaScript client as a web app on this machine, launched by whoever opens /launch:
// https://github.com/smart-on-fhir/client-js. Arguments: base URL, client id, port. Prints `ready` when it listens.

import { createServer } from "node:http";
import smart from "fhirclient";

const [base, clientId, port] = process.argv.slice(2);
const origin = `http://127.0.0.1:${port}`;

// One visitor, so one storage is enough.
const kept = new Map();
const storage = {
  get: async (key) => kept.get(key),
  set: async (key, value) => (kept.set(key, value), value),
  unset: async (key) => kept.delete(key),
};

async function launch(request, response) {
  const iss = new URL(request.url, origin).searchParams.get("iss") ?? base;
  await smart(request, response, storage).authorize({
    iss,
    clientId,
    scope: "openid fhirUser launch/patient offline_access patient/*.rs",
    redirectUri: `${origin}/callback`,
    pkceMode: "required",
  });
}

async function callback(request, response) {
  const client = await smart(request, response, storage).ready();
  const patient = await client.patient.read();
  const doses = await client.request("Immunization?patient=" + client.patient.id, { pageLimit: 0, flat: true });
  const before = client.state.tokenResponse.access_token;
  await client.refresh();
  const answer = {
    patient: patient.id,
    user: client.getFhirUser(),
    doses: doses.length,
    granted: client.state.tokenResponse.scope,
    refreshed: client.state.tokenResponse.access_token !== before,
    again: (await client.patient.read()).id,
  };
  response.writeHead(200, { "content-type": "application/json" });
  response.end(JSON.stringify(answer));
}

createServer((request, response) => {
  const handler = request.url.startsWith("/callback") ? callback : launch;
  handler(request, response).catch((error) => {
    response.writeHead(500, { "content-type": "text/plain" });
    response.end(String(error.stack ?? error));
  });
}).listen(Number(port), "127.0.0.1", () => console.log("ready"));
