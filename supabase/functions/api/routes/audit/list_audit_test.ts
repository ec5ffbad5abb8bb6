import { deepStrictEqual } from "node:assert/strict";
import { Rehearsal } from "../../testing.ts";

Deno.test("filters and the place to go on from reach list_audit", async () => {
  await using it = new Rehearsal();
  it.fake.on("list_audit", { status: 200, body: { "items": [], "next": "3.1" } });

  const response = await it.ask("GET", "/audit?after=2.7&limit=5&action=run.submit");

  deepStrictEqual([200, { "items": [], "next": "3.1" }], [response.status, await response.json()]);
  deepStrictEqual(
    { "after": "2.7", "limit": 5, "action": "run.submit" },
    it.fake.last("list_audit").json,
  );
});
