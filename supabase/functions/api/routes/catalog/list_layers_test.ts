import { deepStrictEqual } from "node:assert/strict";
import { Rehearsal } from "../../testing.ts";

Deno.test("layers are asked for without words", async () => {
  await using it = new Rehearsal();
  it.fake.on("list_layers", { status: 200, body: { items: [], next: null } });

  const { status } = await it.ask("GET", "/catalog/layers");

  deepStrictEqual([200, {}], [status, it.fake.last("list_layers").json]);
});
