import { deepStrictEqual } from "node:assert/strict";
import { Rehearsal } from "../../testing.ts";

Deno.test("the job of the path is asked for", async () => {
  await using it = new Rehearsal();
  it.fake.on("get_job", { status: 200, body: { "job_id": 5 } });

  const response = await it.ask("GET", "/jobs/5");

  deepStrictEqual([200, { "job_id": 5 }], [response.status, await response.json()]);
  deepStrictEqual({ "job_id": 5 }, it.fake.last("get_job").json);
});
