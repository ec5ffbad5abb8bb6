import { deepStrictEqual, strictEqual } from "node:assert/strict";
import { Rehearsal } from "../../testing.ts";

Deno.test("the graph of columns is asked for by its node", async () => {
  await using it = new Rehearsal();
  it.fake.on("column_lineage", { status: 200, body: { graph: [] } });

  strictEqual(200, (await it.ask("GET", "/column-lineage?nodeId=dataset:n:t")).status);
  deepStrictEqual({ node: "dataset:n:t" }, it.fake.last("column_lineage").json);
});

Deno.test("Marquez's web UI asks for both directions by withDownstream", async () => {
  await using it = new Rehearsal();
  it.fake.on("column_lineage", { status: 200, body: { graph: [] } });

  strictEqual(
    200,
    (await it.ask("GET", "/column-lineage?nodeId=dataset:n:t&depth=3&withDownstream=true")).status,
  );
  deepStrictEqual({ node: "dataset:n:t", direction: "both", depth: 3 }, it.fake.last("column_lineage").json);
});

Deno.test("without a node there is nothing to ask", async () => {
  await using it = new Rehearsal();

  strictEqual(400, (await it.ask("GET", "/column-lineage")).status);
});
