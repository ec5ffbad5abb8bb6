import { deepStrictEqual } from "node:assert/strict";
import { Rehearsal } from "../../testing.ts";

Deno.test("facets are the run's, or its job's", async () => {
  await using it = new Rehearsal();
  it.fake.on("marquez_run", { status: 200, body: {} });

  deepStrictEqual(200, (await it.ask("GET", "/jobs/runs/r/facets?type=job")).status);
  deepStrictEqual({ "run": "r", "type": "job" }, it.fake.last("marquez_run").json);
  deepStrictEqual(200, (await it.ask("GET", "/jobs/runs/r/facets")).status);
  deepStrictEqual({ "run": "r", "type": "run" }, it.fake.last("marquez_run").json);
});
