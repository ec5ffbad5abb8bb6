import { Route } from "../../_shared/route.ts";
import { route as applyJobs } from "./jobs/apply_jobs.ts";
import { route as backfillJob } from "./jobs/backfill_job.ts";
import { route as cancelBackfill } from "./jobs/cancel_backfill.ts";
import { route as createJob } from "./jobs/create_job.ts";
import { route as deleteJob } from "./jobs/delete_job.ts";
import { route as getBackfill } from "./jobs/get_backfill.ts";
import { route as getJob } from "./jobs/get_job.ts";
import { route as jobSchedule } from "./jobs/job_schedule.ts";
import { route as listBackfills } from "./jobs/list_backfills.ts";
import { route as listJobs } from "./jobs/list_jobs.ts";
import { route as pauseJob } from "./jobs/pause_job.ts";
import { route as resumeJob } from "./jobs/resume_job.ts";
import { route as runJob } from "./jobs/run_job.ts";
import { route as updateJob } from "./jobs/update_job.ts";
import { route as cancelRun } from "./runs/cancel_run.ts";
import { route as getRun } from "./runs/get_run.ts";
import { route as listRuns } from "./runs/list_runs.ts";
import { route as repairRun } from "./runs/repair_run.ts";
import { route as rerunRun } from "./runs/rerun_run.ts";
import { route as runEvents } from "./runs/run_events.ts";
import { route as runLineage } from "./runs/run_lineage.ts";
import { route as runLogs } from "./runs/run_logs.ts";
import { route as submitRuns } from "./runs/submit_runs.ts";
import { route as artifactUsage } from "./artifacts/artifact_usage.ts";
import { route as completeArtifact } from "./artifacts/complete_artifact.ts";
import { route as createArtifact } from "./artifacts/create_artifact.ts";
import { route as deleteArtifact } from "./artifacts/delete_artifact.ts";
import { route as downloadArtifact } from "./artifacts/download_artifact.ts";
import { route as getArtifact } from "./artifacts/get_artifact.ts";
import { route as listArtifacts } from "./artifacts/list_artifacts.ts";
import { route as updateArtifact } from "./artifacts/update_artifact.ts";
import { route as columnLineage } from "./lineage/column_lineage.ts";
import { route as ingestBatch } from "./lineage/ingest_batch.ts";
import { route as ingestEvent } from "./lineage/ingest_event.ts";
import { route as lineageCoverage } from "./lineage/lineage_coverage.ts";
import { route as lineageEvents } from "./lineage/lineage_events.ts";
import { route as lineageGraph } from "./lineage/lineage_graph.ts";
import { route as lineageDiff } from "./lineage/lineage_diff.ts";
import { route as lineageImpact } from "./lineage/lineage_impact.ts";
import { route as lineageOrphans } from "./lineage/lineage_orphans.ts";
import { route as lineagePath } from "./lineage/lineage_path.ts";
import { route as lineageViolations } from "./lineage/lineage_violations.ts";
import { route as listLayerRules } from "./lineage/list_layer_rules.ts";
import { route as retireLineage } from "./lineage/retire_lineage.ts";
import { route as setLayerRules } from "./lineage/set_layer_rules.ts";
import { route as marquezNamespaces } from "./marquez/list_namespaces.ts";
import { route as marquezNamespace } from "./marquez/get_namespace.ts";
import { route as marquezDatasets } from "./marquez/list_datasets.ts";
import { route as marquezDataset } from "./marquez/get_dataset.ts";
import { route as marquezJobs } from "./marquez/list_jobs.ts";
import { route as marquezJob } from "./marquez/get_job.ts";
import { route as marquezRuns } from "./marquez/list_runs.ts";
import { route as marquezRun } from "./marquez/get_run.ts";
import { route as marquezFacets } from "./marquez/run_facets.ts";
import { route as marquezSearch } from "./marquez/search.ts";
import { route as marquezEvents } from "./marquez/list_events.ts";
import { route as marquezStats } from "./marquez/stats.ts";
import { route as marquezTags } from "./marquez/list_tags.ts";
import { route as describeObject } from "./catalog/describe_object.ts";
import { route as getObject } from "./catalog/get_object.ts";
import { route as ingestCatalog } from "./catalog/ingest_catalog.ts";
import { route as listCatalogs } from "./catalog/list_catalogs.ts";
import { route as listColumns } from "./catalog/list_columns.ts";
import { route as listObjects } from "./catalog/list_objects.ts";
import { route as listSchemas } from "./catalog/list_schemas.ts";
import { route as listVolumes } from "./catalog/list_volumes.ts";
import { route as syncCatalog } from "./catalog/sync_catalog.ts";
import { route as deleteExpectation } from "./catalog/delete_expectation.ts";
import { route as listExpectations } from "./catalog/list_expectations.ts";
import { route as listFreshness } from "./catalog/list_freshness.ts";
import { route as listLayers } from "./catalog/list_layers.ts";
import { route as listQuarantine } from "./catalog/list_quarantine.ts";
import { route as listVerdicts } from "./catalog/list_verdicts.ts";
import { route as setExpectation } from "./catalog/set_expectation.ts";
import { route as setFreshness } from "./catalog/set_freshness.ts";
import { route as deleteRollup } from "./catalog/delete_rollup.ts";
import { route as listRollups } from "./catalog/list_rollups.ts";
import { route as refreshTable } from "./catalog/refresh_table.ts";
import { route as setRollup } from "./catalog/set_rollup.ts";
import { route as getEntry } from "./catalog/get_entry.ts";
import { route as listEntries } from "./catalog/list_entries.ts";
import { route as listTables } from "./catalog/list_tables.ts";
import { route as readTable } from "./catalog/read_table.ts";
import { route as allowNetwork } from "./endpoints/allow_network.ts";
import { route as createEndpoint } from "./endpoints/create_endpoint.ts";
import { route as deleteEndpoint } from "./endpoints/delete_endpoint.ts";
import { route as disallowNetwork } from "./endpoints/disallow_network.ts";
import { route as endpointSecret } from "./endpoints/endpoint_secret.ts";
import { route as getEndpoint } from "./endpoints/get_endpoint.ts";
import { route as listEndpoints } from "./endpoints/list_endpoints.ts";
import { route as listNetworks } from "./endpoints/list_networks.ts";
import { route as rotateEndpoint } from "./endpoints/rotate_endpoint.ts";
import { route as updateEndpoint } from "./endpoints/update_endpoint.ts";
import { route as listDeliveries } from "./deliveries/list_deliveries.ts";
import { route as listEvents } from "./deliveries/list_events.ts";
import { route as redeliverDelivery } from "./deliveries/redeliver_delivery.ts";
import { route as replayDeliveries } from "./deliveries/replay_deliveries.ts";
import { route as attemptInput } from "./attempts/attempt_input.ts";
import { route as createParcel } from "./attempts/create_parcel.ts";
import { route as deleteParcel } from "./attempts/delete_parcel.ts";
import { route as getParcel } from "./attempts/get_parcel.ts";
import { route as createAttemptArtifact } from "./attempts/create_attempt_artifact.ts";
import { route as reportAttempt } from "./attempts/report_attempt.ts";
import { route as auditVerify } from "./audit/audit_verify.ts";
import { route as listAudit } from "./audit/list_audit.ts";
import { route as sweepBytes } from "./sweeps/sweep_bytes.ts";
import { route as uploadBytes } from "./uploads/upload_bytes.ts";
import { route as createToken } from "./tokens/create_token.ts";
import { route as listTokens } from "./tokens/list_tokens.ts";
import { route as revokeToken } from "./tokens/revoke_token.ts";
import { route as exchangeOidc } from "./tokens/exchange_oidc.ts";
import { route as createTrust } from "./trusts/create_trust.ts";
import { route as deleteTrust } from "./trusts/delete_trust.ts";
import { route as listTrusts } from "./trusts/list_trusts.ts";
import { route as acceptInvitation } from "./invitations/accept_invitation.ts";
import { route as createInvitation } from "./invitations/create_invitation.ts";
import { route as listInvitations } from "./invitations/list_invitations.ts";
import { route as revokeInvitation } from "./invitations/revoke_invitation.ts";
import { route as listMembers } from "./members/list_members.ts";
import { route as removeMember } from "./members/remove_member.ts";
import { route as setMemberRole } from "./members/set_member_role.ts";
import { route as health } from "./health.ts";
import { route as openapi } from "./openapi.ts";
import { route as slo } from "./slo.ts";

