import { Schema } from "../../_shared/schema.ts";
import { text } from "./words.ts";

/** PostgREST's shape. */
export const Failure: Schema = {
  type: "object",
  required: ["code", "message", "details", "hint"],
  properties: { code: { type: "string" }, message: { type: "string" }, details: text, hint: text },
};
