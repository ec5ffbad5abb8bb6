import { Schema } from "../../_shared/schema.ts";
import { queue, runTimeout } from "./submissions.ts";
import { bigint, text, time } from "./words.ts";

export const jobId: Schema = { ...bigint, description: "the job" };
export const backfillId: Schema = { ...bigint, description: "the backfill" };

const paused: Schema = { type: "boolean", default: false };

/** At most one of these three starts a job by itself. */
const schedule: Schema = {
  type: ["object", "null"],
  required: ["cron"],
  properties: {
    cron: {
      type: "string",
      description:
        "minute hour day-of-month month day-of-week, or @hourly, @daily, @weekly, @monthly, @yearly",
      examples: ["0 5 * * 1-5"],
    },
    timezone: { type: "string", default: "UTC", examples: ["Europe/Berlin"] },
    missed: {
      type: "string",
      enum: ["skip", "once", "all"],
      default: "once",
      description: "after an outage: none, the last, or each of the times that were missed (at most 100)",
    },
    paused,
  },
};
const periodic: Schema = {
  type: ["object", "null"],
  required: ["every_seconds"],
  properties: { every_seconds: { type: "integer", minimum: 10, maximum: 31536000 }, paused },
};
const trigger: Schema = {
  type: ["object", "null"],
  required: ["datasets"],
  properties: {
    datasets: {
      type: "array",
      items: { type: "string" },
      description: "any of 1 to 100, by <layer>.<table> or dataset:{namespace}:{name}",
      examples: [["gold.orders"]],
    },
    debounce_seconds: { type: "integer", minimum: 0, maximum: 86400, default: 10 },
    max_wait_seconds: {
      type: "integer",
      minimum: 0,
      maximum: 604800,
      description: "after the first update, however many follow; ten times debounce_seconds unless given",
    },
    paused,
  },
};
const clock = {
  next_fire_at: time,
  last_fired_at: time,
  last_run_id: { type: ["integer", "null"], format: "int64" },
  last_error: {
    type: ["object", "null"],
    description: "why it could not be started the last time: code, message, details, hint, at",
  },
} as const satisfies Record<string, Schema>;

/** What an operator decides about a job, and what is told with it. */
export const jobFields: Readonly<Record<string, Schema>> = {
  job_id: bigint,
  version: { type: "integer" },
  name: { type: "string" },
  tasks: {
    type: "array",
    maxItems: 1000,
    items: { $ref: "#/components/schemas/Task" },
  },
  max_concurrent_runs: { type: ["integer", "null"], minimum: 1, maximum: 1000 },
  queue,
  run_timeout_seconds: { ...runTimeout, type: ["integer", "null"] },
  schedule,
  periodic,
  trigger,
  ...clock,
  parameters: { type: ["object", "array", "null"] },
};

export const Job: Schema = {
  type: "object",
  required: ["name", "tasks"],
  properties: jobFields,
};

/** A job in a list: GET /jobs/{job_id} tells the rest. */
export const JobSummary: Schema = {
  type: "object",
  required: ["job_id", "name", "version", "created_by", "created_at", "updated_at"],
  properties: {
    job_id: bigint,
    name: { type: "string" },
    version: { type: "integer" },
    created_by: { type: "string" },
    created_at: { type: "string", format: "date-time" },
    updated_at: { type: "string", format: "date-time" },
  },
};

export const Paused: Schema = {
  type: "object",
  required: ["job_id", "version", "paused"],
  properties: { job_id: bigint, version: { type: "integer" }, paused: { type: "boolean" }, ...clock },
};

export const Clock: Schema = {
  type: "object",
  required: ["job_id", "type", "paused", "upcoming"],
  properties: {
    job_id: bigint,
    type: { type: "string", enum: ["schedule", "periodic", "dataset"] },
    paused: { type: "boolean" },
    definition: { type: "object" },
    upcoming: { type: "array", items: { type: "string", format: "date-time" } },
    ...clock,
  },
};

export const JobsOrder: Schema = {
  type: "object",
  required: ["jobs"],
  properties: {
    jobs: {
      type: "array",
      maxItems: 500,
      items: { type: "object" },
      description: "definitions as POST /jobs takes them; run_job may say {job: name} instead of {job_id}",
    },
    source: { type: ["string", "null"], description: "whose they are; kept as the tag control-room/source" },
    prune: { type: "boolean", default: false, description: "delete what the source has no more" },
    adopt: { type: "boolean", default: false, description: "take over what belongs to another source" },
    dry_run: { type: "boolean", default: false },
  },
};

export const AppliedJobs: Schema = {
  type: "object",
  required: ["dry_run", "changes", "jobs"],
  properties: {
    dry_run: { type: "boolean" },
    source: { type: ["string", "null"] },
    changes: { type: "integer" },
    names: {
      type: "object",
      additionalProperties: { type: "string" },
      description: "what definitions start by id",
    },
    jobs: {
      type: "array",
      items: {
        type: "object",
        required: ["name", "action"],
        properties: {
          name: text,
          action: { type: "string", enum: ["create", "update", "delete", "none"] },
          job_id: bigint,
          version: { type: "integer" },
          before: { type: ["object", "null"] },
          after: { type: "object" },
        },
      },
    },
  },
};

export const BackfillOrder: Schema = {
  type: "object",
  required: ["parameter"],
  description: "either values or a range, 1 to 1000 values in all",
  properties: {
    parameter: { type: "string", description: "a parameter of the job" },
    values: { type: "array", maxItems: 1000 },
    range: {
      type: "object",
      required: ["from", "to"],
      properties: {
        from: { type: ["integer", "string"], description: "a whole number, or an ISO 8601 date or time" },
        to: { type: ["integer", "string"], description: "the last value, if the step meets it" },
        step: { type: ["integer", "string"], description: 'of numbers 1, of times "1 day" unless set' },
      },
    },
    params: { type: "object", description: "other parameters, the same for all" },
    max_concurrent: { type: ["integer", "null"], minimum: 1, maximum: 1000 },
    priority: { type: "integer" },
  },
};

export const Backfill: Schema = {
  type: "object",
  required: ["backfill_id"],
  properties: {
    backfill_id: bigint,
    job_id: bigint,
    parameter: text,
    max_concurrent: { type: ["integer", "null"] },
    started: { type: "integer", description: "runs that this very request started" },
    canceled: { type: "integer" },
    total: { type: "integer" },
    states: { type: "object", additionalProperties: { type: "integer" } },
    runs: { type: "array", items: { type: "object" } },
    created_by: text,
    created_at: time,
    cancel_requested_at: time,
  },
};
