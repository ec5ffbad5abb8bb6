import { deepStrictEqual } from "node:assert/strict";
import { Rehearsal } from "../../testing.ts";

Deno.test("the backfills of the job of the path are asked for", async () => {
  await using it = new Rehearsal();
  it.fake.on("list_backfills", { status: 200, body: { "items": [], "next": null } });

  const response = await it.ask("GET", "/jobs/5/backfills?limit=2");

  deepStrictEqual([200, { "items": [], "next": null }], [response.status, await response.json()]);
  deepStrictEqual({ "job_id": 5, "limit": 2 }, it.fake.last("list_backfills").json);
});
