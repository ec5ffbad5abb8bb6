"""What happens in the demo, scene by scene; every claim is checked where it is shown."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from rich.text import Text

from control_room import picture
from control_room.async_client import AsyncClient
from control_room.client import Client
from control_room.errors import ControlRoomError
from control_room.flow import Flow
from control_room.model import ArtifactSummary, Event, Run
from control_room.view import figures, theme
from control_room.view import lineage as lineage_view
from control_room.view import run as run_view
from control_room.watch import Watch
from dev.demo import author, exhibit, surroundings
from dev.demo.receiver import Message, Receiver
from dev.demo.stage import INDENT, Stage
from dev.demo.surroundings import Surroundings
from dev.stack.state import CLONE

#: Real Spark takes its time to start, the more so on a busy machine.
RUN_SECONDS, CALLBACK_SECONDS = 900.0, 30.0
ROWS_SHOWN = 10


@dataclass(frozen=True)
class Wishes:
    engine: str
    tenant: str
    out: Path
    generate: bool = False


class Story:
    """One telling, on one running stack, with one receiver."""

    def __init__(self, stage: Stage, below: Surroundings, receiver: Receiver, wishes: Wishes) -> None:
        self.stage = stage
        self.below = below
        self.receiver = receiver
        self.wishes = wishes
        self._endpoint: str | None = None
        self._open_run: int | None = None

    def tell(self, operator: Client, admin: Client) -> None:
        try:
            self._tell(operator, admin)
        finally:
            self._clear_up(operator, admin)

    def _tell(self, operator: Client, admin: Client) -> None:
        with self.stage.scene("Public data becomes artifacts"):
            inputs = self._upload(operator)
            self._introduce(admin)
        with self.stage.scene("A spec and a PySpark job go in by the door"):
            run = self._run(operator, "flights", exhibit.SPEC, "job.py", inputs)
        with self.stage.scene(exhibit.QUESTION):
            self._answer(operator, run)
        with self.stage.scene("Where it comes from, as it really ran"):
            self._lineage(operator, run, inputs)
        with self.stage.scene("What it left behind"):
            self._artifacts(operator, run)
        with self.stage.scene("What was announced"):
            self._callbacks(operator, run, "run.completed")
        with self.stage.scene("A job that fails"):
            self._failure(operator, inputs)
        with self.stage.scene("How well all that goes"):
            self._figures(operator)

    def _clear_up(self, operator: Client, admin: Client) -> None:
        """However it ended: no run goes on unseen, and nothing is owed to a receiver that is gone."""
        with contextlib.suppress(ControlRoomError):
            if self._open_run is not None:
                operator.runs.cancel(self._open_run)
        with contextlib.suppress(ControlRoomError):
            if self._endpoint is not None:
                admin.endpoints.delete(self._endpoint)

    # ---------------------------------------------------------------------------------------------- before

    def _upload(self, client: Client) -> dict[str, ArtifactSummary]:
        files = exhibit.fetch()
        made = {name: client.artifacts.put(path, kind="data") for name, path in files.items()}
        self.stage.show(run_view.artifacts(list(made.values())))
        kept = all(
            it.state == "READY" and it.sha256 == hashlib.sha256(files[name].read_bytes()).hexdigest()
            for name, it in made.items()
        )
        self.stage.check("the files are artifacts, checked by the runner", bool(made) and kept)
        return made

    def _introduce(self, admin: Client) -> None:
        """An endpoint that only runs that name it speak to; its secret is for the receiver."""
        endpoint = admin.endpoints.create(self.receiver.url, events=[], description="the demo's receiver")
        self._endpoint = endpoint.endpoint_id
        self.receiver.trust(admin.endpoints.secret(endpoint.endpoint_id).secret)

    # ------------------------------------------------------------------------------------------------- run

    def _run(
        self, client: Client, name: str, spec: str, file: str, inputs: Mapping[str, ArtifactSummary]
    ) -> Run:
        url = self.receiver.url
        failing = file != "job.py"
        written = self.wishes.generate and not failing
        submitted = client.run(
            job_type="spark_etl",
            engine=self.wishes.engine,
            name=name,
            spec=spec,
            **({} if written else {"code": exhibit.code(file)}),
            inputs=[{"name": key, "artifact_id": it.artifact_id} for key, it in inputs.items()],
            outputs=exhibit.outputs(),
            callbacks={"on_complete": url, "on_fail": url, "on_progress": url},
            **({"max_retries": 0} if failing else {}),
        )
        self.stage.say(Text(spec, style="italic quiet"))
        self.stage.say(
            Text.assemble(
                ("POST /functions/v1/api/v1/jobs/run", "quiet"),
                "  →  ",
                (f"run {submitted.run_id} {submitted.state}", "name"),
            )
        )
        self._open_run = submitted.run_id
        run = asyncio.run(self._watch(submitted.run_id))
        self._open_run = None
        if not failing:
            self.stage.check(
                "the run SUCCEEDED", run.succeeded, f"{run.state} {run.termination_message or ''}"
            )
        if written:
            self._loop(run)
        return run

    def _loop(self, run: Run) -> None:
        """What was written, judged, mended and judged again before it ran."""
        tried = {it.task_key: [attempt.state for attempt in it.attempts] for it in run.tasks}
        table = theme.table("task", "attempts", "says")
        for it in run.tasks:
            said = it.values.get("tokens") or it.values.get("verdict") or it.values.get("rows") or ""
            table.add_row(it.task_key, " → ".join(tried[it.task_key]), str(said))
        self.stage.show(table)
        self.stage.check(
            "what the model wrote was refused, mended, passed, and only then executed",
            tried
            == {"generate": ["SUCCEEDED"] * 2, "validate": ["FAILED", "SUCCEEDED"], "execute": ["SUCCEEDED"]},
            str(tried),
        )

    async def _watch(self, run_id: int) -> Run:
        token = self.below.token("operator")
        async with AsyncClient(self.below.url, self.below.anon_key, token) as client:
            watch = Watch(self.stage.console, follow=True, indent=INDENT)
            return await watch.wait(client, run_id, RUN_SECONDS)

    # ---------------------------------------------------------------------------------------------- results

    def _answer(self, client: Client, run: Run) -> None:
        table = client.tables.read(exhibit.GOLD.layer, exhibit.GOLD.name, limit=1000)
        ordered = sorted(table.rows, key=lambda row: row.get(exhibit.ORDER) or 0)
        self.stage.show(figures.rows(table.model_copy(update={"rows": ordered[:ROWS_SHOWN]})))
        if len(table.rows) > ROWS_SHOWN:
            self.stage.say(f"and {len(table.rows) - ROWS_SHOWN} more", style="quiet")
        published = {f"{it.layer}.{it.table}": it.rows or 0 for it in run.tables}
        wanted = {it.full for it in exhibit.TABLES}
        missing = sorted(name for name in wanted if not published.get(name))
        self.stage.check("bronze, silver and gold hold rows", not missing, f"none in {', '.join(missing)}")
        self.stage.check("the gold table answers", bool(table.rows))

    def _lineage(self, client: Client, run: Run, inputs: Mapping[str, ArtifactSummary]) -> None:
        graph = client.lineage.of_run(run.run_id)
        flow = Flow.of(graph)
        gold = next((it for it in flow.datasets.values() if it.name == exhibit.GOLD.full), None)
        if gold is None:
            self.stage.check("lineage knows the gold table", good=False)
            return
        self.stage.show(lineage_view.tree(flow, gold.id))
        self.wishes.out.mkdir(parents=True, exist_ok=True)
        target = self.wishes.out / "lineage.svg"
        target.write_text(picture.draw(flow, "svg"), encoding="utf-8")
        self.stage.gap()
        self.stage.say(Text.assemble("picture  ", (_shown(target), "name")))
        behind = {flow.datasets[it].name for it in flow.sources_of(gold.id)}
        wanted = {it.name for it in inputs.values()}
        self.stage.check(
            "from gold back to every input",
            wanted <= behind,
            f"no way to {', '.join(sorted(wanted - behind))}",
        )
        files = {it.id for it in flow.datasets.values() if it.name in wanted}
        traced = [
            column.name
            for column in gold.columns
            if any(source in files for source, _ in flow.roots_of(gold.id, column.name, indirect=True))
        ]
        untraced = [it.name for it in gold.columns if it.name not in traced]
        if untraced:
            self.stage.say(f"not made of a column: {', '.join(untraced)}", style="quiet")
        self.stage.check("columns are traced back to columns of the files", bool(traced))

    def _artifacts(self, client: Client, run: Run) -> None:
        self.stage.show(run_view.artifacts(run.artifacts))
        self.wishes.out.mkdir(parents=True, exist_ok=True)
        good = bool(run.artifacts)
        for it in run.artifacts:
            target = self.wishes.out / Path(it.name).name
            sha256 = client.artifacts.download(it.artifact_id, target, version=it.version)
            good = good and it.state == "READY" and sha256 == it.sha256
            self.stage.say(Text.assemble("downloaded  ", (_shown(target), "name")))
        self.stage.check("artifacts are READY and come back byte for byte", good)

    # -------------------------------------------------------------------------------------------- callbacks

    def _callbacks(self, client: Client, run: Run, ending: str) -> list[Message]:
        """Waits for what the run announced; every event must have come, verified, without a hole."""
        events = client.runs.events(run.run_id, limit=1000).items
        came = self.receiver.wait_for(
            lambda it: {m.event_id for m in it.messages(run.run_id)} >= {e.event_id for e in events},
            CALLBACK_SECONDS,
        )
        messages = self.receiver.messages(run.run_id)
        self._list(events, messages)
        seqs = [it.seq for it in messages]
        self.stage.check(
            "every event arrived, verified by the official library",
            came and bool(messages) and not any(not it.verified for it in self.receiver.messages()),
            f"{len(messages)} of {len(events)}",
        )
        self.stage.check("numbered without a hole", seqs == list(range(1, len(seqs) + 1)), str(seqs))
        endings = [it.type for it in messages if it.type in {"run.completed", "run.failed"}]
        self.stage.check(f"{ending}, once", endings == [ending], ", ".join(endings) or "none")
        return messages

    def _list(self, events: list[Event], messages: list[Message]) -> None:
        verified = {it.event_id for it in messages if it.verified}
        table = theme.table("seq", "event", "says", "webhook-id", "signature", right=("seq",))
        for it in events:
            percent = it.data.get("percent")
            told = (
                f"{percent} %  {it.data.get('message') or ''}"
                if percent is not None
                else it.data.get("state")
            )
            good = it.event_id in verified
            table.add_row(
                str(it.seq),
                it.type,
                str(told or ""),
                Text(f"{it.event_id[:16]}…", style="quiet"),
                Text("✓ verified" if good else "✗ missing", style="good" if good else "bad"),
            )
        self.stage.show(table)

    # ------------------------------------------------------------------------------------------------ after

    def _failure(self, client: Client, inputs: Mapping[str, ArtifactSummary]) -> None:
        run = self._run(client, "flights_failing", exhibit.FAILING_SPEC, "failing_job.py", inputs)
        self.stage.show(run_view.headline(run))
        message = (run.termination_message or "").strip()
        self.stage.show(Text(message, style="bad"))
        self.stage.check(
            "it FAILED by its own code", _failed_by_user(run), f"{run.state} {run.termination_code}"
        )
        self.stage.check("and says why", bool(message))
        self._callbacks(client, run, "run.failed")

    def _figures(self, client: Client) -> None:
        self.stage.show(figures.slo(client.slo()))


def play(stage: Stage, wishes: Wishes, *, keep: bool) -> None:
    """The whole demo. What goes wrong becomes a failed check; the stack ends as it was found."""
    below: Surroundings | None = None
    writes = contextlib.ExitStack()
    if wishes.generate:
        writes.enter_context(author.at_work())
    stage.open("Control Room", "one run, from the door to the announcement")
    try:
        with stage.scene("The local stack: Postgres, gateway, edge functions, runner"):
            below = surroundings.up(wishes.tenant, lambda line: stage.say(line, style="quiet"))
            if wishes.generate:
                author.grant(wishes.tenant)
        with Receiver() as receiver, below.client("operator") as operator, below.client("admin") as admin:
            Story(stage, below, receiver, wishes).tell(operator, admin)
    except ControlRoomError as error:
        stage.complain(error)
        for line in surroundings.complaints_of_runner() if below is not None else ():
            stage.say(line, style="quiet")
    finally:
        if not keep and below is not None and not below.was_up:
            stage.gap()
            surroundings.down(lambda line: stage.say(line, style="quiet"))
        writes.close()


def _failed_by_user(run: Run) -> bool:
    return run.state == "FAILED" and run.termination_code == "USER_CODE_FAILED"


def _shown(path: Path) -> str:
    return str(path.relative_to(CLONE)) if path.is_relative_to(CLONE) else str(path)
