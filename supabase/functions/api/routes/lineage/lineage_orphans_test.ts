import { deepStrictEqual } from "node:assert/strict";
import { Rehearsal } from "../../testing.ts";

Deno.test("orphans come in pages", async () => {
  await using it = new Rehearsal();
  it.fake.on("lineage_orphans", { status: 200, body: {} });

  const { status } = await it.ask("GET", "/lineage/orphans?limit=5&cursor=9");

  deepStrictEqual([200, { limit: 5, cursor: "9" }], [status, it.fake.last("lineage_orphans").json]);
});