/** Every verb of the API. The router, the OpenAPI document and the tests read nothing else. */
export const routes: readonly Route[] = [
  applyJobs,
  backfillJob,
  cancelBackfill,
  createJob,
  deleteJob,
  getBackfill,
  getJob,
  jobSchedule,
  listBackfills,
  listJobs,
  pauseJob,
  resumeJob,
  runJob,
  updateJob,
  cancelRun,
  getRun,
  listRuns,
  repairRun,
  rerunRun,
  runEvents,
  runLineage,
  runLogs,
  submitRuns,
  artifactUsage,
  completeArtifact,
  createArtifact,
  deleteArtifact,
  downloadArtifact,
  getArtifact,
  listArtifacts,
  updateArtifact,
  columnLineage,
  ingestBatch,
  ingestEvent,
  lineageGraph,
  lineageCoverage,
  lineageEvents,
  lineageDiff,
  lineageImpact,
  lineageOrphans,
  lineagePath,
  lineageViolations,
  listLayerRules,
  retireLineage,
  setLayerRules,
  marquezNamespaces,
  marquezNamespace,
  marquezDatasets,
  marquezDataset,
  marquezJobs,
  marquezJob,
  marquezRuns,
  marquezRun,
  marquezFacets,
  marquezSearch,
  marquezEvents,
  marquezStats,
  marquezTags,
  listCatalogs,
  listSchemas,
  listColumns,
  listVolumes,
  listObjects,
  getObject,
  describeObject,
  syncCatalog,
  ingestCatalog,
  listLayers,
  listFreshness,
  setFreshness,
  listExpectations,
  setExpectation,
  deleteExpectation,
  listVerdicts,
  listQuarantine,
  listRollups,
  setRollup,
  deleteRollup,
  refreshTable,
  getEntry,
  listEntries,
  listTables,
  readTable,
  allowNetwork,
  createEndpoint,
  deleteEndpoint,
  disallowNetwork,
  endpointSecret,
  getEndpoint,
  listEndpoints,
  listNetworks,
  rotateEndpoint,
  updateEndpoint,
  listDeliveries,
  listEvents,
  redeliverDelivery,
  replayDeliveries,
  attemptInput,
  createParcel,
  deleteParcel,
  getParcel,
  createAttemptArtifact,
  reportAttempt,
  auditVerify,
  listAudit,
  sweepBytes,
  uploadBytes,
  createToken,
  listTokens,
  revokeToken,
  exchangeOidc,
  createTrust,
  listTrusts,
  deleteTrust,
  acceptInvitation,
  createInvitation,
  listInvitations,
  revokeInvitation,
  listMembers,
  removeMember,
  setMemberRole,
  health,
  openapi,
  slo,
];
