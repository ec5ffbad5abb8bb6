import { deepStrictEqual } from "node:assert/strict";
import { Rehearsal } from "../../testing.ts";

Deno.test("rules are set whole", async () => {
  await using it = new Rehearsal();
  it.fake.on("set_layer_rules", { status: 200, body: {} });

  const { status } = await it.ask("POST", "/lineage/rules", {
    body: { rules: [{ reader: "gold", source: "bronze" }] },
  });

  deepStrictEqual([200, { rules: [{ reader: "gold", source: "bronze" }] }], [
    status,
    it.fake.last("set_layer_rules").json,
  ]);
});
