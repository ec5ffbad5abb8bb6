import { deepStrictEqual } from "node:assert/strict";
import { Rehearsal } from "../../testing.ts";

Deno.test("an expectation goes to the database as it came", async () => {
  await using it = new Rehearsal();
  it.fake.on("set_expectation", { status: 200, body: { items: [], next: null } });

  const { status } = await it.ask("POST", "/catalog/expectations", {
    body: {
      layer: "silver",
      table: "orders",
      name: "n",
      kind: "not_null",
      action: "drop",
      definition: { column: "id" },
    },
  });

  deepStrictEqual([200, {
    layer: "silver",
    table: "orders",
    name: "n",
    kind: "not_null",
    action: "drop",
    definition: { column: "id" },
  }], [status, it.fake.last("set_expectation").json]);
});
