import { deepStrictEqual } from "node:assert/strict";
import { Rehearsal } from "../../testing.ts";

Deno.test("a rule of freshness goes to the database as it came", async () => {
  await using it = new Rehearsal();
  it.fake.on("set_freshness", { status: 200, body: { items: [], next: null } });

  const { status } = await it.ask("POST", "/catalog/freshness", {
    body: { name: "main.gold", warn_after: { count: 1, period: "day" } },
  });

  deepStrictEqual([200, { name: "main.gold", warn_after: { count: 1, period: "day" } }], [
    status,
    it.fake.last("set_freshness").json,
  ]);
});
