import { deepStrictEqual } from "node:assert/strict";
import { Rehearsal } from "../rehearsal.ts";

Deno.test("events of every run come after a seq", async () => {
  await using it = new Rehearsal();
  it.fake.on("run_events", { status: 200, body: { "items": [], "next": null } });

  const response = await it.ask("GET", "/events?after=3");

  deepStrictEqual([200, { "items": [], "next": null }], [response.status, await response.json()]);
  deepStrictEqual({ "after": 3 }, it.fake.last("run_events").json);
});
