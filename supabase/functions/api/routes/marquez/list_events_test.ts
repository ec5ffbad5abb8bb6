import { deepStrictEqual } from "node:assert/strict";
import { Rehearsal } from "../../testing.ts";

Deno.test("bounds that Marquez's UI leaves empty are none", async () => {
  await using it = new Rehearsal();
  it.fake.on("marquez_events", { status: 200, body: {} });

  deepStrictEqual(
    200,
    (await it.ask("GET", "/events/lineage?limit=100&before=&after=&offset=0&sortDirection=desc")).status,
  );
  deepStrictEqual(
    { "limit": 100, "offset": 0, "sortDirection": "desc" },
    it.fake.last("marquez_events").json,
  );
});
