import { deepStrictEqual } from "node:assert/strict";
import { Rehearsal } from "../../testing.ts";

Deno.test("schemas are objects of that kind", async () => {
  await using it = new Rehearsal();
  it.fake.on("list_objects", { status: 200, body: { items: [], next: null } });

  const { status } = await it.ask("GET", "/catalog/schemas?in=main");

  deepStrictEqual([200, { in: "main", kind: "schema" }], [status, it.fake.last("list_objects").json]);
});
