import { deepStrictEqual } from "node:assert/strict";
import { Rehearsal } from "../../testing.ts";

Deno.test("the job of the path is asked to resume", async () => {
  await using it = new Rehearsal();
  it.fake.on("resume_job", { status: 200, body: { "job_id": 5, "paused": false } });

  const response = await it.ask("POST", "/jobs/5/resume");

  deepStrictEqual([200, { "job_id": 5, "paused": false }], [response.status, await response.json()]);
  deepStrictEqual({ "job_id": 5 }, it.fake.last("resume_job").json);
});
