import { deepStrictEqual, strictEqual } from "node:assert/strict";
import { Rehearsal } from "../../testing.ts";

Deno.test("the table of the path is read", async () => {
  await using it = new Rehearsal();
  it.fake.on("read_table", { status: 200, body: { rows: [] } });

  strictEqual(200, (await it.ask("GET", "/catalog/tables/gold/delays?limit=5")).status);
  deepStrictEqual({ limit: 5, layer: "gold", table: "delays" }, it.fake.last("read_table").json);
});

Deno.test("there are three layers", async () => {
  await using it = new Rehearsal();

  strictEqual(400, (await it.ask("GET", "/catalog/tables/tin/delays")).status);
});
