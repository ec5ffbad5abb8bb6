import { deepStrictEqual } from "node:assert/strict";
import { Rehearsal } from "../../testing.ts";

Deno.test("a way is asked for from a source to a target", async () => {
  await using it = new Rehearsal();
  it.fake.on("lineage_path", { status: 200, body: {} });

  const { status } = await it.ask("GET", "/lineage/path?source=dataset:n:a&target=dataset:n:b&depth=3");

  deepStrictEqual([200, { source: "dataset:n:a", target: "dataset:n:b", depth: 3 }], [
    status,
    it.fake.last("lineage_path").json,
  ]);
});
