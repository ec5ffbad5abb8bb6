import { deepStrictEqual } from "node:assert/strict";
import { Rehearsal } from "../../testing.ts";

Deno.test("the path says which job, whatever the body says", async () => {
  await using it = new Rehearsal();
  it.fake.on("update_job", { status: 200, body: { "job_id": 5 } });

  const response = await it.ask("PATCH", "/jobs/5", { body: { "job_id": 6, "name": "x" } });

  deepStrictEqual([200, { "job_id": 5 }], [response.status, await response.json()]);
  deepStrictEqual({ "name": "x", "job_id": 5 }, it.fake.last("update_job").json);
});
