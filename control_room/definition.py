"""A job as it is written in a file: the form that editors complete and `control-room apply` reads.

The server's `job.check_definition` has the last word; what can be known without it (names, kinds, ranges) is
said here, all of it at once and with its place. `schema()` is the same as JSON Schema. What differs from the
wire: `code` may name files beside the document, and `run_job` names a job.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Discriminator, Field, Tag

from control_room.model import JsonObject

JobType = Literal[
    "spark_etl", "diagram_export", "schema_migration", "kb_catalog", "code_validation", "code_generation"
]
Layer = Literal["bronze", "silver", "gold"]
Kind = Literal["code", "sql", "diagram", "notebook", "report", "log", "data"]
RunIf = Literal[
    "ALL_SUCCESS", "ALL_DONE", "NONE_FAILED", "AT_LEAST_ONE_SUCCESS", "ALL_FAILED", "AT_LEAST_ONE_FAILED"
]
Op = Literal[
    "EQUAL_TO", "NOT_EQUAL", "GREATER_THAN", "GREATER_THAN_OR_EQUAL", "LESS_THAN", "LESS_THAN_OR_EQUAL"
]
JobName = Annotated[
    str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._ -]{0,127}$", description="Unique in the tenant.")
]
TaskKey = Annotated[str, Field(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_-]{0,99}$")]
PlainName = Annotated[str, Field(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}$")]
Params = Annotated[JsonObject, Field(description="May hold {{references}}: docs/jobs.md.")]


class Form(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


def _code_form(it: Any) -> str:
    if isinstance(it, str):
        return "<path>"
    if isinstance(it, list):
        return "<paths>"
    return "<stored>" if isinstance(it, dict) and "artifact_id" in it else "<files>"


def _task_kind(it: Any) -> str:
    """As job.kind_of has it."""
    found = [word for word in ("condition", "for_each", "run_job") if isinstance(it, dict) and word in it]
    return f"<{found[0]}>" if found else "<work>"


class Files(Form):
    files: Annotated[dict[str, str], Field(min_length=1, description="Name to text.")]


class Stored(Form):
    artifact_id: str
    version: Annotated[int, Field(ge=1)] | None = None


Path = Annotated[str, Field(min_length=1, description="A file or folder, from this document's folder.")]
Code = Annotated[
    Annotated[Path, Tag("<path>")]
    | Annotated[Annotated[list[Path], Field(min_length=1)], Tag("<paths>")]
    | Annotated[Files, Tag("<files>")]
    | Annotated[Stored, Tag("<stored>")],
    Discriminator(_code_form),
]


class Read(Form):
    fields: list[str] | None = None
    domain: list[Any] | None = None
    after: str | None = None
    watermark: str | None = None
    overlap_seconds: Annotated[int, Field(ge=0, le=604_800)] | None = None
    limit: Annotated[int, Field(ge=1, le=100_000_000)] | None = None


class Input(Form):
    """Exactly one of artifact_id, table, uri."""

    name: PlainName
    artifact_id: str | None = None
    version: Annotated[int, Field(ge=1)] | None = None
    table: Annotated[str, Field(pattern=r"^(bronze|silver|gold)\.[a-z_][a-z0-9_]{0,62}$")] | None = None
    uri: Annotated[str, Field(pattern=r"^(odoo|postgres)://", examples=["odoo://erp/res.partner"])] | None = (
        None
    )
    read: Read | None = None


class Output(Form):
    name: PlainName
    layer: Layer | None = None
    table: Annotated[str, Field(pattern=r"^[a-z_][a-z0-9_]{0,62}$")] | None = None
    kind: Kind | None = None
    mode: Literal["overwrite", "append", "merge"] | None = None
    key: Annotated[list[str], Field(min_length=1, max_length=32)] | None = None


class Generation(Form):
    model: str | None = None
    repair_rounds: Annotated[int, Field(ge=0, le=5)] | None = None


class Validation(Form):
    fail_on: Any = None
    accept_unchecked: Any = None
    suppressions: Any = None
    tests: Any = None
    sql_dialect: Any = None
    odoo: Any = None


class Dependency(Form):
    task_key: TaskKey
    outcome: Annotated[Literal["true", "false"], Field(description="Of a condition.")] | None = None


class Place(Form):
    """What a task has whatever its kind."""

    task_key: TaskKey = "execute"
    depends_on: (
        Annotated[
            list[
                Annotated[
                    Annotated[TaskKey, Tag("<key>")] | Annotated[Dependency, Tag("<dependency>")],
                    Discriminator(lambda it: "<key>" if isinstance(it, str) else "<dependency>"),
                ]
            ],
            Field(max_length=1000),
        ]
        | None
    ) = None
    run_if: RunIf | None = None


class Work(Form):
    """Executed by a runner, in a sandbox."""

    job_type: JobType
    engine: Annotated[str, Field(description="spark_etl: duckdb (default) or spark.")] | None = None
    spec: (
        Annotated[
            str,
            Field(
                min_length=3,
                max_length=20_000,
                description="What it is for, in a sentence or more; @FILE reads it. The docstring of the "
                "code's files unless given.",
            ),
        ]
        | None
    ) = None
    code: Code | None = None
    params: Params | None = None
    inputs: Annotated[list[Input], Field(max_length=100)] | None = None
    outputs: Annotated[list[Output], Field(max_length=100)] | None = None
    secrets: (
        Annotated[
            list[Annotated[str, Field(pattern=r"^[A-Z_][A-Z0-9_]{0,127}$")]],
            Field(max_length=50, description="Names granted to the tenant, never values."),
        ]
        | None
    ) = None
    network: bool | None = None
    image: Annotated[str, Field(max_length=512, description="registry/name@sha256:…")] | None = None
    executors: Annotated[int, Field(ge=1, le=100, description="Of Spark, each in a pod.")] | None = None
    timeout_seconds: Annotated[int, Field(ge=1, le=86_400)] | None = None
    max_retries: Annotated[int, Field(ge=0, le=10)] | None = None
    retry_on_timeout: bool | None = None
    min_retry_interval_ms: Annotated[int, Field(ge=0, le=3_600_000)] | None = None
    generation: Generation | None = None
    validation: Validation | None = None


class Comparison(Form):
    op: Op
    left: str | int | float | bool
    right: str | int | float | bool


class NamedJob(Form):
    job: JobName
    params: Params | None = None


class NumberedJob(Form):
    """Only within one tenant."""

    job_id: Annotated[int, Field(ge=1)]
    params: Params | None = None


StartedJob = Annotated[
    Annotated[NamedJob, Tag("<named>")] | Annotated[NumberedJob, Tag("<numbered>")],
    Discriminator(lambda it: "<numbered>" if isinstance(it, dict) and "job_id" in it else "<named>"),
]


class Loop(Form):
    inputs: Annotated[
        Annotated[list[Any], Field(max_length=1000), Tag("<list>")]
        | Annotated[str, Field(pattern=r"^\{\{[^{}]*\}\}$"), Tag("<reference>")],
        Discriminator(lambda it: "<reference>" if isinstance(it, str) else "<list>"),
    ]
    concurrency: Annotated[int, Field(ge=1, le=100)] | None = None


class WorkTask(Place, Work):
    pass


class ConditionTask(Place):
    condition: Comparison


class RunJob(Form):
    run_job: StartedJob


class RunJobTask(Place, RunJob):
    pass


class ForEachTask(Place):
    for_each: Loop
    task: Annotated[
        Annotated[Work, Tag("<work>")] | Annotated[RunJob, Tag("<run_job>")],
        Discriminator(lambda it: "<run_job>" if isinstance(it, dict) and "run_job" in it else "<work>"),
    ]


Task = Annotated[
    Annotated[WorkTask, Tag("<work>")]
    | Annotated[ConditionTask, Tag("<condition>")]
    | Annotated[ForEachTask, Tag("<for_each>")]
    | Annotated[RunJobTask, Tag("<run_job>")],
    Discriminator(_task_kind),
]


Paused = Annotated[bool, Field(description="Left as it is unless said.")]


class Schedule(Form):
    cron: Annotated[str, Field(max_length=200, examples=["0 5 * * 1-5", "@daily"])]
    timezone: Annotated[str, Field(examples=["Europe/Berlin"])] | None = None
    missed: Literal["skip", "once", "all"] | None = None
    paused: Paused | None = None


class Periodic(Form):
    every_seconds: Annotated[int, Field(ge=10, le=31_536_000)]
    paused: Paused | None = None


class Trigger(Form):
    datasets: Annotated[list[str], Field(min_length=1, max_length=100, examples=[["gold.orders"]])]
    debounce_seconds: Annotated[int, Field(ge=0, le=86_400)] | None = None
    max_wait_seconds: Annotated[int, Field(ge=0, le=604_800)] | None = None
    paused: Paused | None = None


class Callbacks(Form):
    on_complete: str | None = None
    on_fail: str | None = None
    on_progress: str | None = None


class Queue(Form):
    enabled: Annotated[bool, Field(description="false: a run that is one too many is skipped.")] | None = None


class JobForm(Form):
    """A job; its fields stand in the order in which a document is written."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, title="Job")

    name: JobName
    description: str | None = None
    tags: dict[str, Any] | None = None
    schedule: Schedule | None = None
    periodic: Periodic | None = None
    trigger: Trigger | None = None
    parameters: Params | None = None
    callbacks: Callbacks | None = None
    priority: Annotated[int, Field(ge=-100, le=100)] | None = None
    max_concurrent_runs: Annotated[int, Field(ge=1, le=1000)] | None = None
    queue: Queue | None = None
    run_timeout_seconds: Annotated[int, Field(ge=1, le=2_592_000)] | None = None
    tasks: Annotated[list[Task], Field(min_length=1, max_length=1000)]


class JobsForm(Form):
    """Several jobs, and whose they are."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, title="Jobs")

    source: (
        Annotated[
            str,
            Field(
                pattern=r"^[A-Za-z0-9][A-Za-z0-9._/-]{0,127}$",
                description="Who owns these jobs, e.g. the repository: only it changes and prunes them.",
            ),
        ]
        | None
    ) = None
    jobs: list[JobForm]


def schema() -> JsonObject:
    """JSON Schema (2020-12) of a document: one job, or several."""
    job, jobs = JobForm.model_json_schema(), JobsForm.model_json_schema()
    shared = {**job.pop("$defs"), **jobs.pop("$defs")}
    shared["JobForm"] = job
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Jobs of Control Room",
        "if": {"required": ["jobs"]},
        "then": jobs,
        "else": {"$ref": "#/$defs/JobForm"},
        "$defs": dict(sorted(shared.items())),
    }
