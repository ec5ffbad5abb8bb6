import { deepStrictEqual } from "node:assert/strict";
import { Rehearsal } from "../../testing.ts";

Deno.test("what is sought goes to marquez_search", async () => {
  await using it = new Rehearsal();
  it.fake.on("marquez_search", { status: 200, body: {} });

  deepStrictEqual(200, (await it.ask("GET", "/search?q=orders&sort=NAME&limit=100&filter=JOB")).status);
  deepStrictEqual(
    { "q": "orders", "filter": "JOB", "sort": "NAME", "limit": 100 },
    it.fake.last("marquez_search").json,
  );
});
