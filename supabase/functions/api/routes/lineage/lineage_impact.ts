import { passOn, Route } from "../../../_shared/route.ts";
import { to } from "../../shapes/table.ts";
import { about, asOf } from "./node.ts";

export const route: Route = {
  method: "GET",
  path: "/lineage/impact",
  access: "member",
  name: "lineage_impact",
  summary: "Lists what a change of a dataset, or of one of its columns, reaches",
  query: {
    nodeId: {
      type: "string",
      description: "dataset:{namespace}:{name} or datasetField:{namespace}:{name}:{field}; required",
    },
    depth: { type: "integer", minimum: 1, maximum: 100, default: 100 },
    as_of: asOf,
  },
  answers: { 200: { description: "Columns, datasets and jobs", schema: to("LineageImpact") } },
  handle: async (call) => passOn(await call.ask("lineage_impact", about(call.query))),
};
