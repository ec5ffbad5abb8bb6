import { Schema } from "../../_shared/schema.ts";
import { bigint, text, time } from "./words.ts";

export const AuditEntry: Schema = {
  type: "object",
  properties: {
    entry_id: bigint,
    at: time,
    user_id: { type: "string" },
    role: { type: "string", description: "of the token; attempt for an executor outside" },
    token_id: text,
    action: { type: "string" },
    object_type: { type: "string" },
    object_id: { type: "string" },
    details: { type: "object" },
    door: { type: "string", enum: ["edge", "rpc", "sql"] },
    ip: { type: ["string", "null"], description: "as the nearest front of ours saw it" },
    forwarded_for: { type: ["string", "null"], description: "what the request claims of its way" },
    user_agent: text,
    request_id: text,
    position: { type: "string", description: "in the order of the seals, with after" },
  },
};

export const AuditVerdict: Schema = {
  type: "object",
  properties: {
    ok: { type: "boolean" },
    seals: bigint,
    entries: bigint,
    faults: {
      type: "array",
      description: "the first eleven",
      items: {
        type: "object",
        properties: {
          fault: {
            type: "string",
            enum: [
              "changed",
              "missing",
              "unknown",
              "seal_changed",
              "seal_missing",
              "link_broken",
              "head_gone",
            ],
          },
          seal: { type: ["integer", "null"], format: "int64" },
          entry_id: { type: ["integer", "null"], format: "int64" },
        },
      },
    },
    head: {
      type: ["object", "null"],
      description: "the newest seal: keep number and hash outside the database",
      properties: {
        tenant_id: text,
        number: bigint,
        hash: { type: "string" },
        entries: bigint,
        sealed_at: time,
      },
    },
    next: { type: ["integer", "null"], format: "int64" },
  },
};
