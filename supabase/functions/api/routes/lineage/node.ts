import { refuse } from "../../../_shared/errors.ts";
import { JsonText, object } from "../../../_shared/json_text.ts";
import { Call } from "../../../_shared/route.ts";

export const nodeId = {
  type: "string",
  description: "dataset:{namespace}:{name}; required",
} as const;
export const asOf = {
  type: "string",
  format: "date-time",
  description: "the graph as the database knew it then",
} as const;

/** The query as one object in which Marquez's nodeId is `node`, without the form of the answer. @throws Refusal FIELD_INVALID without one */
export function about(query: Call["query"]): JsonText {
  const { nodeId, format: _, ...rest } = query;
  if (nodeId === undefined) {
    throw refuse("FIELD_INVALID", { details: "$.nodeId", message: "nodeId is missing." });
  }
  return object({ node: nodeId, ...rest });
}
