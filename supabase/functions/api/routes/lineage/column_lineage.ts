import { passOn, Route } from "../../../_shared/route.ts";
import { to } from "../../shapes/table.ts";
import { about, asOf } from "./node.ts";

export const route: Route = {
  method: "GET",
  path: "/column-lineage",
  access: "member",
  name: "column_lineage",
  summary: "Walks from columns to those that they come from, or that come from them",
  query: {
    nodeId: {
      type: "string",
      description: "dataset:{namespace}:{name} or datasetField:{namespace}:{name}:{field}; required",
    },
    depth: { type: "integer", minimum: 1, maximum: 100, default: 5 },
    direction: { type: "string", enum: ["upstream", "downstream", "both"], default: "upstream" },
    withDownstream: { type: "boolean", description: "Marquez's word for direction=both" },
    as_of: asOf,
  },
  answers: { 200: { description: "The graph", schema: to("Graph") } },
  handle: async (call) => {
    const { withDownstream, ...rest } = call.query;
    const asked = withDownstream === "true" ? { direction: '"both"', ...rest } : rest;
    return passOn(await call.ask("column_lineage", about(asked)));
  },
};
