import { Schema } from "../../_shared/schema.ts";
import { dependsOn, runIf } from "./submissions.ts";
import { bigint, jobType, milliseconds, state, text, time } from "./words.ts";

/** Parameters that many paths have. */
export const runId: Schema = { ...bigint, description: "the run" };
export const attemptId: Schema = { ...bigint, description: "the attempt" };

const progress: Schema = {
  type: ["object", "null"],
  properties: { percent: { type: ["number", "null"] }, message: text },
};
const queueReason: Schema = {
  type: ["string", "null"],
  description:
    "why it waits: NO_RUNNER, RETRY, TENANT_LIMIT, FREE_RUNNER, UPSTREAM, MAX_CONCURRENT_RUNS, MAX_CONCURRENT_BACKFILL; " +
    "queue_reason says it in words",
};

export const Run: Schema = {
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
};

export const TaskRun: Schema = {
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
};

export const Attempt: Schema = {
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
};

export const LogLine: Schema = {
  type: "object",
  properties: {
    seq: bigint,
    at: { type: "string", format: "date-time" },
    attempt_id: bigint,
    task_key: text,
    stream: { type: "string", enum: ["stdout", "stderr", "system"] },
    line: { type: "string" },
  },
};

export const RepairOrder: Schema = {
  type: "object",
  properties: {
    rerun_tasks: { type: "array", items: { type: "string" }, description: "task keys" },
    rerun_all_failed: { type: "boolean", description: "true where no tasks are named" },
    rerun_dependents: { type: "boolean", default: true },
    params: { type: "object", description: "put over the parameters of the tasks that are done again" },
    latest_repair_id: { type: ["integer", "null"], format: "int64" },
  },
};

export const Repair: Schema = {
  type: "object",
  properties: {
    run_id: bigint,
    repair_id: bigint,
    number: { type: "integer" },
    tasks: { type: "array", items: { type: "string" } },
    state,
  },
};
