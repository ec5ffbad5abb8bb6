"""The words of the API as the server says them.

Every model keeps fields it does not know (a newer server may say more); `raw()` gives back what came.
Ids of runs, jobs, attempts and deliveries are integers, of artifacts and endpoints UUIDs; sizes are bytes,
durations milliseconds.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, Generic, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field

State = Literal["QUEUED", "BLOCKED", "RUNNING", "SUCCEEDED", "FAILED", "TIMED_OUT", "CANCELED", "SKIPPED"]
AttemptState = State | Literal["LOST"]
ArtifactState = Literal["PENDING", "READY", "REFUSED", "EXPIRED"]
Direction = Literal["upstream", "downstream", "both"]

FINAL: frozenset[str] = frozenset({"SUCCEEDED", "FAILED", "TIMED_OUT", "CANCELED", "SKIPPED"})

JsonObject = dict[str, Any]


class Word(BaseModel):
    model_config = ConfigDict(extra="allow", frozen=True)

    def raw(self) -> JsonObject:
        """What the server said, ready for `json.dumps`."""
        return self.model_dump(mode="json", exclude_unset=True, by_alias=True)


Item = TypeVar("Item", bound=Word)


class Page(Word, Generic[Item]):
    """One page of a list; `next` is the cursor of the following one, or None."""

    items: list[Item]
    next: str | int | None = None


class Submitted(Word):
    run_id: int
    state: State
    url: str


class Progress(Word):
    percent: float | None = None
    message: str | None = None


class Attempt(Word):
    attempt_id: int
    number: int
    state: AttemptState
    lease: int | None = None
    runner: str | None = None
    termination_code: str | None = None
    message: str | None = None
    exit_code: int | None = None
    peak_memory_bytes: int | None = None
    cpu_ms: int | None = None
    queued_at: datetime | None = None
    started_at: datetime | None = None
    finished_at: datetime | None = None


class Condition(Word):
    outcome: Literal["true", "false"] | None = None


class ForEach(Word):
    iterations: int | None = None
    concurrency: int = 1
    open: int = 0


class RunJob(Word):
    job_id: int | None = None
    run_id: int | None = None


class TaskRun(Word):
    """A task inside a run. Iterations are their own; `parent_task_run_id` is their for_each."""

    task_run_id: int
    task_key: str
    state: State
    kind: Literal["work", "condition", "for_each", "run_job"] = "work"
    condition: Condition | None = None
    for_each: ForEach | None = None
    run_job: RunJob | None = None
    parent_task_run_id: int | None = None
    iteration: int | None = None
    values: dict[str, Any] = Field(default_factory=dict)
    run_if: str = "ALL_SUCCESS"
    job_type: str | None = None
    engine: str | None = None
    executors: int | None = None
    termination_code: str | None = None
    termination_message: str | None = None
    queue_reason: str | None = None
    queue_reason_code: str | None = None
    reused_from: int | None = None
    depends_on: list[Any] | None = None
    progress: Progress = Progress()
    attempts: list[Attempt] = Field(default_factory=list)
    started_at: datetime | None = None
    finished_at: datetime | None = None


class Times(Word):
    created_at: datetime | None = None
    started_at: datetime | None = None
    finished_at: datetime | None = None
    queue_ms: int | None = None
    run_ms: int | None = None


class RunArtifact(Word):
    artifact_id: str
    name: str
    kind: str
    version: int
    state: ArtifactState
    size: int
    sha256: str | None = None


class RunTable(Word):
    layer: str
    table: str
    rows: int | None = None


class Run(Word):
    run_id: int
    state: State
    job_id: int | None = None
    parent_run_id: int | None = None
    job_type: str | None = None
    name: str | None = None
    termination_code: str | None = None
    termination_message: str | None = None
    queue_reason: str | None = None
    queue_reason_code: str | None = None
    run_timeout_seconds: int | None = None
    deadline_at: datetime | None = None
    databricks_state: dict[str, str | None] | None = None
    rerun_of: int | None = None
    backfill_id: int | None = None
    repair_count: int = 0
    latest_repair_id: int | None = None
    created_by: str | None = None
    progress: Progress = Progress()
    times: Times = Times()
    tasks: list[TaskRun] = Field(default_factory=list)
    artifacts: list[RunArtifact] = Field(default_factory=list)
    tables: list[RunTable] = Field(default_factory=list)
    callbacks: dict[str, str] | None = None

    @property
    def final(self) -> bool:
        return self.state in FINAL

    @property
    def succeeded(self) -> bool:
        return self.state == "SUCCEEDED"


class RunSummary(Word):
    """A run as lists show it."""

    run_id: int
    state: State
    job_id: int | None = None
    job_type: str | None = None
    name: str | None = None
    percent: float | None = None
    termination_code: str | None = None
    created_at: datetime | None = None
    started_at: datetime | None = None
    finished_at: datetime | None = None


class LogLine(Word):
    seq: int
    line: str
    at: datetime | None = None
    attempt_id: int | None = None
    task_key: str | None = None
    stream: Literal["stdout", "stderr", "system"] = "stdout"


class Event(Word):
    seq: int | None
    run_id: int | None = None
    event_id: str
    type: str
    timestamp: datetime
    data: JsonObject


class Job(Word):
    job_id: int
    name: str
    version: int | None = None
    tasks: list[JsonObject] = Field(default_factory=list)
    created_at: datetime | None = None
    updated_at: datetime | None = None
    next_fire_at: datetime | None = None
    last_fired_at: datetime | None = None
    last_run_id: int | None = None
    last_error: JsonObject | None = None


class AppliedJob(Word):
    """`before` and `after` where something changes; `version` is the new one."""

    name: str
    action: Literal["create", "update", "delete", "none"]
    job_id: int | None = None
    version: int | None = None
    before: JsonObject | None = None
    after: JsonObject | None = None


class Applied(Word):
    """What applying jobs has changed, or would; `names` are those of jobs that are started by id."""

    dry_run: bool
    changes: int
    jobs: list[AppliedJob] = Field(default_factory=list)
    names: dict[int, str] = Field(default_factory=dict)
    source: str | None = None


class Clock(Word):
    """What starts a job by itself, and when."""

    job_id: int
    type: str
    paused: bool
    definition: JsonObject = Field(default_factory=dict)
    upcoming: list[datetime] = Field(default_factory=list)
    last_fired_at: datetime | None = None
    last_run_id: int | None = None
    last_error: JsonObject | None = None


class Paused(Word):
    job_id: int
    version: int
    paused: bool
    next_fire_at: datetime | None = None


class Repair(Word):
    """Tasks of a run that are done again."""

    run_id: int
    repair_id: int
    number: int
    tasks: list[str]
    state: State


class BackfillRun(Word):
    run_id: int
    state: State
    termination_code: str | None = None
    value: Any = None


class Backfill(Word):
    """One run of a job for each value of a parameter; `started` are those that the very request made."""

    backfill_id: int
    job_id: int | None = None
    parameter: str | None = None
    max_concurrent: int | None = None
    started: int | None = None
    canceled: int | None = None
    total: int = 0
    states: dict[str, int] = Field(default_factory=dict)
    runs: list[BackfillRun] = Field(default_factory=list)
    created_at: datetime | None = None
    cancel_requested_at: datetime | None = None


class ArtifactVersion(Word):
    version: int
    state: ArtifactState
    size: int
    sha256: str | None = None
    content_type: str | None = None
    run_id: int | None = None
    provenance: JsonObject | None = None
    findings: Any = None
    gone: JsonObject | None = None
    created_at: datetime | None = None


class Artifact(Word):
    """`versions` are the newest hundred; `next` is where older ones follow."""

    artifact_id: str
    name: str
    kind: str
    description: str | None = None
    classification: str = "confidential"
    aliases: dict[str, int] = Field(default_factory=dict)
    tags: dict[str, str] = Field(default_factory=dict)
    node_id: str | None = None
    versions: list[ArtifactVersion] = Field(default_factory=list)
    next: int | None = None

    def version(self, number: int) -> ArtifactVersion | None:
        return next((it for it in self.versions if it.version == number), None)


class ArtifactSummary(Word):
    """An artifact as lists show it, with its newest version."""

    artifact_id: str
    name: str
    kind: str
    version: int
    state: ArtifactState
    size: int
    sha256: str | None = None
    run_id: int | None = None
    aliases: dict[str, int] = Field(default_factory=dict)
    created_at: datetime | None = None


class Resumable(Word):
    """The right to an upload in parts: where it begins, and what goes with every request."""

    url: str
    headers: dict[str, str] = Field(repr=False)
    metadata: dict[str, str]


class Upload(Word):
    """`upload_url` is None where the tenant has these bytes already."""

    artifact_id: str
    version: int
    state: ArtifactState
    size: int | None = None
    upload_url: str | None = Field(default=None, repr=False)
    resumable: Resumable | None = None


class ArtifactUsage(Word):
    used_bytes: int
    max_stored_bytes: int
    max_artifact_bytes: int
    artifact_retention_days: int | None = None
    contents: int = 0


class Edge(Word):
    origin: str
    destination: str


class Node(Word):
    """A node in Marquez's shape; ids are `dataset:ns:name`, `job:ns:name`, `datasetField:ns:name:field`."""

    id: str
    type: str
    data: JsonObject | None = None
    inEdges: list[Edge] = Field(default_factory=list)
    outEdges: list[Edge] = Field(default_factory=list)


