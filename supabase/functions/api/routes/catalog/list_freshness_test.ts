import { deepStrictEqual } from "node:assert/strict";
import { Rehearsal } from "../../testing.ts";

Deno.test("what is stale is asked for by its verdict", async () => {
  await using it = new Rehearsal();
  it.fake.on("list_freshness", { status: 200, body: { items: [], next: null } });

  const { status } = await it.ask("GET", "/catalog/freshness?in=main.gold&status=error");

  deepStrictEqual([200, { in: "main.gold", status: "error" }], [status, it.fake.last("list_freshness").json]);
});
