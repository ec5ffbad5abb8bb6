import { Schema } from "../_shared/schema.ts";

/** The forms that several routes share, as they stand in the OpenAPI document under `#/components/schemas`. */

const bigint: Schema = { type: "integer", format: "int64" };
const time: Schema = { type: ["string", "null"], format: "date-time" };
const text: Schema = { type: ["string", "null"] };
const milliseconds: Schema = { type: ["integer", "null"], description: "milliseconds" };
const state: Schema = {
  type: "string",
  enum: ["QUEUED", "BLOCKED", "RUNNING", "SUCCEEDED", "FAILED", "TIMED_OUT", "CANCELED", "SKIPPED"],
};
const jobType: Schema = {
  type: "string",
  enum: ["spark_etl", "diagram_export", "schema_migration", "kb_catalog", "code_validation"],
};
const progress: Schema = {
  type: ["object", "null"],
  properties: { percent: { type: ["number", "null"] }, message: text },
};
const url: Schema = { type: "string", format: "uri" };

export function to(name: keyof typeof shapes): Schema {
  return { $ref: `#/components/schemas/${name}` };
}

export function page(items: Schema): Schema {
  return {
    type: "object",
    required: ["items", "next"],
    properties: {
      items: { type: "array", items },
      next: { type: ["string", "integer", "null"], description: "cursor of the next page" },
    },
  };
}

const runTimeout: Schema = {
  type: "integer",
  minimum: 1,
  maximum: 2592000,
  description: "of the whole run, from its first claim; none unless set",
};

