import { deepStrictEqual } from "node:assert/strict";
import { Rehearsal } from "../../testing.ts";

Deno.test("list_members passes on what was asked and answered", async () => {
  await using it = new Rehearsal();
  it.fake.on("list_members", { status: 200, body: { ok: true } });

  const response = await it.ask("GET", "/members?limit=5");

  deepStrictEqual([200, { ok: true }], [response.status, await response.json()]);
  deepStrictEqual({ limit: 5 }, it.fake.last("list_members").json);
});
