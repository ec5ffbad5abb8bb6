import dagre from "npm:@dagrejs/dagre@1.1.5";
import { refuse } from "../_shared/errors.ts";
import { Answer } from "../_shared/database.ts";
import { passOn } from "../_shared/route.ts";
import { drawing, edgesOf, GraphNode, label, shortNames } from "./drawing.ts";

/** Laid out in 0.2 s; a larger graph is no picture any more, and would be cut off by the platform's limit. */
export const MOST_NODES = 600;

export type Form = "json" | "svg" | "mermaid" | "dot";
export const forms = ["json", "svg", "mermaid", "dot"] as const;
export const pictures = ["image/svg+xml", "text/vnd.mermaid", "text/vnd.graphviz"];

/** An RPC's answer with a graph in it, as it was asked for. @throws Refusal where it is too large to be drawn */
export function drawn(answer: Answer, form: Form): Response {
  if (form === "json" || answer.status >= 300) return passOn(answer);
  const { graph } = JSON.parse(answer.text);
  if (!Array.isArray(graph)) throw refuse("UPSTREAM_UNAVAILABLE", { details: "The answer has no graph." });
  if (form === "mermaid") return text(drawing.mermaid(graph), "text/vnd.mermaid");
  if (form === "dot") return text(drawing.dot(graph), "text/vnd.graphviz");
  if (graph.length > MOST_NODES) {
    throw refuse("FIELD_INVALID", {
      details: "$.format",
      message:
        `A picture holds at most ${MOST_NODES} nodes, this graph has ${graph.length}: ask for less depth.`,
    });
  }
  return text(svg(graph), "image/svg+xml");
}

function text(body: string, type: string): Response {
  return new Response(body, { headers: { "content-type": `${type}; charset=utf-8` } });
}

const inks: Readonly<Record<string, readonly [string, string, string]>> = {
  bronze: ["#f6e7d8", "#d6a878", "#7c4a1e"],
  silver: ["#e8edf3", "#a9b8c9", "#37475a"],
  gold: ["#fdf0c4", "#e3bd4a", "#745308"],
  file: ["#e0f2fe", "#8ccbee", "#075985"],
  job: ["#ede9fe", "#b9a8f5", "#4c2f9e"],
  other: ["#f1f5f9", "#cbd5e1", "#334155"],
};
const LONGEST = 36;
const CHARACTER = 7.3; // px of a 12 px monospaced face, with room
const HEIGHT = 26;

/** Left to right; datasets are boxes in the colour of their layer, jobs are pills; full names stand in titles. */
export function svg(graph: readonly GraphNode[]): string {
  const names = shortNames(graph);
  const plan = new dagre.graphlib.Graph();
  plan.setGraph({ rankdir: "LR", nodesep: 12, edgesep: 6, ranksep: 64, marginx: 20, marginy: 20 });
  plan.setDefaultEdgeLabel(() => ({}));
  for (const node of graph) {
    plan.setNode(names.get(node.id)!, { width: short(label(node)).length * CHARACTER + 26, height: HEIGHT });
  }
  for (const [from, to] of edgesOf(graph, names)) plan.setEdge(from, to);
  dagre.layout(plan);
  const { width, height } = plan.graph() as { width: number; height: number };
  const size = [Math.max(width, 40), Math.max(height, 40)].map(Math.ceil);
  const lines = plan.edges().map((edge) => {
    const { points } = plan.edge(edge) as { points: Point[] };
    return `<path d="${curve(points, plan.node(edge.v), plan.node(edge.w))}" marker-end="url(#arrow)"/>`;
  });
  const boxes = graph.map((node) => box(node, plan.node(names.get(node.id)!)));
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${size[0]}" height="${size[1]}" viewBox="0 0 ${size[0]} ${
      size[1]
    }" ` +
    `font-family="ui-monospace, Menlo, Consolas, 'DejaVu Sans Mono', monospace" font-size="12">`,
    `<defs><marker id="arrow" viewBox="0 0 8 8" refX="8" refY="4" markerWidth="7" markerHeight="7" orient="auto">` +
    `<path d="M0 0 L8 4 L0 8 z" fill="#8494aa"/></marker></defs>`,
    `<rect width="100%" height="100%" fill="#ffffff"/>`,
    `<g fill="none" stroke="#8494aa" stroke-width="1.2">`,
    ...lines,
    `</g>`,
    ...boxes,
    `</svg>`,
    "",
  ].join("\n");
}

type Point = { readonly x: number; readonly y: number };
/** Where dagre has put a node: its middle. */
type Box = Point & { readonly width: number };

function box(node: GraphNode, at: Box): string {
  const kind = kindOf(node);
  const [ground, line, ink] = inks[kind]!;
  const round = kind === "job" ? HEIGHT / 2 : 5;
  const [x, y] = [at.x - at.width / 2, at.y - HEIGHT / 2].map(tidy);
  return `<g><title>${escaped(node.id)}</title>` +
    `<rect x="${x}" y="${y}" width="${
      tidy(at.width)
    }" height="${HEIGHT}" rx="${round}" fill="${ground}" stroke="${line}"/>` +
    `<text x="${tidy(at.x)}" y="${tidy(at.y + 4)}" text-anchor="middle" fill="${ink}">${
      escaped(short(label(node)))
    }</text></g>`;
}

function kindOf(node: GraphNode): string {
  if (node.type === "JOB") return "job";
  const layer = /^(bronze|silver|gold)\./.exec(label(node))?.[1];
  if (layer !== undefined && node.id.startsWith("dataset:control-room://")) return layer;
  return /\/artifacts:|^dataset:(file|s3|gs)\b/.test(node.id) ? "file" : "other";
}

/**
 * Out at the right of one box and in at the left of the other, by way of what dagre keeps free for a long edge, level at each of
 * these places: where many lines meet, each still says from which side it came. What leads back in a circle goes as dagre has it.
 */
function curve(points: readonly Point[], from: Box, to: Box): string {
  const at = (p: Point) => `${tidy(p.x)} ${tidy(p.y)}`;
  const start = { x: from.x + from.width / 2, y: from.y };
  const end = { x: to.x - to.width / 2, y: to.y };
  if (start.x >= end.x) return `M${points.map(at).join(" L")}`;
  const between = points.length > 3 ? points.slice(1, -1).filter(({ x }) => x > start.x && x < end.x) : [];
  let last = start;
  const bends = [...between, end].map((next) => {
    const middle = (last.x + next.x) / 2;
    const bend = `C${at({ x: middle, y: last.y })} ${at({ x: middle, y: next.y })} ${at(next)}`;
    last = next;
    return bend;
  });
  return `M${at(start)} ${bends.join(" ")}`;
}

function tidy(value: number): number {
  return Math.round(value * 10) / 10;
}

/** Where a name begins and how it ends say most. */
function short(name: string): string {
  const signs = [...name];
  if (signs.length <= LONGEST) return name;
  return `${signs.slice(0, 14).join("")}…${signs.slice(15 - LONGEST).join("")}`;
}

function escaped(text: string): string {
  // deno-lint-ignore no-control-regex -- XML has no word for them
  return text.replace(/[\u0000-\u0008\u000b\u000c\u000e-\u001f\ufffe\uffff]/g, "\ufffd")
    .replace(/[&<>"]/g, (sign) => `&#${sign.codePointAt(0)};`);
}
