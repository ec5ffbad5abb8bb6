import { deepStrictEqual } from "node:assert/strict";
import { Rehearsal } from "../../testing.ts";

Deno.test("expectations are asked for by table", async () => {
  await using it = new Rehearsal();
  it.fake.on("list_expectations", { status: 200, body: { items: [], next: null } });

  const { status } = await it.ask("GET", "/catalog/expectations?layer=silver&table=orders");

  deepStrictEqual([200, { layer: "silver", table: "orders" }], [
    status,
    it.fake.last("list_expectations").json,
  ]);
});
