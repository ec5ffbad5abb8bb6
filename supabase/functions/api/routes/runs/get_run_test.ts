import { deepStrictEqual } from "node:assert/strict";
import { Rehearsal } from "../../rehearsal.ts";

Deno.test("the run of the path is asked for", async () => {
  await using it = new Rehearsal();
  it.fake.on("get_run", { status: 200, body: { "run_id": 12 } });

  const response = await it.ask("GET", "/runs/12");

  deepStrictEqual([200, { "run_id": 12 }], [response.status, await response.json()]);
  deepStrictEqual({ "run_id": 12 }, it.fake.last("get_run").json);
});