class ColumnEdge(Word):
    """`origin` and `destination` are `namespace:dataset:field`."""

    origin: str
    destination: str
    type: str | None = None
    subtype: str | None = None


class Graph(Word):
    graph: list[Node]
    columns: list[ColumnEdge] = Field(default_factory=list)
    truncated: bool = False
    next: str | None = None


class LineagePath(Word):
    """A shortest way along the flow; `hops` is None and `path` empty where there is none."""

    found: bool
    hops: int | None = None
    path: list[str] = Field(default_factory=list)
    graph: list[Node] = Field(default_factory=list)


class ImpactColumn(Word):
    dataset: str
    field: str
    hops: int


class Impact(Word):
    """What a change of a dataset, or of one of its columns, reaches."""

    node: str
    columns: list[ImpactColumn] = Field(default_factory=list)
    datasets: list[str] = Field(default_factory=list)
    jobs: list[str] = Field(default_factory=list)
    truncated: bool = False


class FlowChange(Word):
    """A flow that came (`run_id`) or went (`by`, `reason`)."""

    source: str
    target: str
    job: str
    at: datetime
    run_id: int | None = None
    by: str | None = None
    reason: str | None = None


class LineageDiff(Word):
    node: str
    added: list[FlowChange] = Field(default_factory=list)
    removed: list[FlowChange] = Field(default_factory=list)
    truncated: bool = False


