import { refuse } from "../../../_shared/errors.ts";
import { object } from "../../../_shared/json_text.ts";
import { passOn, Route } from "../../../_shared/route.ts";
import { to } from "../../shapes.ts";

export const route: Route = {
  method: "GET",
  path: "/column-lineage",
  access: "member",
  name: "column_lineage",
  summary: "Walks from the columns of a dataset to those that they come from",
  query: {
    nodeId: {
      type: "string",
      description: "dataset:{namespace}:{name}; required",
    },
    depth: { type: "integer", minimum: 1, maximum: 100, default: 5 },
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
