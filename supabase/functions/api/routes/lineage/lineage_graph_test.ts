import { deepStrictEqual, strictEqual } from "node:assert/strict";
import { Rehearsal } from "../../testing.ts";

Deno.test("Marquez's query becomes the arguments of lineage_graph", async () => {
  await using it = new Rehearsal();
  it.fake.on("lineage_graph", { status: 200, body: { graph: [], truncated: false, next: null } });
  const node = "dataset:postgres://h:5432:db.public.t";
  const query = new URLSearchParams({
    nodeId: node,
    depth: "3",
    direction: "upstream",
    as_of: "2026-01-01T00:00:00+00:00",
    kinds: "sql,plan",
    max_nodes: "10",
    withDownstream: "ignored",
  });

  const response = await it.ask("GET", `/lineage?${query}`);

  deepStrictEqual({ graph: [], truncated: false, next: null }, await response.json());
  deepStrictEqual({
    node,
    depth: 3,
    direction: "upstream",
    as_of: "2026-01-01T00:00:00+00:00",
    kinds: ["sql", "plan"],
    max_nodes: 10,
  }, it.fake.last("lineage_graph").json);
});

for (
  const query of ["", "?nodeId=", "?nodeId=dataset:a:b&depth=x", "?nodeId=dataset:a:b&direction=sideways"]
) {
  Deno.test(`refused: /lineage${query}`, async () => {
    await using it = new Rehearsal();

    const response = await it.ask("GET", `/lineage${query}`);

    deepStrictEqual([400, "FIELD_INVALID"], [response.status, (await response.json()).code]);
    strictEqual(0, it.fake.seen.length);
  });
}

Deno.test("a graph may be asked for as a picture, with the slash that Marquez's web UI sends", async () => {
  await using it = new Rehearsal();
  const graph = [{ id: "dataset:n:t", type: "DATASET", data: { name: "t" }, inEdges: [], outEdges: [] }];
  it.fake.on("lineage_graph", { status: 200, body: { graph, truncated: false, next: null } });

  const answer = await it.ask("GET", "/lineage/?nodeId=dataset:n:t&depth=2&format=svg");

  strictEqual(answer.headers.get("content-type"), "image/svg+xml; charset=utf-8");
  strictEqual((await answer.text()).startsWith("<svg"), true);
  deepStrictEqual({ node: "dataset:n:t", depth: 2 }, it.fake.last("lineage_graph").json);
});
