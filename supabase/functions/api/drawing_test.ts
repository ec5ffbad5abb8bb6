import { strictEqual } from "node:assert/strict";
import { drawing } from "./drawing.ts";

const edge = { origin: "dataset:a://b:1:raw", destination: "job:n:load" };
const graph = [
  { id: "dataset:a://b:1:raw", type: "DATASET", data: { name: 'raw "1"' }, inEdges: [], outEdges: [edge] },
  {
    id: "job:n:load",
    type: "JOB",
    data: null,
    inEdges: [edge],
    outEdges: [{ origin: "job:n:load", destination: "gone" }],
  },
];

Deno.test("mermaid draws each node and each edge once, quotes escaped", () => {
  strictEqual('flowchart LR\n  n0["raw #34;1#34;"]\n  n1(["load"])\n  n0 --> n1\n', drawing.mermaid(graph));
});

Deno.test("dot draws each node and each edge once, quotes escaped", () => {
  const expected = [
    "digraph lineage {",
    "  rankdir=LR;",
    '  n0 [label="raw \\"1\\"", shape=box];',
    '  n1 [label="load", shape=ellipse];',
    "  n0 -> n1;",
    "}",
    "",
  ].join("\n");

  strictEqual(expected, drawing.dot(graph));
});
