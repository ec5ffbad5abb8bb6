import { deepStrictEqual } from "node:assert/strict";
import { Rehearsal } from "../../testing.ts";

Deno.test("events with faults are asked for by a word", async () => {
  await using it = new Rehearsal();
  it.fake.on("lineage_events", { status: 200, body: { items: [], next: null } });

  const { status } = await it.ask("GET", "/lineage/events?faulty=true&limit=2");

  deepStrictEqual([200, { faulty: true, limit: 2 }], [status, it.fake.last("lineage_events").json]);
});
