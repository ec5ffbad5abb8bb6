import { deepStrictEqual } from "node:assert/strict";
import { Rehearsal } from "../../testing.ts";

Deno.test("columns are objects of that kind", async () => {
  await using it = new Rehearsal();
  it.fake.on("list_objects", { status: 200, body: { items: [], next: null } });

  const { status } = await it.ask("GET", "/catalog/columns?in=main");

  deepStrictEqual([200, { in: "main", kind: "column" }], [status, it.fake.last("list_objects").json]);
});
