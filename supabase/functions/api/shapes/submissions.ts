import { Schema } from "../../_shared/schema.ts";
import { callbacks } from "./callbacks.ts";
import { bigint, jobType, state, url } from "./words.ts";

export const runTimeout: Schema = {
  type: "integer",
  minimum: 1,
  maximum: 2592000,
  description: "of the whole run, from its first claim; none unless set",
};
export const queue: Schema = {
  type: "object",
  description: "whether a run that is one too many waits for its place (default), or is skipped",
  properties: { enabled: { type: "boolean", default: true } },
};

const submissionFields: Readonly<Record<string, Schema>> = {
  job_type: jobType,
  engine: { type: "string", description: "duckdb (default) or spark for spark_etl; else default" },
  name: { type: "string" },
  spec: { type: "string", description: "What the run is for, in a sentence or more. Kept with the run." },
  code: {
    description:
      "Absent: generated from the spec by the Continue CLI, where a model is configured and granted.",
    oneOf: [
      {
        type: "object",
        required: ["files"],
        properties: { files: { type: "object", additionalProperties: { type: "string" } } },
      },
      {
        type: "object",
        required: ["artifact_id"],
        properties: { artifact_id: { type: "string", format: "uuid" } },
      },
    ],
  },
  generation: {
    type: "object",
    description: "how code is written where none is sent",
    properties: {
      model: { type: "string", description: "a granted model; the first that was granted unless named" },
      repair_rounds: { type: "integer", minimum: 0, maximum: 5, default: 1 },
    },
  },
  validation: {
    type: "object",
    description: "how the code is validated before it runs: the parameters of code_validation",
    properties: {
      fail_on: { type: "string", enum: ["error", "warning", "note"] },
      accept_unchecked: { type: "array", items: { type: "string" } },
      suppressions: { type: "string", enum: ["ignore", "honour"] },
      tests: { type: "string", enum: ["auto", "off", "required"] },
      sql_dialect: { type: "string" },
      odoo: { type: "string", enum: ["lint", "install"] },
    },
  },
  params: { type: "object", description: "/job/params.json, as user code sees it" },
  inputs: {
    type: "array",
    items: {
      type: "object",
      required: ["name"],
      properties: {
        name: { type: "string" },
        artifact_id: { type: "string", format: "uuid" },
        table: { type: "string" },
        uri: {
          type: "string",
          description: "odoo://<target>/<model> or postgres://<target>/<schema>.<table>",
        },
        read: {
          type: "object",
          additionalProperties: false,
          properties: {
            fields: { type: "array", items: { type: "string" } },
            domain: { type: "array", description: "Odoo's own" },
            after: { type: "string", description: "the table that has what was read already" },
            watermark: { type: "string", default: "write_date" },
            overlap_seconds: { type: "integer", minimum: 0, maximum: 604800, default: 900 },
            limit: { type: "integer", minimum: 1 },
          },
        },
      },
    },
  },
  outputs: {
    type: "array",
    items: {
      type: "object",
      required: ["name"],
      properties: {
        name: { type: "string" },
        table: { type: "string" },
        layer: { type: "string", enum: ["bronze", "silver", "gold"] },
        kind: { type: "string" },
        mode: { type: "string", enum: ["overwrite", "append", "merge"] },
        key: {
          type: "array",
          items: { type: "string" },
          description: "of a merge: the columns that tell rows apart",
        },
      },
    },
  },
  callbacks,
  secrets: {
    type: "array",
    items: { type: "string" },
    description: "Names granted to the tenant; never values.",
  },
  image: {
    type: "string",
    maxLength: 512,
    description:
      "The container image that the task runs in, registry/name@sha256:…; granted to the tenant (image), " +
      "and where it has no digest also as unpinned_image. Without it: the runner's own.",
  },
  executors: {
    type: "integer",
    minimum: 1,
    maximum: 100,
    description: "How many executors a spark_etl with the engine spark gets, each in a pod of its own; " +
      "at most the tenant's max_executors. Without it: driver and executor are one.",
  },
  timeout_seconds: { type: "integer", minimum: 1, maximum: 86400, default: 600 },
  max_retries: { type: "integer", minimum: 0, maximum: 10, default: 3 },
  retry_on_timeout: { type: "boolean", default: false },
  run_timeout_seconds: runTimeout,
  min_retry_interval_ms: { type: "integer", minimum: 0, maximum: 3600000, default: 0 },
  priority: { type: "integer" },
  idempotency_key: {
    type: "string",
    description: "The same key gives the same run, with 200 instead of 202.",
  },
};

