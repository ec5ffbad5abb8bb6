import { deepStrictEqual } from "node:assert/strict";
import { Rehearsal } from "../../testing.ts";

Deno.test("a rollup goes to the database as it came", async () => {
  await using it = new Rehearsal();
  it.fake.on("set_rollup", { status: 200, body: { items: [], next: null } });

  const { status } = await it.ask("POST", "/catalog/rollups", {
    body: {
      table: "by_region",
      source: "silver.orders",
      by: ["region"],
      measures: [{ name: "n", fn: "count" }],
    },
  });

  deepStrictEqual([200, {
    table: "by_region",
    source: "silver.orders",
    by: ["region"],
    measures: [{ name: "n", fn: "count" }],
  }], [status, it.fake.last("set_rollup").json]);
});
