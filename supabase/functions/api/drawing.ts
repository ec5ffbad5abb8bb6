/** A node of Marquez's graph, as far as a picture needs it. */
export interface GraphNode {
  readonly id: string;
  readonly type: string;
  readonly data?: { readonly name?: string } | null;
  readonly inEdges?: readonly GraphEdge[];
  readonly outEdges?: readonly GraphEdge[];
}

interface GraphEdge {
  readonly origin: string;
  readonly destination: string;
}

/** The graph as the source text of a picture: mermaid (rendered by GitHub and others) or dot (Graphviz). */
export const drawing = {
  mermaid(graph: readonly GraphNode[]): string {
    const names = shortNames(graph);
    const quoted = (text: string) =>
      `"${text.replace(/[^\w .,:/@+-]/gu, (sign) => `#${sign.codePointAt(0)};`)}"`;
    const nodes = graph.map((node) =>
      node.type === "JOB"
        ? `  ${names.get(node.id)}([${quoted(label(node))}])`
        : `  ${names.get(node.id)}[${quoted(label(node))}]`
    );
    const edges = edgesOf(graph, names).map(([from, to]) => `  ${from} --> ${to}`);
    return ["flowchart LR", ...nodes, ...edges, ""].join("\n");
  },

  dot(graph: readonly GraphNode[]): string {
    const names = shortNames(graph);
    const quoted = (text: string) => `"${text.replace(/[\\"]/g, "\\$&").replace(/\s+/g, " ")}"`;
    const shape = (node: GraphNode) => node.type === "JOB" ? "ellipse" : "box";
    const nodes = graph.map((node) =>
      `  ${names.get(node.id)} [label=${quoted(label(node))}, shape=${shape(node)}];`
    );
    const edges = edgesOf(graph, names).map(([from, to]) => `  ${from} -> ${to};`);
    return ["digraph lineage {", "  rankdir=LR;", ...nodes, ...edges, "}", ""].join("\n");
  },
};

/** Ids hold colons, slashes and whatever people call their tables: the picture's own ids are n0, n1 … */
export function shortNames(graph: readonly GraphNode[]): Map<string, string> {
  return new Map(graph.map((node, index) => [node.id, `n${index}`]));
}

export function label(node: GraphNode): string {
  return node.data?.name ?? node.id.slice(node.id.lastIndexOf(":") + 1);
}

/** Each edge stands at both of its ends; edges to nodes outside the answer are left out. */
export function edgesOf(graph: readonly GraphNode[], names: Map<string, string>): [string, string][] {
  const seen = new Map<string, [string, string]>();
  for (const node of graph) {
    for (const { origin, destination } of [...node.inEdges ?? [], ...node.outEdges ?? []]) {
      const from = names.get(origin);
      const to = names.get(destination);
      if (from !== undefined && to !== undefined) seen.set(`${from} ${to}`, [from, to]);
    }
  }
  return [...seen.values()];
}
