import { deepStrictEqual } from "node:assert/strict";
import { Rehearsal } from "../../testing.ts";

Deno.test("a catalog goes to the database as it came", async () => {
  await using it = new Rehearsal();
  it.fake.on("catalog_ingest", { status: 200, body: {} });
  const body = { catalog: "erp", models: [{ model: "account.move", fields: [] }] };

  const { status } = await it.ask("POST", "/catalog/ingest", { body });

  deepStrictEqual([200, body], [status, it.fake.last("catalog_ingest").json]);
});
