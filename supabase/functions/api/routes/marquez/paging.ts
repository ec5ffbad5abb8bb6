import { Schema } from "../../../_shared/schema.ts";

/** `?limit=&offset=`, as Marquez's clients turn pages. */
export const paging = {
  limit: { type: "integer", minimum: 1, maximum: 1000, default: 100 },
  offset: { type: "integer", minimum: 0, maximum: 10000000, default: 0 },
} as const satisfies Record<string, Schema>;

export const lastRunStates: Schema = {
  type: "string",
  enum: ["NEW", "RUNNING", "COMPLETED", "FAILED", "ABORTED"],
  description: "only jobs whose latest run is in this state",
};
