import { deepStrictEqual } from "node:assert/strict";
import { Rehearsal } from "../../testing.ts";

Deno.test("the job of the path is deleted", async () => {
  await using it = new Rehearsal();
  it.fake.on("delete_job", { status: 200, body: { "ok": true } });

  const response = await it.ask("DELETE", "/jobs/5");

  deepStrictEqual([200, { "ok": true }], [response.status, await response.json()]);
  deepStrictEqual({ "job_id": 5 }, it.fake.last("delete_job").json);
});
