// kill-the-clipboard against a folder of cards, the argument: https://github.com/vintasoftware/kill-the-clipboard
// directory.json holds the issuer with its keys and revocations, in `valid` are cards to be read, in `revoked` others.

import assert from "node:assert/strict";
import { readFile, readdir } from "node:fs/promises";
import { join } from "node:path";
import { Directory, SHCReader, SHCRevokedError } from "kill-the-clipboard";

const [folder] = process.argv.slice(2);
globalThis.fetch = async (address) => assert.fail(`${address} was asked for, but cards are verified offline`);

const directory = JSON.parse(await readFile(join(folder, "directory.json"), "utf8"));
const reader = new SHCReader({ issuerDirectory: Directory.fromJSON(directory) });

async function read(kind, judge) {
  const names = (await readdir(join(folder, kind))).sort();
  for (const name of names) {
    const content = await readFile(join(folder, kind, name), "utf8");
    await judge(reader.fromFileContent(content), `${kind}/${name}`, JSON.parse(content).verifiableCredential[0]);
  }
  console.log(`kill-the-clipboard: ${names.length} ${kind}`);
}

await read("valid", async (card, name, jws) => {
  assert.equal((await card).asJWS(), jws, name);
});
await read("revoked", async (card, name) => {
  await assert.rejects(card, SHCRevokedError, `${name} was not refused as revoked`);
});
