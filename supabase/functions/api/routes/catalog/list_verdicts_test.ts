import { deepStrictEqual } from "node:assert/strict";
import { Rehearsal } from "../../testing.ts";

Deno.test("verdicts are asked for by run", async () => {
  await using it = new Rehearsal();
  it.fake.on("list_verdicts", { status: 200, body: { items: [], next: null } });

  const { status } = await it.ask("GET", "/catalog/verdicts?run_id=7");

  deepStrictEqual([200, { run_id: 7 }], [status, it.fake.last("list_verdicts").json]);
});
