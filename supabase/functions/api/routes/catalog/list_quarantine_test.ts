import { deepStrictEqual } from "node:assert/strict";
import { Rehearsal } from "../../testing.ts";

Deno.test("rows that were set aside are asked for by table", async () => {
  await using it = new Rehearsal();
  it.fake.on("list_quarantine", { status: 200, body: { items: [], next: null } });

  const { status } = await it.ask("GET", "/catalog/quarantine?table=orders&limit=3");

  deepStrictEqual([200, { table: "orders", limit: 3 }], [status, it.fake.last("list_quarantine").json]);
});
