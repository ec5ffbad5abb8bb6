import { Schema } from "../../_shared/schema.ts";
import { bigint, text, time } from "./words.ts";

export const LineageEvent: Schema = {
  type: "object",
  description: "An OpenLineage RunEvent, JobEvent or DatasetEvent.",
  required: ["eventTime", "producer", "schemaURL"],
  properties: {
    eventTime: { type: "string", format: "date-time" },
    producer: { type: "string" },
    schemaURL: { type: "string" },
    eventType: { type: "string", enum: ["START", "RUNNING", "COMPLETE", "ABORT", "FAIL", "OTHER"] },
    run: { type: "object" },
    job: { type: "object" },
    dataset: { type: "object" },
    inputs: { type: "array", items: { type: "object" } },
    outputs: { type: "array", items: { type: "object" } },
  },
};

export const LineageSummary: Schema = {
  type: "object",
  required: ["status", "summary", "failed_events"],
  properties: {
    status: { type: "string", enum: ["success", "partial_success"] },
    summary: {
      type: "object",
      properties: {
        received: { type: "integer" },
        successful: { type: "integer" },
        failed: { type: "integer" },
        retriable: { type: "integer" },
        non_retriable: { type: "integer" },
      },
    },
    failed_events: {
      type: "array",
      items: { type: "object", properties: { index: { type: "integer" }, reason: { type: "string" } } },
    },
  },
};

export const Graph: Schema = {
  type: "object",
  required: ["graph"],
  properties: {
    graph: {
      type: "array",
      items: {
        type: "object",
        required: ["id", "type", "data", "inEdges", "outEdges"],
        properties: {
          id: { type: "string", examples: ["dataset:control-room://acme:gold.delays"] },
          type: { type: "string", enum: ["DATASET", "JOB", "DATASET_FIELD"] },
          data: { type: ["object", "null"] },
          inEdges: { type: "array", items: { $ref: "#/components/schemas/Edge" } },
          outEdges: { type: "array", items: { $ref: "#/components/schemas/Edge" } },
        },
      },
    },
    truncated: { type: "boolean" },
    next: text,
  },
};

export const Edge: Schema = {
  type: "object",
  required: ["origin", "destination"],
  properties: { origin: { type: "string" }, destination: { type: "string" } },
};

export const LineagePath: Schema = {
  type: "object",
  required: ["found", "hops", "path", "graph"],
  properties: {
    found: { type: "boolean" },
    hops: { type: ["integer", "null"] },
    path: { type: "array", items: { type: "string" }, description: "datasets, from source to target" },
    graph: { type: "array", items: { type: "object" }, description: "the same with the jobs between" },
  },
};

export const LineageDiff: Schema = {
  type: "object",
  required: ["node", "from", "to", "added", "removed", "truncated"],
  properties: {
    node: { type: "string" },
    from: time,
    to: time,
    added: { type: "array", items: { type: "object" }, description: "source, target, job, at, run_id" },
    removed: {
      type: "array",
      items: { type: "object" },
      description: "source, target, job, at, by, reason",
    },
    truncated: { type: "boolean" },
  },
};

export const LineageImpact: Schema = {
  type: "object",
  required: ["node", "columns", "datasets", "jobs", "truncated"],
  properties: {
    node: { type: "string" },
    columns: { type: "array", items: { type: "object" }, description: "dataset, field, hops" },
    datasets: { type: "array", items: { type: "string" } },
    jobs: { type: "array", items: { type: "string" } },
    truncated: { type: "boolean" },
  },
};

export const LayerRule: Schema = {
  type: "object",
  required: ["reader", "source"],
  properties: {
    reader: { type: "string", enum: ["bronze", "silver", "gold"] },
    source: { type: "string", enum: ["bronze", "silver", "gold"] },
  },
};

export const RetiredEdges: Schema = {
  type: "object",
  required: ["retired", "columns", "at"],
  properties: { retired: { type: "integer" }, columns: { type: "integer" }, at: time },
};

export const LineageCoverage: Schema = {
  type: "object",
  required: ["window_hours", "flows", "covered", "coverage", "witnesses", "missing"],
  properties: {
    window_hours: { type: "integer" },
    flows: { type: "integer", description: "declared, or seen to flow" },
    covered: { type: "integer", description: "of these, known to the graph" },
    coverage: { type: ["number", "null"], description: "1 is the aim; null: nothing flows" },
    witnesses: { type: "object", description: "the same figures, by who says that it flows" },
    missing: {
      type: "array",
      items: { type: "object" },
      description: "witness, source, target, job, run_id, since",
    },
  },
};

export const StoredEvent: Schema = {
  type: "object",
  required: ["event_id", "received_at", "event", "faults"],
  properties: {
    event_id: bigint,
    received_at: time,
    run_id: { type: ["integer", "null"], format: "int64" },
    event: { $ref: "#/components/schemas/LineageEvent" },
    faults: { type: "array", items: { type: "object" }, description: "path, message: of its known facets" },
  },
};
