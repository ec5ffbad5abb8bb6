import { Schema } from "../../_shared/schema.ts";

// What the forms of several subjects are made of.

export const bigint: Schema = { type: "integer", format: "int64" };
export const time: Schema = { type: ["string", "null"], format: "date-time" };
export const text: Schema = { type: ["string", "null"] };
export const milliseconds: Schema = { type: ["integer", "null"], description: "milliseconds" };
export const url: Schema = { type: "string", format: "uri" };
export const state: Schema = {
  type: "string",
  enum: ["QUEUED", "BLOCKED", "RUNNING", "SUCCEEDED", "FAILED", "TIMED_OUT", "CANCELED", "SKIPPED"],
};
export const jobType: Schema = {
  type: "string",
  enum: ["spark_etl", "diagram_export", "schema_migration", "kb_catalog", "code_validation"],
};

export const Thing: Schema = { type: "object" };
