import { Schema } from "../../_shared/schema.ts";
import { bigint, text, time } from "./words.ts";

export const CatalogObject: Schema = {
  type: "object",
  required: ["object_id", "kind", "name", "path", "classification"],
  properties: {
    object_id: bigint,
    kind: { type: "string", enum: ["catalog", "schema", "table", "volume", "column"] },
    name: { type: "string", examples: ["main.gold.orders", "erp.models.`account.move`"] },
    path: { type: "array", items: { type: "string" } },
    type: text,
    layer: text,
    owner: text,
    comment: text,
    tags: { type: "object", additionalProperties: { type: "string" } },
    classification: {
      type: "string",
      enum: ["internal", "confidential"],
      description:
        "of the data, as it follows from what was said of it, of what it is in, and of its columns",
    },
    position: { type: ["integer", "null"] },
    nullable: { type: ["boolean", "null"] },
    rank: { type: "number" },
    gone_at: time,
    columns: { type: "array", items: { type: "object" } },
  },
};

const named: Record<string, Schema> = { name: { type: "string", maxLength: 255 }, comment: text };

export const CatalogDocument: Schema = {
  type: "object",
  required: ["catalog"],
  description: "schemas, or models in Odoo's words.",
  properties: {
    catalog: { type: "string", maxLength: 255 },
    type: { type: "string", description: "where it is from, in capitals" },
    namespace: { type: "string", description: "what lineage calls the place: odoo://host/database" },
    comment: text,
    schemas: {
      type: "array",
      items: {
        type: "object",
        properties: {
          ...named,
          layer: { type: "string", enum: ["bronze", "silver", "gold"] },
          tables: {
            type: "array",
            items: {
              type: "object",
              properties: {
                ...named,
                type: {
                  type: "string",
                  enum: ["MANAGED", "EXTERNAL", "FOREIGN", "VIEW", "MATERIALIZED_VIEW"],
                },
                dataset: { type: "string", description: "its name in the lineage's namespace" },
                row_estimate: bigint,
                loaded_at: time,
                columns: {
                  type: "array",
                  items: {
                    type: "object",
                    properties: { ...named, type: text, nullable: { type: "boolean" } },
                  },
                },
              },
            },
          },
          volumes: {
            type: "array",
            items: {
              type: "object",
              properties: { ...named, type: { type: "string" }, location: { type: "string" } },
            },
          },
        },
      },
    },
    models: {
      type: "array",
      items: {
        type: "object",
        properties: {
          model: { type: "string", examples: ["account.move"] },
          name: text,
          info: text,
          fields: { type: ["array", "object"] },
        },
      },
    },
  },
};

const period: Schema = {
  type: "object",
  required: ["count", "period"],
  properties: {
    count: { type: "integer", minimum: 1, maximum: 999999 },
    period: { type: "string", enum: ["minute", "hour", "day"] },
  },
};

export const Period: Schema = { anyOf: [period, { type: "null" }] };

export const Freshness: Schema = {
  type: "object",
  required: ["name", "status"],
  properties: {
    name: { type: "string" },
    status: { type: "string", enum: ["pass", "warn", "error"], description: "never loaded is an error" },
    loaded_at: { ...time, description: "when rows last came" },
    checked_at: { ...time, description: "when a load last looked, rows or none" },
    age_seconds: { type: ["integer", "null"] },
    warn_after: Period,
    error_after: Period,
    inherited: { type: "boolean", description: "by the rule of its schema" },
  },
};

export const Expectation: Schema = {
  type: "object",
  required: ["layer", "table", "name", "kind", "action", "definition"],
  properties: {
    layer: { type: "string", enum: ["bronze", "silver", "gold"] },
    table: { type: "string" },
    name: { type: "string" },
    kind: { type: "string", enum: ["expression", "not_null", "accepted_values", "unique", "row_count"] },
    action: { type: "string", enum: ["warn", "drop", "quarantine", "fail"] },
    definition: {
      type: "object",
      description: "{expression}, {column}, {column, values}, {columns} or {min, max}",
      examples: [{ expression: "quantity > 0 and price is not null" }],
    },
  },
};

export const Verdict: Schema = {
  type: "object",
  properties: {
    run_id: bigint,
    layer: { type: "string" },
    table: { type: "string" },
    name: { type: "string" },
    kind: { type: "string" },
    action: { type: "string" },
    success: { type: "boolean" },
    loaded: bigint,
    failed: { type: ["integer", "null"] },
    message: text,
    judged_at: time,
  },
};

export const Rollup: Schema = {
  type: "object",
  required: ["table", "source", "by", "measures"],
  properties: {
    table: { type: "string", description: "of gold" },
    source: { type: "string", examples: ["silver.orders"] },
    by: { type: "array", items: { type: "string" } },
    measures: {
      type: "array",
      items: {
        type: "object",
        required: ["name", "fn"],
        properties: {
          name: { type: "string" },
          fn: { type: "string", enum: ["count", "sum", "min", "max"] },
          column: { type: "string" },
        },
      },
    },
    where: { ...text, description: "a condition, as of expectations" },
  },
};

export const RefreshOrder: Schema = {
  type: "object",
  required: ["target"],
  properties: {
    target: { type: "string", examples: ["gold.sales"] },
    force: { type: "boolean", description: "all of it, changed or not" },
    dry_run: { type: "boolean", description: "the plan alone" },
    callbacks: { type: "object" },
    idempotency_key: { type: "string" },
  },
};

export const Refresh: Schema = {
  type: "object",
  required: ["target", "plan", "run_id"],
  properties: {
    target: { type: "string" },
    run_id: { type: ["integer", "null"] },
    state: { type: "string" },
    url: { type: "string" },
    plan: {
      type: "array",
      items: {
        type: "object",
        properties: {
          job_id: bigint,
          job: { type: "string" },
          tables: { type: "array", items: { type: "string" } },
          after: { type: "array", items: bigint },
          stale: { type: "boolean" },
          why: { type: "string" },
        },
      },
    },
  },
};
