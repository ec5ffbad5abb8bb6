import { deepStrictEqual } from "node:assert/strict";
import { Rehearsal } from "../../testing.ts";

Deno.test("changes are asked for since a time", async () => {
  await using it = new Rehearsal();
  it.fake.on("lineage_diff", { status: 200, body: {} });

  const { status } = await it.ask("GET", "/lineage/diff?nodeId=dataset:n:a&from=2026-01-01T00:00:00Z");

  deepStrictEqual([200, { node: "dataset:n:a", from: "2026-01-01T00:00:00Z" }], [
    status,
    it.fake.last("lineage_diff").json,
  ]);
});

Deno.test("without a node there is nothing to ask", async () => {
  await using it = new Rehearsal();

  const response = await it.ask("GET", "/lineage/diff?from=2026-01-01T00:00:00Z");

  deepStrictEqual([400, "FIELD_INVALID", 0], [
    response.status,
    (await response.json()).code,
    it.fake.seen.length,
  ]);
});