class MissingFlow(Word):
    """A flow that is owed to the graph: who says that it flows, and since when."""

    witness: str
    source: str | None = None
    target: str | None = None
    job: str | None = None
    run_id: int | None = None
    since: datetime | None = None


class Coverage(Word):
    """Flows that are declared or were seen, and how many the graph knows; None where nothing flows."""

    window_hours: int
    flows: int
    covered: int
    coverage: float | None = None
    witnesses: dict[str, JsonObject] = Field(default_factory=dict)
    missing: list[MissingFlow] = Field(default_factory=list)


class LineageEvent(Word):
    """An OpenLineage event as it came, and what is wrong with its known facets: [{path, message}]."""

    event_id: int
    received_at: datetime
    run_id: int | None = None
    event: JsonObject
    faults: list[JsonObject] = Field(default_factory=list)


class Orphan(Word):
    """A dataset that no live edge touches."""

    node: str
    created_at: datetime
    was_connected: bool = False
    written: bool = False
    read: bool = False


class Violation(Word):
    """A live edge between two tables that breaks a layer rule."""

    rule: str
    source: str = Field(alias="from")
    target: str = Field(alias="to")
    job: str
    run_id: int | None = None
    since: datetime


class Table(Word):
    layer: str
    table: str
    columns: list[JsonObject]
    rows: list[JsonObject]
    row_count: int | None = None


class EntryFound(Word):
    """An entry as a search tells of it; in the snippet the words stand between two stars each."""

    entry_id: int
    collection: str
    key: str
    title: str
    snippet: str = ""
    tags: list[str] = Field(default_factory=list)
    media_type: str = ""
    language: str = ""
    url: str | None = None
    words: int = 0
    classification: str = "internal"
    rank: float | None = None


class Entry(Word):
    entry_id: int
    collection: str
    key: str
    title: str
    body: str
    headings: list[JsonObject] = Field(default_factory=list)
    tags: list[str] = Field(default_factory=list)
    media_type: str = ""
    language: str = ""
    url: str | None = None
    source: JsonObject = Field(default_factory=dict)
    words: int = 0
    sha256: str = ""
    classification: str = "internal"
    published_by_run: int | None = None


class CatalogObject(Word):
    object_id: int
    kind: str
    name: str
    path: list[str] = Field(default_factory=list)
    type: str | None = None
    layer: str | None = None
    owner: str | None = None
    comment: str | None = None
    tags: dict[str, str] = Field(default_factory=dict)
    classification: str = "internal"
    rank: float | None = None
    node: str | None = None
    row_count: int | None = None
    columns: list[JsonObject] = Field(default_factory=list)
    gone_at: datetime | None = None


class Fresh(Word):
    name: str
    status: str
    loaded_at: datetime | None = None
    checked_at: datetime | None = None
    age_seconds: int | None = None
    warn_after: JsonObject | None = None
    error_after: JsonObject | None = None
    inherited: bool = False


