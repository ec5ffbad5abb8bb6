import { deepStrictEqual } from "node:assert/strict";
import { Rehearsal } from "../../testing.ts";

Deno.test("figures are asked for in a time zone", async () => {
  await using it = new Rehearsal();
  it.fake.on("marquez_stats", { status: 200, body: {} });

  deepStrictEqual(
    200,
    (await it.ask("GET", "/stats/lineage-events?period=WEEK&timezone=Europe/Berlin")).status,
  );
  deepStrictEqual(
    { "period": "WEEK", "timezone": "Europe/Berlin", "asset": "lineage-events" },
    it.fake.last("marquez_stats").json,
  );
});
