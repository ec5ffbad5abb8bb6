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
