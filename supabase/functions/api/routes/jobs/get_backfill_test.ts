import { deepStrictEqual } from "node:assert/strict";
import { Rehearsal } from "../../testing.ts";

Deno.test("the backfill of the path is asked for", async () => {
  await using it = new Rehearsal();
  it.fake.on("get_backfill", { status: 200, body: { "backfill_id": 3 } });

  const response = await it.ask("GET", "/jobs/5/backfills/3");

  deepStrictEqual([200, { "backfill_id": 3 }], [response.status, await response.json()]);
  deepStrictEqual({ "job_id": 5, "backfill_id": 3 }, it.fake.last("get_backfill").json);
});
