import { deepStrictEqual } from "node:assert/strict";
import { Rehearsal } from "../../testing.ts";

Deno.test("jobs go to apply_jobs as they came, and apply is no job's number", async () => {
  await using it = new Rehearsal();
  it.fake.on("apply_jobs", { status: 200, body: { "jobs": [], "changes": 0 } });

  const response = await it.ask("POST", "/jobs/apply", {
    body: { "jobs": [{ "name": "a" }], "dry_run": true },
  });

  deepStrictEqual([200, { "jobs": [], "changes": 0 }], [response.status, await response.json()]);
  deepStrictEqual({ "jobs": [{ "name": "a" }], "dry_run": true }, it.fake.last("apply_jobs").json);
});
