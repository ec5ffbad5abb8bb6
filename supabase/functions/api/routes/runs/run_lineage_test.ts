import { deepStrictEqual, ok, strictEqual } from "node:assert/strict";
import { Rehearsal } from "../../testing.ts";

const graph = [{ id: "dataset:n:a", type: "DATASET", data: { name: "a" }, inEdges: [], outEdges: [] }];

Deno.test("the graph of a run is JSON by default", async () => {
  await using it = new Rehearsal();
  it.fake.on("run_lineage", { status: 200, body: { graph } });

  deepStrictEqual({ graph }, await (await it.ask("GET", "/runs/12/lineage")).json());
  deepStrictEqual({ run_id: 12 }, it.fake.last("run_lineage").json);
});

for (const [format, start] of [["mermaid", "flowchart LR"], ["dot", "digraph"]] as const) {
  Deno.test(`format=${format} is a picture's source text`, async () => {
    await using it = new Rehearsal();
    it.fake.on("run_lineage", { status: 200, body: { graph } });

    const response = await it.ask("GET", `/runs/12/lineage?format=${format}`);

    ok(response.headers.get("content-type")?.startsWith("text/"));
    ok((await response.text()).startsWith(start));
  });
}

Deno.test("another format is refused", async () => {
  await using it = new Rehearsal();

  strictEqual(400, (await it.ask("GET", "/runs/12/lineage?format=gif")).status);
});
