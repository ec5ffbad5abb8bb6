import { deepStrictEqual } from "node:assert/strict";
import { Rehearsal } from "../../testing.ts";

Deno.test("a page of the chain is verified against an exported head", async () => {
  await using it = new Rehearsal();
  const verdict = { ok: true, seals: 2, entries: 9, faults: [], head: null, next: null };
  it.fake.on("audit_verify", { status: 200, body: verdict });
  const hash = "a".repeat(64);

  const response = await it.ask("GET", `/audit/verify?since=4&number=7&hash=${hash}`);

  deepStrictEqual([200, verdict], [response.status, await response.json()]);
  deepStrictEqual({ since: 4, head: { number: 7, hash } }, it.fake.last("audit_verify").json);
});

Deno.test("without a head the chain is only held against itself", async () => {
  await using it = new Rehearsal();
  it.fake.on("audit_verify", { status: 200, body: {} });

  await it.ask("GET", "/audit/verify");

  deepStrictEqual({}, it.fake.last("audit_verify").json);
});
