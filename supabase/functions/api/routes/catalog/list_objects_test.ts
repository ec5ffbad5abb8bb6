import { deepStrictEqual } from "node:assert/strict";
import { Rehearsal } from "../../testing.ts";

Deno.test("objects of the catalog are looked for with what was asked", async () => {
  await using it = new Rehearsal();
  it.fake.on("list_objects", { status: 200, body: { items: [], next: null } });

  const answer = await it.ask(
    "GET",
    "/catalog/objects?q=late%20orders&kind=table&in=main.gold&gone=true&limit=5",
  );

  deepStrictEqual([200, { items: [], next: null }], [answer.status, await answer.json()]);
  deepStrictEqual(
    { q: "late orders", kind: "table", in: "main.gold", gone: true, limit: 5 },
    it.fake.last("list_objects").json,
  );
});
