import { deepStrictEqual } from "node:assert/strict";
import { Rehearsal } from "../../testing.ts";

Deno.test("the next times of the path's job are asked for", async () => {
  await using it = new Rehearsal();
  it.fake.on("job_schedule", { status: 200, body: { "upcoming": ["2026-11-27T04:00:00+00:00"] } });

  const response = await it.ask("GET", "/jobs/5/schedule?count=1");

  deepStrictEqual([200, { "upcoming": ["2026-11-27T04:00:00+00:00"] }], [
    response.status,
    await response.json(),
  ]);
  deepStrictEqual({ "job_id": 5, "count": 1 }, it.fake.last("job_schedule").json);
});
