import { deepStrictEqual } from "node:assert/strict";
import { Rehearsal } from "../../testing.ts";

Deno.test("a backfill goes to the job of the path", async () => {
  await using it = new Rehearsal();
  it.fake.on("backfill_job", { status: 202, body: { "backfill_id": 3, "started": 2 } });

  const body = { "parameter": "day", "range": { "from": "2026-01-01", "to": "2026-01-02" } };
  const response = await it.ask("POST", "/jobs/5/backfill", { body });

  deepStrictEqual([202, { "backfill_id": 3, "started": 2 }], [response.status, await response.json()]);
  deepStrictEqual({ ...body, "job_id": 5 }, it.fake.last("backfill_job").json);
});
