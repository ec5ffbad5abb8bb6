import { deepStrictEqual } from "node:assert/strict";
import { Rehearsal } from "../../testing.ts";

Deno.test("a sync takes no words", async () => {
  await using it = new Rehearsal();
  it.fake.on("catalog_sync", { status: 200, body: { catalogs: {} } });

  const { status } = await it.ask("POST", "/catalog/sync");

  deepStrictEqual([200, {}], [status, it.fake.last("catalog_sync").json]);
});
