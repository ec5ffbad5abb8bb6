import { deepStrictEqual } from "node:assert/strict";
import { Rehearsal } from "../../testing.ts";

Deno.test("a run is run again from a task on, and says where the new one is", async () => {
  await using it = new Rehearsal();
  const url = "/functions/v1/api/v1/runs/13";
  it.fake.on("rerun_run", { status: 202, body: { "run_id": 13, "state": "QUEUED", "url": url } });

  const response = await it.ask("POST", "/runs/12/rerun", { body: { "from_task": "b" } });

  deepStrictEqual(202, response.status);
  deepStrictEqual(true, (await response.json()).url.endsWith(`/functions/v1/api/v1/runs/13`));
  deepStrictEqual({ "from_task": "b", "run_id": 12 }, it.fake.last("rerun_run").json);
});
