import { Schema } from "../../_shared/schema.ts";
import { bigint } from "./words.ts";

export function page(items: Schema): Schema {
  return {
    type: "object",
    required: ["items", "next"],
    properties: {
      items: { type: "array", items },
      next: { type: ["string", "integer", "null"], description: "cursor of the next page" },
    },
  };
}

/** `?limit=&cursor=` of every list. */
export const paging = {
  limit: { type: "integer", minimum: 1, maximum: 1000, description: "items per page" },
  cursor: { type: "string", description: "next of the page before" },
} as const satisfies Record<string, Schema>;

export const after: Schema = { ...bigint, minimum: 0, description: "only what comes after this seq" };