export const runIf: Schema = {
  type: "string",
  enum: [
    "ALL_SUCCESS",
    "ALL_DONE",
    "NONE_FAILED",
    "AT_LEAST_ONE_SUCCESS",
    "ALL_FAILED",
    "AT_LEAST_ONE_FAILED",
  ],
  default: "ALL_SUCCESS",
};
export const dependsOn: Schema = {
  type: "array",
  items: {
    oneOf: [
      { type: "string", description: "a task_key" },
      {
        type: "object",
        required: ["task_key"],
        properties: { task_key: { type: "string" }, outcome: { type: "string", enum: ["true", "false"] } },
      },
    ],
  },
};
const runJob: Schema = {
  type: "object",
  required: ["job_id"],
  properties: { job_id: bigint, params: { type: "object" } },
};
const operand: Schema = {
  type: ["string", "number", "boolean"],
  description: "a value, or a string with {{references}}",
};
/** What a task has whatever its kind. */
const taskPlace: Readonly<Record<string, Schema>> = {
  task_key: { type: "string" },
  depends_on: dependsOn,
  run_if: runIf,
};

export const Task: Schema = {
  description: "A node of a job: work, a condition, one for each of many inputs, or a run of another job.",
  oneOf: [
    {
      type: "object",
      required: ["task_key", "job_type", "spec"],
      properties: { ...submissionFields, ...taskPlace },
    },
    {
      type: "object",
      required: ["task_key", "condition"],
      properties: {
        ...taskPlace,
        condition: {
          type: "object",
          required: ["op", "left", "right"],
          properties: {
            op: {
              type: "string",
              enum: [
                "EQUAL_TO",
                "NOT_EQUAL",
                "GREATER_THAN",
                "GREATER_THAN_OR_EQUAL",
                "LESS_THAN",
                "LESS_THAN_OR_EQUAL",
              ],
            },
            left: operand,
            right: operand,
          },
        },
      },
    },
    {
      type: "object",
      required: ["task_key", "for_each", "task"],
      properties: {
        ...taskPlace,
        for_each: {
          type: "object",
          required: ["inputs"],
          properties: {
            inputs: {
              oneOf: [{ type: "array", maxItems: 1000 }, {
                type: "string",
                description: "one {{reference}}",
              }],
            },
            concurrency: { type: "integer", minimum: 1, maximum: 100, default: 1 },
          },
        },
        task: {
          description: "Work, or {run_job}; {{input}} and {{input.field}} in its params.",
          oneOf: [
            { type: "object", required: ["job_type", "spec"], properties: submissionFields },
            { type: "object", required: ["run_job"], properties: { run_job: runJob } },
          ],
        },
      },
    },
    {
      type: "object",
      required: ["task_key", "run_job"],
      properties: { ...taskPlace, run_job: runJob },
    },
  ],
};

export const OneTimeRun: Schema = {
  type: "object",
  required: ["job_type", "spec"],
  properties: submissionFields,
};

export const OneTimeGraph: Schema = {
  type: "object",
  required: ["tasks"],
  properties: {
    tasks: { type: "array", maxItems: 1000, items: { $ref: "#/components/schemas/Task" } },
    params: { type: "object", description: "reach every task, and {{job.parameters.x}}" },
    name: { type: "string" },
    callbacks,
    priority: { type: "integer" },
    run_timeout_seconds: runTimeout,
    idempotency_key: { type: "string" },
  },
};

export const JobRun: Schema = {
  type: "object",
  required: ["job_id"],
  properties: {
    job_id: bigint,
    params: { type: "object" },
    idempotency_key: { type: "string" },
    run_timeout_seconds: runTimeout,
    queue,
  },
};

export const Submission: Schema = {
  oneOf: [
    { $ref: "#/components/schemas/OneTimeRun" },
    { $ref: "#/components/schemas/OneTimeGraph" },
    { $ref: "#/components/schemas/JobRun" },
  ],
};

export const SubmittedRun: Schema = {
  type: "object",
  required: ["run_id", "state", "url"],
  properties: { run_id: bigint, state, url },
};
