import { deepStrictEqual } from "node:assert/strict";
import { Rehearsal } from "../../testing.ts";

Deno.test("coverage is asked for a window", async () => {
  await using it = new Rehearsal();
  it.fake.on("lineage_coverage", { status: 200, body: {} });

  const { status } = await it.ask("GET", "/lineage/coverage?window_hours=48&limit=5");

  deepStrictEqual([200, { window_hours: 48, limit: 5 }], [status, it.fake.last("lineage_coverage").json]);
});
