import { refuse } from "../../../_shared/errors.ts";
import { object } from "../../../_shared/json_text.ts";
import { passOn, Route } from "../../../_shared/route.ts";
import { to } from "../../shapes.ts";

export const route: Route = {
  method: "GET",
  path: "/column-lineage",
  access: "member",
  name: "column_lineage",
  summary: "Walks the graph of columns from one, or from all of a dataset",
  query: {
    nodeId: {
      type: "string",
      description: "datasetField:{namespace}:{name}:{field} or dataset:{namespace}:{name}; required",
    },
    depth: { type: "integer", minimum: 0, maximum: 100, default: 5 },
  },
  answers: { 200: { description: "The graph", schema: to("Graph") } },
  handle: async (call) => {
    const { nodeId, depth } = call.query;
    if (nodeId === undefined) {
      throw refuse("FIELD_INVALID", { details: "$.nodeId", message: "nodeId is missing." });
    }
    return passOn(await call.ask("column_lineage", object({ node: nodeId, depth: depth ?? "5" })));
  },
};
