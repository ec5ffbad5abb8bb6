import { Schema } from "../../_shared/schema.ts";
import { bigint, text, time, url } from "./words.ts";

export const endpointId: Schema = { type: "string", format: "uuid", description: "the endpoint" };
export const networkId: Schema = { ...bigint, description: "the network" };
export const deliveryId: Schema = { ...bigint, description: "the delivery" };

/** What a run says of where its events go. */
export const callbacks: Schema = {
  type: "object",
  properties: { on_complete: url, on_fail: url, on_progress: url },
};

export const deliveryState: Schema = {
  type: "string",
  enum: ["PENDING", "RUNNING", "DELIVERED", "DEAD", "GONE", "MERGED"],
};

/** What an admin decides about an endpoint. */
export const endpointFields: Readonly<Record<string, Schema>> = {
  events: {
    type: "array",
    items: { type: "string", enum: ["run.completed", "run.failed", "run.progress", "endpoint.disabled"] },
    description: "empty: only runs that name the URL speak to it",
  },
  description: text,
  max_concurrency: {
    type: "integer",
    minimum: 1,
    maximum: 100,
    description: "tries under way at once (default 16)",
  },
  ordered: {
    type: "boolean",
    description: "of one run, the next event is sent after the one before it has ended",
  },
  merge_progress: { type: "boolean", description: "of waiting progress only the newest is sent" },
  ed25519: { type: "boolean", description: "also signs with v1a, whose public key is shown with the secret" },
};

export const Endpoint: Schema = {
  type: "object",
  properties: {
    endpoint_id: { type: "string", format: "uuid" },
    url,
    ...endpointFields,
    secret_version: { type: "integer" },
    failures: { type: "integer", description: "since the last success" },
    failing_since: time,
    disabled_at: time,
    disabled_reason: text,
    created_at: time,
  },
};

export const ports: Schema = {
  type: ["array", "null"],
  items: { type: "integer", minimum: 1, maximum: 65535 },
  minItems: 1,
  maxItems: 100,
  description: "at these alone; every port but those of databases, mail and the like, unless said",
};

export const Network: Schema = {
  type: "object",
  properties: {
    network_id: bigint,
    cidr: { type: "string" },
    ports,
    created_by: { type: "string" },
    created_at: time,
  },
};

export const Event: Schema = {
  type: "object",
  properties: {
    run_id: { type: ["integer", "null"], format: "int64" },
    seq: { type: ["integer", "null"], format: "int64", description: "of the run" },
    event_id: { type: "string" },
    type: { type: "string", enum: ["run.completed", "run.failed", "run.progress", "endpoint.disabled"] },
    timestamp: { type: "string", format: "date-time" },
    data: { type: "object" },
  },
};

export const Delivery: Schema = {
  type: "object",
  properties: {
    delivery_id: bigint,
    endpoint_id: { type: "string", format: "uuid" },
    event_id: { type: "string" },
    type: { type: "string" },
    run_id: { type: ["integer", "null"], format: "int64" },
    seq: { type: ["integer", "null"], format: "int64" },
    url,
    state: deliveryState,
    tries: { type: "integer" },
    next_at: time,
    last_status: { type: ["integer", "null"] },
    last_error: text,
    created_at: time,
    first_tried_at: time,
    finished_at: time,
  },
};

export const Replay: Schema = {
  type: "object",
  required: ["replayed", "more"],
  properties: {
    replayed: { type: "integer" },
    more: { type: "boolean", description: "10,000 at a time: call again for the rest" },
  },
};
