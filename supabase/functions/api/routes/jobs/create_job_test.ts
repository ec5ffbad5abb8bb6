import { deepStrictEqual } from "node:assert/strict";
import { Rehearsal } from "../../testing.ts";

Deno.test("a job goes to create_job as it came", async () => {
  await using it = new Rehearsal();
  it.fake.on("create_job", { status: 201, body: { "job_id": 5 } });

  const response = await it.ask("POST", "/jobs", { body: { "name": "nightly", "tasks": [] } });

  deepStrictEqual([201, { "job_id": 5 }], [response.status, await response.json()]);
  deepStrictEqual({ "name": "nightly", "tasks": [] }, it.fake.last("create_job").json);
});
