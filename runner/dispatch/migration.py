"""A schema migration from its files to its report.

files → plan (the parser, in the sandbox) → ledger (what is pending) → linters (in the sandbox)
→ dry run on a copy → apply, file and ledger in one transaction → report, lineage, catalog

Whoever claims an attempt whose runner was killed does the same from the start: what the ledger has is not
done again, and the report, lineage and catalog of the run are made from what is there.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import replace

from runner.dispatch.handover import Handover
from runner.dispatch.intake import Intake
from runner.dispatch.validation import Validation
from runner.dispatch.workspaces import Workspaces
from runner.executor.base import Executor, Reporter
from runner.jobtype.base import ArtifactFile, Collected, Workspace
from runner.jobtype.code_validation.report import Report as Lint
from runner.jobtype.schema_migration import SchemaMigration, flows, plan, report, terms
from runner.jobtype.schema_migration.flows import Traced
from runner.model.attempt import Attempt, Code
from runner.model.errors import Failure, Permanent, Retryable
from runner.model.migration import Done, File, Finding, Level, Plan, Terms, refusals
from runner.model.outcome import Outcome, PermanentFailure, RetryableFailure, Succeeded
from runner.model.termination import TerminationCode
from runner.target.directory import Directory, Target
from runner.target.migration import Migration, Session, Standing, relevant
from runner.target.scratch import Scratch, Unfit

log = logging.getLogger(__name__)

CONTENT_TYPES = {"migration.sarif": "application/sarif+json", "migration.json": "application/json"}


class Migrations:
    """Carries out attempts of `schema_migration` in the runner's own process, with help from the sandbox."""

    def __init__(
        self,
        *,
        sandboxed: Executor,
        job_type: SchemaMigration,
        validation: Validation,
        workspaces: Workspaces,
        intake: Intake,
        handover: Handover,
        targets: Directory,
    ) -> None:
        self._sandboxed = sandboxed
        self._job_type = job_type
        self._validation = validation
        self._workspaces = workspaces
        self._intake = intake
        self._handover = handover
        self._targets = targets

    async def run(self, attempt: Attempt, workspace: Workspace, reporter: Reporter) -> Outcome:
        """See `executor.base.Executor`. `workspace` is nobody's: each step has one of its own."""
        asked = terms(attempt)
        if asked.target not in attempt.targets:
            raise Permanent(
                TerminationCode.NOT_GRANTED,
                f"the tenant was not, or is no longer, granted the target {asked.target[:64]}",
            )
        target = self._targets.find(asked.target)
        read = await self._read(attempt, reporter)
        reporter.progress(10, f"{len(read.files)} files")
        migration = Migration(target, read, asked, lambda line: reporter.log("system", line))
        async with migration.alone() as keeper:
            standing = await migration.standing(keeper)
            findings = [*standing.findings, *_unseen(relevant(read, standing.pending), asked)]
            lint = await self._lint(attempt, standing, reporter) if attempt.params.get("lint", True) else None
            lint_failure = lint.failure if lint else None
            if standing.pending and not lint_failure and not refusals(findings, asked) and asked.dry_run:
                reporter.progress(50, "dry run")
                findings += await self._rehearse(attempt, target, asked, keeper, standing.pending)
            if lint_failure or refusals(findings, asked):
                names = tuple(each.name for each in standing.pending)
                done = Done(already=standing.already, pending=names, before=standing.before.sha256)
            else:
                reporter.progress(70, f"{len(standing.pending)} files to apply")
                done = await migration.apply(keeper, standing)
            done = replace(done, findings=(*findings, *done.findings))
        traced = await self._trace(attempt, asked, read, done, reporter)
        said = f"{len(done.applied)} files applied, {len(done.already)} before, {len(done.pending)} wait"
        reporter.log("system", said)
        return await self._hand_over(attempt, asked, done, traced, lint)

    async def _read(self, attempt: Attempt, reporter: Reporter) -> Plan:
        async with self._workspaces.open(attempt.key) as workspace:
            asked = replace(attempt, inputs=(), outputs=(), secrets=(), network=False)
            await self._intake.lay_out(asked, workspace)
            command = await asyncio.to_thread(self._job_type.prepare, asked, workspace)
            await self._workspaces.hand_over(workspace)
            outcome = await self._sandboxed.run(asked, replace(workspace, command=command), reporter)
            match outcome:
                case Succeeded():
                    return await asyncio.to_thread(plan.read, workspace)
                case PermanentFailure() | RetryableFailure() if (
                    outcome.code is TerminationCode.USER_CODE_FAILED
                ):
                    raise await asyncio.to_thread(plan.explain, workspace, outcome.usage.exit_code or 1)
                case RetryableFailure():
                    raise Retryable(outcome.code, outcome.message)
                case _:
                    code = getattr(outcome, "code", TerminationCode.DEADLINE_EXCEEDED)
                    raise Permanent(code, outcome.message)

    async def _lint(self, attempt: Attempt, standing: Standing, reporter: Reporter) -> Lint | None:
        """What the linters say about what is pending: what was applied long ago is nobody's to mend."""
        files = {each.name: "\n".join(f"{s.text};" for s in each.statements) for each in standing.pending}
        if attempt.code is not None and attempt.code.files is not None:
            files = {name: attempt.code.files.get(name, text) for name, text in files.items()}
        if not files:
            return None
        asked = {"tests": "off", **({"fail_on": fail} if (fail := attempt.params.get("fail_on")) else {})}
        return await self._validation.validate(attempt, Code(files=files), asked, reporter)

    async def _rehearse(
        self, attempt: Attempt, target: Target, asked: Terms, keeper: Session, files: tuple[File, ...]
    ) -> list[Finding]:
        async with self._workspaces.open(attempt.key) as workspace:
            try:
                return await Scratch(target, asked, workspace.kept).rehearse(keeper, files)
            except Unfit as error:
                said = f"{error}; or say params.dry_run false"
                return [Finding("no-dry-run", Level.ERROR, said, files[0].name)]

    async def _trace(
        self, attempt: Attempt, asked: Terms, read: Plan, done: Done, reporter: Reporter
    ) -> Traced:
        """Where values come from. Lineage never costs a migration that is applied already."""
        if done.shape is None:
            return Traced()
        mine = {e.file for e in (*done.applied, *done.already) if e.run_id == asked.run_id}
        async with self._workspaces.open(attempt.key) as workspace:
            files = [each for each in read.files if each.name in mine]
            if not await asyncio.to_thread(flows.ask, workspace, done.shape, files):
                return Traced()
            command = await asyncio.to_thread(self._job_type.trace, workspace)
            await self._workspaces.hand_over(workspace)
            harmless = replace(attempt, inputs=(), outputs=(), secrets=(), network=False)
            try:
                await self._sandboxed.run(harmless, replace(workspace, command=command), reporter)
                return await asyncio.to_thread(flows.read, workspace, done.shape)
            except (ValueError, Failure) as error:
                log.warning("not_traced", extra={"attempt_id": attempt.attempt_id, "reason": str(error)})
                return Traced()

    async def _hand_over(
        self, attempt: Attempt, asked: Terms, done: Done, traced: Traced, lint: Lint | None
    ) -> Outcome:
        made = report.make(asked, done, lint.sarif if lint else None, lint.failure if lint else None)
        async with self._workspaces.open(attempt.key) as workspace:
            for name, data in made.files.items():
                await asyncio.to_thread((workspace.outputs / name).write_bytes, data)
            collected = Collected(
                artifacts=tuple(
                    ArtifactFile(
                        name=name, path=f"outputs/{name}", kind="report", content_type=CONTENT_TYPES[name]
                    )
                    for name in made.files
                ),
                lineage=report.lineage(attempt, asked, done, traced),
                catalog=report.catalog(asked, done),
                values=made.values,
                failure=made.failure,
            )
            return await self._handover.deliver(attempt, workspace, collected, Succeeded())


def _unseen(read: Plan, asked: Terms) -> list[Finding]:
    """What the parser has against the files. Without a dry run a change of type counts as a narrowing."""
    if asked.dry_run:
        return list(read.findings)
    return [
        replace(
            each,
            rule="narrow-type",
            level=Level.ERROR,
            message=f"{each.message}, and there is no dry run to tell how",
        )
        if each.rule == "changes-type"
        else each
        for each in read.findings
    ]
