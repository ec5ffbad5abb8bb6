import { Schema } from "../../_shared/schema.ts";
import { Artifact, ArtifactChange, ArtifactUsage, ArtifactVersion } from "./artifacts.ts";
import { AuditEntry, AuditVerdict } from "./audit.ts";
import { Delivery, Endpoint, Event, Network, Replay } from "./callbacks.ts";
import {
  CatalogDocument,
  CatalogObject,
  Expectation,
  Freshness,
  Period,
  Refresh,
  RefreshOrder,
  Rollup,
  Verdict,
} from "./catalog.ts";
import { Failure } from "./errors.ts";
import { AppliedJobs, Backfill, BackfillOrder, Clock, Job, JobsOrder, Paused } from "./jobs.ts";
import {
  Edge,
  Graph,
  LayerRule,
  LineageCoverage,
  LineageDiff,
  LineageEvent,
  LineageImpact,
  LineagePath,
  LineageSummary,
  RetiredEdges,
  StoredEvent,
} from "./lineage.ts";
import { Attempt, LogLine, Repair, RepairOrder, Run, TaskRun } from "./runs.ts";
import { JobRun, OneTimeGraph, OneTimeRun, Submission, SubmittedRun, Task } from "./submissions.ts";
import { AccessToken, Invitation, Member, ShortToken, Trust } from "./tokens.ts";
import { Thing } from "./words.ts";

/** The forms that several routes share, as the OpenAPI document lists them under `#/components/schemas`. */
export const shapes = {
  Error: Failure,
  OneTimeRun,
  OneTimeGraph,
  Task,
  JobRun,
  Submission,
  SubmittedRun,
  Attempt,
  TaskRun,
  Run,
  Job,
  JobsOrder,
  AppliedJobs,
  Paused,
  Clock,
  LogLine,
  Event,
  ArtifactVersion,
  Artifact,
  ArtifactChange,
  ArtifactUsage,
  LineageEvent,
  LineageSummary,
  Graph,
  LineagePath,
  LineageDiff,
  LineageImpact,
  LineageCoverage,
  StoredEvent,
  LayerRule,
  RetiredEdges,
  Edge,
  Endpoint,
  Network,
  Replay,
  Delivery,
  AuditEntry,
  AuditVerdict,
  AccessToken,
  ShortToken,
  Trust,
  Member,
  Invitation,
  RepairOrder,
  Repair,
  BackfillOrder,
  Backfill,
  CatalogObject,
  CatalogDocument,
  Expectation,
  Freshness,
  Period,
  Verdict,
  Rollup,
  RefreshOrder,
  Refresh,
  Thing,
} as const satisfies Record<string, Schema>;

export function to(name: keyof typeof shapes): Schema {
  return { $ref: `#/components/schemas/${name}` };
}
