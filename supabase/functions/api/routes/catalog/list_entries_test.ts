import { deepStrictEqual } from "node:assert/strict";
import { Rehearsal } from "../../testing.ts";

Deno.test("entries are looked for with what was asked", async () => {
  await using it = new Rehearsal();
  it.fake.on("list_entries", { status: 200, body: { items: [], next: null } });

  const answer = await it.ask("GET", "/catalog/entries?q=damaged%20parcels&collection=handbook&limit=5");

  deepStrictEqual([200, { items: [], next: null }], [answer.status, await answer.json()]);
  deepStrictEqual(
    { q: "damaged parcels", collection: "handbook", limit: 5 },
    it.fake.last("list_entries").json,
  );
});