const queueReason: Schema = {
  type: ["string", "null"],
  description:
    "why it waits: NO_RUNNER, RETRY, TENANT_LIMIT, FREE_RUNNER, UPSTREAM, MAX_CONCURRENT_RUNS, MAX_CONCURRENT_BACKFILL; " +
    "queue_reason says it in words",
};
const queue: Schema = {
  type: "object",
  description: "whether a run that is one too many waits for its place (default), or is skipped",
  properties: { enabled: { type: "boolean", default: true } },
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

const callbacks: Schema = {
  type: "object",
  properties: { on_complete: url, on_fail: url, on_progress: url },
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
        uri: { type: "string" },
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
        mode: { type: "string", enum: ["overwrite", "append"] },
      },
    },
  },
  callbacks,
  secrets: {
    type: "array",
    items: { type: "string" },
    description: "Names granted to the tenant; never values.",
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

const runIf: Schema = {
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
const dependsOn: Schema = {
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

export const shapes = {
  Error: {
    type: "object",
    required: ["code", "message", "details", "hint"],
    properties: { code: { type: "string" }, message: { type: "string" }, details: text, hint: text },
  },
  OneTimeRun: { type: "object", required: ["job_type", "spec"], properties: submissionFields },
  OneTimeGraph: {
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
  },
  Task: {
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
  },
  JobRun: {
    type: "object",
    required: ["job_id"],
    properties: {
      job_id: bigint,
      params: { type: "object" },
      idempotency_key: { type: "string" },
      run_timeout_seconds: runTimeout,
      queue,
    },
  },
  Submission: {
    oneOf: [
      { $ref: "#/components/schemas/OneTimeRun" },
      { $ref: "#/components/schemas/OneTimeGraph" },
      { $ref: "#/components/schemas/JobRun" },
    ],
  },
  SubmittedRun: {
    type: "object",
    required: ["run_id", "state", "url"],
    properties: { run_id: bigint, state, url },
  },
  Attempt: {
    type: "object",
    properties: {
      attempt_id: bigint,
      number: { type: "integer" },
      lease: bigint,
      state: { type: "string", enum: [...state.enum ?? [], "LOST"] },
      runner: text,
      termination_code: text,
      message: text,
      exit_code: { type: ["integer", "null"] },
      peak_memory_bytes: { type: ["integer", "null"], format: "int64" },
      cpu_ms: milliseconds,
      queued_at: time,
      started_at: time,
      finished_at: time,
    },
  },
  TaskRun: {
    type: "object",
    properties: {
      task_run_id: bigint,
      task_key: { type: "string" },
      kind: { type: "string", enum: ["work", "condition", "for_each", "run_job"] },
      job_type: { ...jobType, type: ["string", "null"], enum: [...jobType.enum ?? [], null] },
      state,
      termination_code: text,
      termination_message: text,
      queue_reason: text,
      queue_reason_code: queueReason,
      reused_from: {
        type: ["integer", "null"],
        format: "int64",
        description: "the run in which it was done",
      },
      progress,
      depends_on: { ...dependsOn, type: ["array", "null"] },
      run_if: runIf,
      generated_by: { type: "string", description: "of a validation: the task that writes what it judges" },
      round: { type: "integer", description: "how often that has written" },
      rounds: { type: "integer", description: "how often it may" },
      validated_by: { type: "string", description: "the task whose passing the code needed" },
      values: { type: "object", description: "what it printed after ::value" },
      condition: {
        type: "object",
        properties: { outcome: { type: ["string", "null"], enum: ["true", "false", null] } },
      },
      for_each: {
        type: "object",
        properties: {
          iterations: { type: ["integer", "null"] },
          concurrency: { type: "integer" },
          open: { type: "integer", description: "iterations that have not ended" },
        },
      },
      run_job: {
        type: "object",
        properties: { job_id: bigint, run_id: { type: ["integer", "null"], format: "int64" } },
      },
      parent_task_run_id: { ...bigint, description: "of an iteration: its for_each task" },
      iteration: { type: "integer" },
      attempts: { type: "array", items: { $ref: "#/components/schemas/Attempt" } },
    },
  },
  Run: {
    type: "object",
    required: ["run_id", "state"],
    properties: {
      run_id: bigint,
      job_id: { type: ["integer", "null"], format: "int64" },
      job_version: { type: ["integer", "null"] },
      parent_run_id: {
        type: ["integer", "null"],
        format: "int64",
        description: "whose run_job task started it",
      },
      parameters: { type: "object", description: "operators and admins only" },
      job_type: text,
      engine: text,
      name: text,
      state,
      termination_code: text,
      termination_message: text,
      queue_reason: text,
      queue_reason_code: queueReason,
      run_timeout_seconds: { type: ["integer", "null"] },
      deadline_at: time,
      rerun_of: { type: ["integer", "null"], format: "int64" },
      backfill_id: { type: ["integer", "null"], format: "int64" },
      repair_count: { type: "integer" },
      latest_repair_id: { type: ["integer", "null"], format: "int64" },
      repair_history: { type: "array", items: { type: "object" } },
      databricks_state: {
        type: "object",
        description: "the same state in Databricks' words",
        properties: { life_cycle_state: { type: "string" }, result_state: text },
      },
      progress,
      created_by: text,
      trigger: {
        type: "object",
        required: ["type"],
        properties: {
          type: { type: "string", enum: ["manual", "schedule", "periodic", "dataset"] },
          scheduled_at: time,
          fired_at: time,
          datasets: { type: "array", items: { type: "string" }, description: "what was updated" },
          runs: { type: "array", items: bigint, description: "the runs that updated it" },
        },
      },
      times: {
        type: "object",
        properties: {
          created_at: time,
          started_at: time,
          finished_at: time,
          queue_ms: milliseconds,
          run_ms: milliseconds,
        },
      },
      tasks: { type: "array", items: { $ref: "#/components/schemas/TaskRun" } },
      artifacts: { type: "array", items: { type: "object" } },
      tables: { type: "array", items: { type: "object" } },
      callbacks: { type: ["object", "null"] },
      spec: { type: ["string", "null"], description: "operators and admins only, as params and code" },
      params: { type: ["object", "null"] },
      code: { type: ["object", "null"] },
      links: { type: "object" },
    },
  },
  Job: {
    type: "object",
    required: ["name", "tasks"],
    properties: {
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
    },
  },
  Paused: {
    type: "object",
    required: ["job_id", "version", "paused"],
    properties: { job_id: bigint, version: { type: "integer" }, paused: { type: "boolean" }, ...clock },
  },
  Clock: {
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
  },
  LogLine: {
    type: "object",
    properties: {
      seq: bigint,
      at: { type: "string", format: "date-time" },
      attempt_id: bigint,
      task_key: text,
      stream: { type: "string", enum: ["stdout", "stderr", "system"] },
      line: { type: "string" },
    },
  },
  Event: {
    type: "object",
    properties: {
      run_id: { type: ["integer", "null"], format: "int64" },
      seq: { type: ["integer", "null"], format: "int64", description: "of the run" },
      event_id: { type: "string" },
      type: { type: "string", enum: ["run.completed", "run.failed", "run.progress", "endpoint.disabled"] },
      timestamp: { type: "string", format: "date-time" },
      data: { type: "object" },
    },
  },
  ArtifactVersion: {
    type: "object",
    required: ["artifact_id", "version", "state"],
    properties: {
      artifact_id: { type: "string", format: "uuid" },
      version: { type: "integer" },
      state: { type: "string", enum: ["PENDING", "READY", "REFUSED", "EXPIRED"] },
      size: bigint,
      upload_url: { ...url, description: "Takes one PUT of the bytes." },
    },
  },
  Artifact: {
    type: "object",
    properties: {
      artifact_id: { type: "string", format: "uuid" },
      name: { type: "string" },
      kind: { type: "string" },
      versions: { type: "array", items: { type: "object" } },
    },
  },
  LineageEvent: {
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
  },
  LineageSummary: {
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
  },
  Graph: {
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
  },
  LineagePath: {
    type: "object",
    required: ["found", "hops", "path", "graph"],
    properties: {
      found: { type: "boolean" },
      hops: { type: ["integer", "null"] },
      path: { type: "array", items: { type: "string" }, description: "datasets, from source to target" },
      graph: { type: "array", items: { type: "object" }, description: "the same with the jobs between" },
    },
  },
  LineageDiff: {
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
  },
  LineageImpact: {
    type: "object",
    required: ["node", "columns", "datasets", "jobs", "truncated"],
    properties: {
      node: { type: "string" },
      columns: { type: "array", items: { type: "object" }, description: "dataset, field, hops" },
      datasets: { type: "array", items: { type: "string" } },
      jobs: { type: "array", items: { type: "string" } },
      truncated: { type: "boolean" },
    },
  },
  LayerRule: {
    type: "object",
    required: ["reader", "source"],
    properties: {
      reader: { type: "string", enum: ["bronze", "silver", "gold"] },
      source: { type: "string", enum: ["bronze", "silver", "gold"] },
    },
  },
  RetiredEdges: {
    type: "object",
    required: ["retired", "columns", "at"],
    properties: { retired: { type: "integer" }, columns: { type: "integer" }, at: time },
  },
  Edge: {
    type: "object",
    required: ["origin", "destination"],
    properties: { origin: { type: "string" }, destination: { type: "string" } },
  },
  Endpoint: {
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
  },
  Network: {
    type: "object",
    properties: {
      network_id: bigint,
      cidr: { type: "string" },
      created_by: { type: "string" },
      created_at: time,
    },
  },
  Replay: {
    type: "object",
    required: ["replayed", "more"],
    properties: {
      replayed: { type: "integer" },
      more: { type: "boolean", description: "10,000 at a time: call again for the rest" },
    },
  },
  Delivery: {
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
  },
  AuditEntry: {
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
  },
  AuditVerdict: {
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
  },
  AccessToken: {
    type: "object",
    properties: {
      token_id: { type: "string", format: "uuid" },
      name: { type: "string" },
      role: { type: "string", enum: ["viewer", "operator", "admin"] },
      expires_at: time,
      token: { type: "string", description: "cr_…, shown once" },
    },
  },
  ShortToken: {
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
  },
  RepairOrder: {
    type: "object",
    properties: {
      rerun_tasks: { type: "array", items: { type: "string" }, description: "task keys" },
      rerun_all_failed: { type: "boolean", description: "true where no tasks are named" },
      rerun_dependents: { type: "boolean", default: true },
      params: { type: "object", description: "put over the parameters of the tasks that are done again" },
      latest_repair_id: { type: ["integer", "null"], format: "int64" },
    },
  },
  Repair: {
    type: "object",
    properties: {
      run_id: bigint,
      repair_id: bigint,
      number: { type: "integer" },
      tasks: { type: "array", items: { type: "string" } },
      state,
    },
  },
  BackfillOrder: {
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
  },
  Backfill: {
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
  },
  Thing: { type: "object" },
} as const satisfies Record<string, Schema>;

/** Parameters that many paths have. */
export const runId: Schema = { ...bigint, description: "the run" };
export const jobId: Schema = { ...bigint, description: "the job" };
export const backfillId: Schema = { ...bigint, description: "the backfill" };
export const attemptId: Schema = { ...bigint, description: "the attempt" };
export const deliveryId: Schema = { ...bigint, description: "the delivery" };
export const artifactId: Schema = { type: "string", format: "uuid", description: "the artifact" };
export const endpointId: Schema = { type: "string", format: "uuid", description: "the endpoint" };
export const networkId: Schema = { ...bigint, description: "the network" };
export const runState = state;
export const jobTypes = jobType;

/** `?limit=&cursor=` of every list. */
export const paging = {
  limit: { type: "integer", minimum: 1, maximum: 1000, description: "items per page" },
  cursor: { type: "string", description: "next of the page before" },
} as const satisfies Record<string, Schema>;

export const after: Schema = { ...bigint, minimum: 0, description: "only what comes after this seq" };
