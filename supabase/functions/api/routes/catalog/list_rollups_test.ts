import { deepStrictEqual } from "node:assert/strict";
import { Rehearsal } from "../../testing.ts";

Deno.test("rollups are listed", async () => {
  await using it = new Rehearsal();
  it.fake.on("list_rollups", { status: 200, body: { items: [], next: null } });

  const { status } = await it.ask("GET", "/catalog/rollups?limit=3");

  deepStrictEqual([200, { limit: 3 }], [status, it.fake.last("list_rollups").json]);
});
