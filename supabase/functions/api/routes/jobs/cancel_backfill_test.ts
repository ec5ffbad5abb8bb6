import { deepStrictEqual } from "node:assert/strict";
import { Rehearsal } from "../../testing.ts";

Deno.test("a backfill is canceled without a body", async () => {
  await using it = new Rehearsal();
  it.fake.on("cancel_backfill", { status: 202, body: { "canceled": 1 } });

  const response = await it.ask("POST", "/jobs/5/backfills/3/cancel");

  deepStrictEqual([202, { "canceled": 1 }], [response.status, await response.json()]);
  deepStrictEqual({ "job_id": 5, "backfill_id": 3 }, it.fake.last("cancel_backfill").json);
});
