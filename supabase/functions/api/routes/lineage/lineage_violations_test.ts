import { deepStrictEqual } from "node:assert/strict";
import { Rehearsal } from "../../testing.ts";

Deno.test("violations come in pages", async () => {
  await using it = new Rehearsal();
  it.fake.on("lineage_violations", { status: 200, body: {} });

  const { status } = await it.ask("GET", "/lineage/violations?limit=5");

  deepStrictEqual([200, { limit: 5 }], [status, it.fake.last("lineage_violations").json]);
});
