import { deepStrictEqual } from "node:assert/strict";
import { Rehearsal } from "../../testing.ts";

Deno.test("a refresh goes to the database as it came", async () => {
  await using it = new Rehearsal();
  it.fake.on("catalog_refresh", { status: 200, body: { items: [], next: null } });

  const { status } = await it.ask("POST", "/catalog/refresh", {
    body: { target: "gold.sales", dry_run: true },
  });

  deepStrictEqual([200, { target: "gold.sales", dry_run: true }], [
    status,
    it.fake.last("catalog_refresh").json,
  ]);
});