class Expectation(Word):
    expectation_id: int
    layer: str
    table: str
    name: str
    kind: str
    action: str
    definition: JsonObject = Field(default_factory=dict)


class Verdict(Word):
    run_id: int
    layer: str
    table: str
    name: str
    action: str
    success: bool
    loaded: int
    failed: int | None = None
    message: str | None = None
    judged_at: datetime | None = None


class Refresh(Word):
    target: str
    run_id: int | None = None
    state: str | None = None
    plan: list[JsonObject] = Field(default_factory=list)


class Rollup(Word):
    table: str
    source: str
    by: list[str] = Field(default_factory=list)
    measures: list[JsonObject] = Field(default_factory=list)
    where: str | None = None
    rows: int | None = None


class Taken(Word):
    """What a sync or an ingest has seen, changed, and found gone."""

    catalogs: dict[str, JsonObject] = Field(default_factory=dict)
    catalog: str | None = None
    seen: int = 0
    changed: int = 0
    gone: int = 0


class Endpoint(Word):
    endpoint_id: str
    url: str
    events: list[str] = Field(default_factory=list)
    max_concurrency: int | None = None
    ordered: bool = False
    merge_progress: bool = False
    ed25519: bool = False
    secret_version: int = 1
    failures: int = 0
    failing_since: datetime | None = None
    open_until: datetime | None = None
    disabled_at: datetime | None = None
    disabled_reason: str | None = None


class Network(Word):
    """A private network that callbacks may reach; `ports` None: the ordinary ones."""

    network_id: int
    cidr: str
    ports: list[int] | None = None
    created_by: str | None = None
    created_at: datetime | None = None


class EndpointSecret(Word):
    endpoint_id: str
    secret: str
    secret_version: int = 1
    public_key: str | None = None


class Delivery(Word):
    delivery_id: int
    event_id: str
    state: str
    type: str | None = None
    run_id: int | None = None
    seq: int | None = None
    endpoint_id: str | None = None
    url: str | None = None
    tries: int = 0
    last_status: int | None = None
    last_error: str | None = None
    next_at: datetime | None = None
    created_at: datetime | None = None
    finished_at: datetime | None = None


class Member(Word):
    """`user_id` is the person's, or `oidc:…` of a trust."""

    user_id: str
    role: str
    tenant_id: str | None = None
    created_at: datetime | None = None


class Invitation(Word):
    """`token` is there once, in the answer to who made it."""

    invitation_id: str
    role: str
    email: str | None = None
    user_id: str | None = None
    token: str | None = Field(default=None, repr=False)
    created_by: str | None = None
    created_at: datetime | None = None
    expires_at: datetime | None = None
    accepted_at: datetime | None = None
    accepted_by: str | None = None
    revoked_at: datetime | None = None


class Trust(Word):
    trust_id: str
    user_id: str
    name: str
    repository: str
    role: str
    issuer: str | None = None
    repository_id: str | None = None
    ref: str | None = None
    environment: str | None = None
    pull_requests: bool = False
    token_seconds: int | None = None
    created_by: str | None = None
    created_at: datetime | None = None
    last_used_at: datetime | None = None


class AccessToken(Word):
    """`token` is there once, in the answer to who made it."""

    token_id: str
    name: str
    role: str
    token: str | None = Field(default=None, repr=False)
    user_id: str | None = None
    created_at: datetime | None = None
    expires_at: datetime | None = None
    last_used_at: datetime | None = None
    revoked_at: datetime | None = None


class ShortToken(Word):
    """A JWT for both doors; `expires_in` seconds are left of it."""

    access_token: str = Field(repr=False)
    token_type: str
    expires_in: int
    expires_at: int
    tenant_id: str | None = None
    user_id: str | None = None
    role: str | None = None


class Identity(Word):
    """Who a token is; `role` is what the membership leaves of what it claims."""

    user_id: str
    tenant_id: str
    role: str | None = None
    kind: str = "jwt"
    expires_at: datetime | None = None


class Slo(Word):
    """The success figures over a window; rates are 0 to 1, None while nothing was measured."""

    window_hours: int
    runs: JsonObject = Field(default_factory=dict)
    success_rate: float | None = None
    success_rate_platform: float | None = None
    mean_execution_ms: float | None = None
    mean_wait_ms: float | None = None
    lineage_coverage: float | None = None
    callback_delivery: float | None = None
    targets: dict[str, float] = Field(default_factory=dict)


class Health(Word):
    status: str
    runners: list[JsonObject] = Field(default_factory=list)
