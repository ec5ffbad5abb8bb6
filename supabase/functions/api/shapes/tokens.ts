import { Schema } from "../../_shared/schema.ts";
import { time } from "./words.ts";

export const AccessToken: Schema = {
  type: "object",
  properties: {
    token_id: { type: "string", format: "uuid" },
    name: { type: "string" },
    role: { type: "string", enum: ["viewer", "operator", "admin"] },
    expires_at: time,
    token: { type: "string", description: "cr_…, shown once" },
  },
};

export const ShortToken: Schema = {
  type: "object",
  required: ["access_token", "token_type", "expires_in", "expires_at"],
  properties: {
    access_token: { type: "string" },
    token_type: { const: "bearer" },
    expires_in: { type: "integer", description: "seconds" },
    expires_at: { type: "integer", description: "seconds since 1970" },
    tenant_id: { type: "string", format: "uuid" },
    user_id: { type: "string" },
    role: { type: "string", enum: ["viewer", "operator", "admin"] },
  },
};

export const Trust: Schema = {
  type: "object",
  properties: {
    trust_id: { type: "string", format: "uuid" },
    user_id: { type: "string", description: "the member that the trust acts as" },
    name: { type: "string" },
    issuer: { type: "string" },
    repository: { type: "string", description: "owner/name, in lower case" },
    repository_id: { type: ["string", "null"] },
    ref: { type: ["string", "null"], description: "refs/heads/main, refs/tags/v*, or * for any" },
    environment: { type: ["string", "null"] },
    pull_requests: { type: "boolean" },
    role: { type: "string", enum: ["viewer", "operator", "admin"] },
    token_seconds: { type: "integer" },
    created_by: { type: "string" },
    created_at: time,
    last_used_at: { type: ["string", "null"], format: "date-time" },
  },
};

export const Member: Schema = {
  type: "object",
  properties: {
    tenant_id: { type: "string", format: "uuid" },
    user_id: { type: "string" },
    role: { type: "string", enum: ["viewer", "operator", "admin"] },
    created_at: time,
  },
};

export const Invitation: Schema = {
  type: "object",
  properties: {
    invitation_id: { type: "string", format: "uuid" },
    email: { type: ["string", "null"] },
    user_id: { type: ["string", "null"] },
    role: { type: "string", enum: ["viewer", "operator", "admin"] },
    token: { type: "string", description: "crin_…, shown once" },
    created_by: { type: "string" },
    created_at: time,
    expires_at: time,
    accepted_at: time,
    accepted_by: { type: ["string", "null"] },
    revoked_at: time,
  },
};
