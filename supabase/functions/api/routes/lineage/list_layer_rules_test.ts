import { deepStrictEqual } from "node:assert/strict";
import { Rehearsal } from "../../testing.ts";

Deno.test("the rules are asked for as they are", async () => {
  await using it = new Rehearsal();
  it.fake.on("list_layer_rules", { status: 200, body: {} });

  const { status } = await it.ask("GET", "/lineage/rules");

  deepStrictEqual([200, {}], [status, it.fake.last("list_layer_rules").json]);
});
