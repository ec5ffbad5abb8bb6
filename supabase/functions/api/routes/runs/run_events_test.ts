import { deepStrictEqual } from "node:assert/strict";
import { Rehearsal } from "../../testing.ts";

Deno.test("events come after a seq", async () => {
  await using it = new Rehearsal();
  it.fake.on("run_events", { status: 200, body: { "items": [], "next": null } });

  const response = await it.ask("GET", "/runs/12/events?after=3&limit=5");

  deepStrictEqual([200, { "items": [], "next": null }], [response.status, await response.json()]);
  deepStrictEqual({ "after": 3, "limit": 5, "run_id": 12 }, it.fake.last("run_events").json);
});
