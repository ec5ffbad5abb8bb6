import { Route } from "../../../_shared/route.ts";
import { drawn, forms, pictures } from "../../picture.ts";
import { to } from "../../shapes/table.ts";
import { about, asOf } from "./node.ts";

export const route: Route = {
  method: "GET",
  path: "/lineage",
  access: "member",
  name: "lineage_graph",
  summary: "Walks the graph from a dataset or a job, in Marquez's shape",
  query: {
    nodeId: { type: "string", description: "dataset:{namespace}:{name} or job:{namespace}:{name}; required" },
    depth: { type: "integer", minimum: 0, maximum: 100, default: 5, description: "dataset hops" },
    direction: { type: "string", enum: ["upstream", "downstream", "both"], default: "both" },
    as_of: asOf,
    kinds: { type: "array", items: { type: "string" }, description: "comma-separated" },
    max_nodes: { type: "integer", minimum: 1, maximum: 20000, default: 2000 },
    cursor: { type: "string", description: "next of a truncated answer" },
    format: { type: "string", enum: forms, default: "json", description: "or a picture of it" },
  },
  answers: { 200: { description: "The graph", schema: to("Graph"), types: pictures } },
  handle: async (call) =>
    drawn(await call.ask("lineage_graph", about(call.query)), JSON.parse(call.query.format ?? '"json"')),
};
