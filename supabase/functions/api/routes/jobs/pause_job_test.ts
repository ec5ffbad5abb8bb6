import { deepStrictEqual } from "node:assert/strict";
import { Rehearsal } from "../../testing.ts";

Deno.test("the job of the path is asked to pause", async () => {
  await using it = new Rehearsal();
  it.fake.on("pause_job", { status: 200, body: { "job_id": 5, "paused": true } });

  const response = await it.ask("POST", "/jobs/5/pause");

  deepStrictEqual([200, { "job_id": 5, "paused": true }], [response.status, await response.json()]);
  deepStrictEqual({ "job_id": 5 }, it.fake.last("pause_job").json);
});
