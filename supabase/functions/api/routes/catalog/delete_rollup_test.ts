import { deepStrictEqual } from "node:assert/strict";
import { Rehearsal } from "../../testing.ts";

Deno.test("a rollup is taken away by its name", async () => {
  await using it = new Rehearsal();
  it.fake.on("delete_rollup", { status: 200, body: { items: [], next: null } });

  const { status } = await it.ask("DELETE", "/catalog/rollups/by_region");

  deepStrictEqual([200, { table: "by_region" }], [status, it.fake.last("delete_rollup").json]);
});
