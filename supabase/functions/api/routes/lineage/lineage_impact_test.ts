import { deepStrictEqual } from "node:assert/strict";
import { Rehearsal } from "../../testing.ts";

Deno.test("the impact of a column is asked for by its node", async () => {
  await using it = new Rehearsal();
  it.fake.on("lineage_impact", { status: 200, body: {} });

  const { status } = await it.ask("GET", "/lineage/impact?nodeId=datasetField:n:a:x");

  deepStrictEqual([200, { node: "datasetField:n:a:x" }], [status, it.fake.last("lineage_impact").json]);
});

Deno.test("without a node there is nothing to ask", async () => {
  await using it = new Rehearsal();

  const response = await it.ask("GET", "/lineage/impact");

  deepStrictEqual([400, "FIELD_INVALID", 0], [
    response.status,
    (await response.json()).code,
    it.fake.seen.length,
  ]);
});
