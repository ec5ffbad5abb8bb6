import { deepStrictEqual } from "node:assert/strict";
import { Rehearsal } from "../../testing.ts";

Deno.test("a repair goes to the run of the path, with or without a body", async () => {
  await using it = new Rehearsal();
  it.fake.on("repair_run", { status: 202, body: { "repair_id": 4 } });

  const response = await it.ask("POST", "/runs/12/repair", { body: { "rerun_tasks": ["b"] } });

  deepStrictEqual([202, { "repair_id": 4 }], [response.status, await response.json()]);
  deepStrictEqual({ "rerun_tasks": ["b"], "run_id": 12 }, it.fake.last("repair_run").json);
  await (await it.ask("POST", "/runs/12/repair")).body?.cancel();
  deepStrictEqual({ "run_id": 12 }, it.fake.last("repair_run").json);
});
