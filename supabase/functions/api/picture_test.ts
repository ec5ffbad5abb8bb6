import { deepStrictEqual, ok, throws } from "node:assert/strict";
import { GraphNode } from "./drawing.ts";
import { drawn, MOST_NODES, svg } from "./picture.ts";

/** `width` datasets a layer, each made by a job of its own from two of the layer before. */
function graph(layers: number, width: number): GraphNode[] {
  const nodes: GraphNode[] = [];
  for (let layer = 0; layer < layers; layer++) {
    for (let i = 0; i < width; i++) {
      const name = `${["bronze", "silver", "gold"][layer % 3]}.table_${layer}_${i}`;
      const [id, job] = [`dataset:control-room://acme:${name}`, `job:control-room://acme:make ${name}`];
      const inEdges = layer === 0 ? [] : [{ origin: job, destination: id }];
      nodes.push({ id, type: "DATASET", data: { name }, inEdges, outEdges: [] });
      if (layer > 0) {
        const from = [i, (i * 7 + 1) % width].map((n) => ({
          origin: `dataset:control-room://acme:${["bronze", "silver", "gold"][(layer - 1) % 3]}.table_${
            layer - 1
          }_${n}`,
          destination: job,
        }));
        nodes.push({
          id: job,
          type: "JOB",
          data: { name: `make ${name}` },
          inEdges: from,
          outEdges: inEdges,
        });
      }
    }
  }
  return nodes;
}

function boxes(text: string): { x: number; y: number; width: number; height: number }[] {
  const found = text.matchAll(/<rect x="([\d.-]+)" y="([\d.-]+)" width="([\d.]+)" height="([\d.]+)"/g);
  return [...found].map(([, x, y, width, height]) => ({ x: +x!, y: +y!, width: +width!, height: +height! }));
}

Deno.test("of two hundred nodes none lies on another, and each is within the picture", () => {
  const text = svg(graph(6, 19));
  const all = boxes(text);
  const [, width, height] = /width="(\d+)" height="(\d+)"/.exec(text)!.map(Number);

  deepStrictEqual(all.length, 19 * 11);
  const clashes = all.flatMap((a, i) =>
    all.slice(i + 1).filter((b) =>
      a.x < b.x + b.width && b.x < a.x + a.width && a.y < b.y + b.height && b.y < a.y + a.height
    )
  );
  deepStrictEqual(clashes, []);
  ok(all.every((a) => a.x >= 0 && a.y >= 0 && a.x + a.width <= width! && a.y + a.height <= height!));
});

Deno.test("what flows flows from left to right", () => {
  const all = boxes(svg(graph(2, 1)));

  deepStrictEqual(all.map((a) => a.x).sort((a, b) => a - b), [all[0]!.x, all[2]!.x, all[1]!.x]);
});

Deno.test("a line leaves a box at its right, enters the other at its left, and is level at both", () => {
  const text = svg(graph(4, 8));
  const all = boxes(text).map((box) => ({ ...box, middle: box.y + box.height / 2 }));
  const near = (a: number, b: number) => Math.abs(a - b) < 0.3;
  const lines = [...text.matchAll(/<path d="M([^"]+)" marker-end/g)].map(([, path]) =>
    path!.split(/[ C]+/).map(Number)
  );

  deepStrictEqual(lines.length, 3 * 8 * 3);
  for (const at of lines) {
    const [x, y, , firstBend] = at as [number, number, number, number];
    const [lastBend, endX, endY] = at.slice(-3) as [number, number, number];
    ok(all.some((box) => near(box.x + box.width, x) && near(box.middle, y)));
    ok(all.some((box) => near(box.x, endX) && near(box.middle, endY)));
    deepStrictEqual([firstBend, lastBend], [y, endY]);
  }
});

Deno.test("names are words to a picture, whatever is in them", () => {
  const name = `<script>alert("&")</script> \u0000 ${"very ".repeat(40)}long`;
  const text = svg([{
    id: `dataset:db:${name}`,
    type: "DATASET",
    data: { name },
    inEdges: [],
    outEdges: [],
  }]);

  ok(!text.includes("<script>") && !text.includes("\u0000"));
  ok(text.includes("…") && text.includes("&#60;script&#62;"));
});

Deno.test("nothing, a circle and an edge to itself can be drawn", () => {
  const edge = (origin: string, destination: string) => ({ origin, destination });
  const circle: GraphNode[] = [
    { id: "a", type: "DATASET", outEdges: [edge("a", "b"), edge("a", "a")] },
    { id: "b", type: "JOB", outEdges: [edge("b", "a")] },
  ];

  ok(svg([]).startsWith("<svg"));
  deepStrictEqual(boxes(svg(circle)).length, 2);
});

Deno.test("a graph that is too large for a picture is refused, and said how large it may be", () => {
  const answer = { status: 200, text: JSON.stringify({ graph: graph(40, 20) }), headers: new Headers() };

  throws(() => drawn(answer, "svg"), (refusal: Error) => String(refusal.message).includes(`${MOST_NODES}`));
});
