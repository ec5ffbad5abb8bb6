"""The blocking client.

    with control_room.Client(url, anon_key, token) as client:
        submitted = client.run(job_type="spark_etl", spec="…", code={"files": {"job.py": source}})
        run = client.runs.wait(submitted.run_id)

Every method raises ApiError where the server refuses and Unreachable where none answers: see
control_room.errors.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

import httpx

from control_room import model
from control_room.difference import Difference
from control_room.envelope import CONNECT_TIMEOUT, READ_TIMEOUT, Envelope
from control_room.errors import ApiError, TransferDamaged, Unreachable
from control_room.feed import PATIENCE, RECONNECT_SECONDS, Feed
from control_room.identity import Invitations, Members, Tokens, Trusts
from control_room.operation import Operation, Pause, Reply, Request, Step
from control_room.operations import (
    artifacts,
    callbacks,
    catalog,
    entries,
    figures,
    jobs,
    lineage,
    runs,
    session,
    tables,
)
from control_room.preview import Preview

T = TypeVar("T")

_RESUME = "the run goes on; follow it again"


class _Transport:
    """One connection pool; performs operations."""

    def __init__(self, envelope: Envelope, http: httpx.Client) -> None:
        self.envelope = envelope
        self.http = http

    def perform(self, operation: Operation[T]) -> T:
        try:
            step: Step = next(operation)
            while True:
                step = operation.send(self._take(step))
        except StopIteration as end:
            result: T = end.value
            return result

    def _take(self, step: Step) -> Reply:
        if isinstance(step, Pause):
            time.sleep(step.seconds)
            return None
        try:
            return self.http.request(**self.envelope.request(step))
        except httpx.TransportError as error:
            return error


class Runs:
    def __init__(self, transport: _Transport) -> None:
        self._transport = transport

    def submit(self, submission: Mapping[str, Any]) -> model.Submitted:
        return self._transport.perform(runs.submit(submission))

    def get(self, run_id: int) -> model.Run:
        return self._transport.perform(runs.get(run_id))

    def list(
        self,
        *,
        state: model.State | None = None,
        job_id: int | None = None,
        job_type: str | None = None,
        limit: int | None = None,
        cursor: str | int | None = None,
    ) -> model.Page[model.RunSummary]:
        return self._transport.perform(runs.list_(state, job_id, job_type, limit, cursor))

    def cancel(self, run_id: int) -> model.Run:
        return self._transport.perform(runs.cancel(run_id))

    def repair(
        self,
        run_id: int,
        *,
        tasks: Sequence[str] | None = None,
        dependents: bool | None = None,
        params: Mapping[str, Any] | None = None,
    ) -> model.Repair:
        """Does `tasks`, or all that did not succeed, again in the same run, and what comes after them."""
        asked = {"rerun_tasks": tasks, "rerun_dependents": dependents, "params": params}
        return self._transport.perform(runs.repair(run_id, **asked))

    def rerun(self, run_id: int, *, from_task: str | None = None) -> model.Submitted:
        """A new run of the same version with the same parameters, whole or from a task on."""
        return self._transport.perform(runs.rerun(run_id, from_task))

    def wait(
        self,
        run_id: int,
        *,
        timeout: float | None = None,
        on_change: Callable[[model.Run], None] | None = None,
    ) -> model.Run:
        """Returns when the run has ended, however it ended. Raises NotInTime after `timeout` seconds."""
        return self._transport.perform(runs.wait(run_id, timeout, on_change))

    def logs(
        self, run_id: int, *, after: int = 0, limit: int | None = None, task_key: str | None = None
    ) -> Sequence[model.LogLine]:
        return self._transport.perform(runs.logs(run_id, after, limit, task_key))

    def follow(self, run_id: int, *, after: int = 0, task_key: str | None = None) -> Iterator[model.LogLine]:
        """Lines as they are written, until the run has ended; reconnects by itself."""
        feed = Feed(run_id, after, task_key)
        while not feed.ended:
            before = feed.after
            try:
                with self._transport.http.stream(
                    **self._transport.envelope.request(feed.request())
                ) as response:
                    if response.status_code == 204:
                        return
                    if not response.is_success:
                        response.read()
                        raise ApiError.of(response.status_code, response.text, response.reason_phrase)
                    for line in response.iter_lines():
                        found = feed.read(line)
                        if found is not None:
                            yield found
                if feed.after == before and not feed.ended:
                    time.sleep(RECONNECT_SECONDS)
            except httpx.TransportError as error:
                feed.fruitless += 1
                if feed.fruitless >= PATIENCE:
                    raise Unreachable(f"the log of run {run_id} broke off: {error}", _RESUME) from error
                time.sleep(RECONNECT_SECONDS)

    def events(self, run_id: int, *, after: int = 0, limit: int | None = None) -> model.Page[model.Event]:
        return self._transport.perform(runs.events(run_id, after, limit))


class Jobs:
    def __init__(self, transport: _Transport) -> None:
        self._transport = transport

    def create(self, definition: Mapping[str, Any]) -> model.Job:
        return self._transport.perform(jobs.create(definition))

    def update(self, job_id: int, changes: Mapping[str, Any]) -> model.Job:
        return self._transport.perform(jobs.update(job_id, changes))

    def apply(
        self,
        definitions: Sequence[Mapping[str, Any]],
        *,
        source: str | None = None,
        prune: bool = False,
        adopt: bool = False,
        dry_run: bool = False,
    ) -> model.Applied:
        """Makes the jobs so as they are defined, all of them or none; `source` owns them from then on.

        `prune` deletes what the source has applied before and sends no more; `dry_run` only tells.
        """
        how = {"source": source, "prune": prune, "adopt": adopt, "dry_run": dry_run}
        return self._transport.perform(jobs.apply(definitions, **how))

    def get(self, job_id: int) -> model.Job:
        return self._transport.perform(jobs.get(job_id))

    def list(
        self, *, name: str | None = None, limit: int | None = None, cursor: str | int | None = None
    ) -> model.Page[model.Job]:
        return self._transport.perform(jobs.list_(name, limit, cursor))

    def delete(self, job_id: int) -> None:
        self._transport.perform(jobs.delete(job_id))

    def pause(self, job_id: int) -> model.Paused:
        return self._transport.perform(jobs.pause(job_id))

    def resume(self, job_id: int) -> model.Paused:
        return self._transport.perform(jobs.resume(job_id))

    def schedule(self, job_id: int, *, count: int | None = None) -> model.Clock:
        return self._transport.perform(jobs.schedule(job_id, count))

    def backfill(
        self,
        job_id: int,
        parameter: str,
        *,
        values: Sequence[Any] | None = None,
        range: Mapping[str, Any] | None = None,
        params: Mapping[str, Any] | None = None,
        max_concurrent: int | None = None,
    ) -> model.Backfill:
        """One run for each value, or each of `range` {from, to, step}. Asked twice, each is run once."""
        asked = {"values": values, "range": range, "params": params, "max_concurrent": max_concurrent}
        return self._transport.perform(jobs.backfill(job_id, parameter, **asked))

    def backfills(
        self, job_id: int, *, limit: int | None = None, cursor: str | int | None = None
    ) -> model.Page[model.Backfill]:
        return self._transport.perform(jobs.backfills(job_id, limit, cursor))

    def get_backfill(self, job_id: int, backfill_id: int) -> model.Backfill:
        return self._transport.perform(jobs.get_backfill(job_id, backfill_id))

    def cancel_backfill(self, job_id: int, backfill_id: int) -> model.Backfill:
        return self._transport.perform(jobs.cancel_backfill(job_id, backfill_id))


class Artifacts:
    def __init__(self, transport: _Transport) -> None:
        self._transport = transport

    def put(
        self,
        source: Path | bytes,
        *,
        name: str | None = None,
        kind: str = "data",
        content_type: str | None = None,
        description: str | None = None,
        classification: str | None = None,
        made_from: Sequence[Mapping[str, Any]] = (),
        reuse: bool = False,
        wait_seconds: float = artifacts.CHECK_SECONDS,
    ) -> model.ArtifactSummary:
        """Uploads a file or bytes and waits until the runner has checked them.

        Raises ArtifactRefused where the check refuses, NotInTime where it does not end.
        """
        chosen, content = artifacts.source(source, name)
        return self._transport.perform(
            artifacts.put(
                content,
                chosen,
                kind,
                content_type,
                description,
                classification=classification,
                made_from=made_from,
                reuse=reuse,
                wait_seconds=wait_seconds,
            )
        )

    def get(self, artifact_id: str) -> model.Artifact:
        return self._transport.perform(artifacts.get(artifact_id))

    def find(self, name_or_id: str) -> model.Artifact:
        return self._transport.perform(artifacts.find(name_or_id))

    def list(
        self,
        *,
        name: str | None = None,
        kind: str | None = None,
        run_id: int | None = None,
        sha256: str | None = None,
        tag: str | None = None,
        limit: int | None = None,
        cursor: str | int | None = None,
    ) -> model.Page[model.ArtifactSummary]:
        """`sha256`: with a version of that digest; `tag`: `key` or `key=value`."""
        return self._transport.perform(
            artifacts.list_(name, kind, run_id, limit, cursor, sha256=sha256, tag=tag)
        )

    def download(self, artifact_id: str, target: Path, *, version: int | str | None = None) -> str:
        """Writes the bytes of a version (a number or an alias) to `target`, checked; returns their sha256.

        Raises TransferDamaged; nothing is left at `target` then.
        """
        known = self.get(artifact_id)
        wanted = artifacts.wanted_version(known, version)
        url = self._transport.perform(artifacts.download_url(artifact_id, wanted.version))
        part = target.with_name(target.name + ".part")
        digest = hashlib.sha256()
        try:
            request = Request("GET", url, headers={"accept": "*/*"}, door="signed", repeatable=True)
            with self._transport.http.stream(**self._transport.envelope.request(request)) as response:
                if not response.is_success:
                    response.read()
                    raise ApiError.of(response.status_code, response.text, response.reason_phrase)
                with part.open("wb") as file:
                    for chunk in response.iter_bytes():
                        digest.update(chunk)
                        file.write(chunk)
            if wanted.sha256 is not None and digest.hexdigest() != wanted.sha256:
                raise TransferDamaged(f"{known.name} arrived damaged", "try again")
            part.replace(target)
        except httpx.TransportError as error:
            raise Unreachable(f"the download of {known.name} broke off: {error}", "try again") from error
        finally:
            part.unlink(missing_ok=True)
        return digest.hexdigest()

    def read(self, name_or_id: str, version: int | str | None = None) -> bytes:
        """The bytes of a version (its number or an alias), checked against the registry."""
        artifact = self.find(name_or_id)
        return (self._transport.perform(artifacts.read(artifact, version)))[1]

    def diff(self, name_or_id: str, old: int | str, new: int | str | None = None) -> Difference:
        """What changed between two versions of a text; `new` is the newest READY one unless given."""
        return self._transport.perform(artifacts.diff(name_or_id, old, new))

    def preview(self, name_or_id: str, version: int | str | None = None) -> Preview:
        """A version of a text, a drawing, a picture or a notebook as one HTML page that can do nothing."""
        return self._transport.perform(artifacts.show(name_or_id, version))

    def update(self, artifact_id: str, **changes: Any) -> model.Artifact:
        """description, classification, tags {key: value | None}, aliases {alias: version | None}.

        {alias: {"version": 3, "was": 2}} moves an alias only from there; else ApiError ALIAS_MOVED.
        """
        return self._transport.perform(artifacts.update(artifact_id, changes))

    def usage(self) -> model.ArtifactUsage:
        return self._transport.perform(artifacts.usage())

    def delete(self, artifact_id: str) -> None:
        self._transport.perform(artifacts.delete(artifact_id))


class Lineage:
    def __init__(self, transport: _Transport) -> None:
        self._transport = transport

    def graph(
        self,
        node: str,
        *,
        direction: model.Direction = "both",
        depth: int = 5,
        as_of: datetime | str | None = None,
        max_nodes: int | None = None,
    ) -> model.Graph:
        """`node` is a node id, or the bare name of a dataset (`gold.delays`)."""
        return self._transport.perform(lineage.graph(self.find(node), direction, depth, as_of, max_nodes))

    def columns(
        self,
        node: str,
        *,
        depth: int = 5,
        direction: model.Direction | None = None,
        as_of: datetime | str | None = None,
    ) -> model.Graph:
        """Upstream, unless `direction` says otherwise."""
        return self._transport.perform(lineage.columns(self.find(node), depth, direction, as_of))

    def path(self, source: str, target: str, *, as_of: datetime | str | None = None) -> model.LineagePath:
        return self._transport.perform(lineage.path(self.find(source), self.find(target), as_of))

    def impact(
        self,
        node: str,
        *,
        column: str | None = None,
        depth: int | None = None,
        as_of: datetime | str | None = None,
    ) -> model.Impact:
        """As far as it goes, unless `depth` says how many hops."""
        return self._transport.perform(lineage.impact(self.find(node), column, as_of, depth))

    def diff(
        self,
        node: str,
        *,
        since: datetime | str,
        until: datetime | str | None = None,
        depth: int | None = None,
        direction: model.Direction | None = None,
    ) -> model.LineageDiff:
        return self._transport.perform(lineage.diff(self.find(node), since, until, depth, direction))

    def coverage(self, *, window_hours: int | None = None, limit: int | None = None) -> model.Coverage:
        """What of what flows the graph lacks: `missing` should be empty."""
        return self._transport.perform(lineage.coverage(window_hours, limit))

    def events(
        self,
        *,
        run_id: int | None = None,
        after: datetime | str | None = None,
        before: datetime | str | None = None,
        faulty: bool | None = None,
        limit: int | None = None,
        cursor: str | int | None = None,
    ) -> model.Page[model.LineageEvent]:
        """As they came, newest first; `faulty`: those with a facet that OpenLineage would not take."""
        narrowed = {"run_id": run_id, "after": after, "before": before, "faulty": faulty}
        return self._transport.perform(lineage.events(narrowed | {"limit": limit, "cursor": cursor}))

    def orphans(
        self, *, limit: int | None = None, cursor: str | int | None = None
    ) -> model.Page[model.Orphan]:
        return self._transport.perform(lineage.orphans(limit, cursor))

    def violations(
        self, *, limit: int | None = None, cursor: str | int | None = None
    ) -> model.Page[model.Violation]:
        return self._transport.perform(lineage.violations(limit, cursor))

    def of_run(self, run_id: int) -> model.Graph:
        return self._transport.perform(lineage.of_run(run_id))

    def find(self, name: str) -> str:
        return self._transport.perform(lineage.find(name, self._transport.envelope.token))

    def ingest(self, events: Sequence[Mapping[str, Any]]) -> model.JsonObject:
        return self._transport.perform(lineage.ingest(events))


class Tables:
    def __init__(self, transport: _Transport) -> None:
        self._transport = transport

    def read(self, layer: str, table: str, *, limit: int = 100) -> model.Table:
        return self._transport.perform(tables.read(layer, table, self._transport.envelope.token, limit))


class Entries:
    def __init__(self, transport: _Transport) -> None:
        self._transport = transport

    def find(
        self,
        words: str | None = None,
        *,
        collection: str | None = None,
        language: str | None = None,
        limit: int | None = None,
        cursor: str | int | None = None,
    ) -> model.Page[model.EntryFound]:
        return self._transport.perform(entries.find(words, collection, language, limit, cursor))

    def get(self, entry_id: int) -> model.Entry:
        return self._transport.perform(entries.get(entry_id))


class Catalog:
    def __init__(self, transport: _Transport) -> None:
        self._transport = transport

    def find(
        self,
        words: str | None = None,
        *,
        kind: str | None = None,
        within: str | None = None,
        layer: str | None = None,
        owner: str | None = None,
        tag: str | None = None,
        classification: str | None = None,
        limit: int | None = None,
        cursor: str | None = None,
    ) -> model.Page[model.CatalogObject]:
        narrowed = {
            "q": words,
            "kind": kind,
            "in": within,
            "layer": layer,
            "owner": owner,
            "tag": tag,
            "classification": classification,
            "limit": limit,
            "cursor": cursor,
        }
        return self._transport.perform(catalog.find(narrowed))

    def get(self, name: str, *, kind: str | None = None) -> model.CatalogObject:
        return self._transport.perform(catalog.get(name, kind))

    def describe(self, name: str, **words: Any) -> model.CatalogObject:
        return self._transport.perform(catalog.describe(name, words))

    def freshness(
        self, within: str | None = None, *, status: str | None = None, limit: int | None = None
    ) -> model.Page[model.Fresh]:
        return self._transport.perform(catalog.freshness({"in": within, "status": status, "limit": limit}))

    def expect(self, expectation: Mapping[str, Any]) -> model.Expectation:
        return self._transport.perform(catalog.expect(expectation))

    def verdicts(
        self,
        *,
        run_id: int | None = None,
        layer: str | None = None,
        table: str | None = None,
        limit: int | None = None,
    ) -> model.Page[model.Verdict]:
        narrowed = {"run_id": run_id, "layer": layer, "table": table, "limit": limit}
        return self._transport.perform(catalog.verdicts(narrowed))

    def refresh(self, target: str, *, force: bool = False, dry_run: bool = False) -> model.Refresh:
        return self._transport.perform(catalog.refresh(target, force=force, dry_run=dry_run))

    def roll_up(self, rollup: Mapping[str, Any]) -> model.Rollup:
        return self._transport.perform(catalog.roll_up(rollup))

    def sync(self) -> model.Taken:
        return self._transport.perform(catalog.sync())

    def ingest(self, document: Mapping[str, Any]) -> model.Taken:
        return self._transport.perform(catalog.ingest(document))


class Endpoints:
    def __init__(self, transport: _Transport) -> None:
        self._transport = transport

    def create(
        self,
        url: str,
        *,
        events: Sequence[str] | None = None,
        description: str | None = None,
        **options: object,
    ) -> model.Endpoint:
        return self._transport.perform(callbacks.create_endpoint(url, events, description, **options))

    def update(self, endpoint_id: str, **changes: object) -> model.Endpoint:
        return self._transport.perform(callbacks.update_endpoint(endpoint_id, **changes))

    def rotate(self, endpoint_id: str, *, revoke: bool = False) -> int:
        return self._transport.perform(callbacks.rotate(endpoint_id, revoke))

    def list(self, *, limit: int | None = None, cursor: str | None = None) -> model.Page[model.Endpoint]:
        return self._transport.perform(callbacks.list_endpoints(limit, cursor))

    def secret(self, endpoint_id: str) -> model.EndpointSecret:
        return self._transport.perform(callbacks.secret(endpoint_id))

    def delete(self, endpoint_id: str) -> None:
        self._transport.perform(callbacks.delete_endpoint(endpoint_id))


class Networks:
    """The private networks that callbacks may reach; admins."""

    def __init__(self, transport: _Transport) -> None:
        self._transport = transport

    def allow(self, cidr: str, *, ports: Sequence[int] | None = None) -> model.Network:
        return self._transport.perform(callbacks.allow_network(cidr, ports))

    def list(self, *, limit: int | None = None, cursor: str | int | None = None) -> model.Page[model.Network]:
        return self._transport.perform(callbacks.list_networks(limit, cursor))

    def close(self, network_id: int) -> None:
        self._transport.perform(callbacks.disallow_network(network_id))


class Deliveries:
    def __init__(self, transport: _Transport) -> None:
        self._transport = transport

    def list(
        self,
        *,
        run_id: int | None = None,
        state: str | None = None,
        endpoint_id: str | None = None,
        limit: int | None = None,
        cursor: str | int | None = None,
    ) -> model.Page[model.Delivery]:
        return self._transport.perform(callbacks.list_deliveries(run_id, state, endpoint_id, limit, cursor))

    def redeliver(self, delivery_id: int) -> model.JsonObject:
        return self._transport.perform(callbacks.redeliver(delivery_id))

    def replay(
        self,
        *,
        since: datetime | str | None = None,
        until: datetime | str | None = None,
        endpoint_id: str | None = None,
        missing: bool = False,
    ) -> int:
        return self._transport.perform(callbacks.replay(since, until, endpoint_id, missing))

    def events(self, *, after: str | None = None, limit: int | None = None) -> model.Page[model.Event]:
        return self._transport.perform(callbacks.list_events(after, limit))


class Client:
    """A tenant's control room over HTTP; `token` is a member's JWT or an access token `cr_…`."""

    def __init__(
        self, url: str, anon_key: str, token: str, *, transport: httpx.BaseTransport | None = None
    ) -> None:
        timeout = httpx.Timeout(READ_TIMEOUT, connect=CONNECT_TIMEOUT)
        http = httpx.Client(timeout=timeout, transport=transport)
        self._transport = _Transport(Envelope(url, anon_key, token), http)
        self.runs = Runs(self._transport)
        self.jobs = Jobs(self._transport)
        self.artifacts = Artifacts(self._transport)
        self.lineage = Lineage(self._transport)
        self.tables = Tables(self._transport)
        self.entries = Entries(self._transport)
        self.catalog = Catalog(self._transport)
        self.endpoints = Endpoints(self._transport)
        self.networks = Networks(self._transport)
        self.deliveries = Deliveries(self._transport)
        self.members = Members(self._transport)
        self.invitations = Invitations(self._transport)
        self.trusts = Trusts(self._transport)
        self.tokens = Tokens(self._transport)

    @classmethod
    def from_environment(cls) -> Self:
        """SUPABASE_URL, SUPABASE_ANON_KEY, CONTROL_ROOM_TOKEN."""
        found = Envelope.of_environment()
        return cls(found.url, found.anon_key, found.token)

    @classmethod
    def from_github_actions(
        cls, tenant: str, *, role: str | None = None, audience: str | None = None
    ) -> Self:
        """SUPABASE_URL, SUPABASE_ANON_KEY, and what GitHub vouches for in a job with `id-token: write`.

        `audience` is that of the control room, which is its URL unless it was set. The client speaks for as
        long as the trust says. Raises ApiError OIDC_NOT_TRUSTED, ControlRoomError outside of a workflow.
        """
        found = Envelope.of_environment(nobody=True)
        with cls(found.url, found.anon_key, found.token) as nobody:
            short = nobody.tokens.of_workflow(tenant, audience or found.url.rstrip("/"), role=role)
        return cls(found.url, found.anon_key, short.access_token)

    def run(self, **submission: Any) -> model.Submitted:
        """Submits a run: job_type, spec, code, params, inputs, outputs, callbacks … or job_id, params."""
        return self.runs.submit(submission)

    def slo(self, *, window_hours: int | None = None) -> model.Slo:
        return self._transport.perform(figures.slo(window_hours))

    def whoami(self) -> model.Identity:
        """Who the token is: asked of the server, so it tells as well whether the token is any good."""
        return self._transport.perform(session.whoami(self._transport.envelope.token))

    def health(self) -> model.Health:
        return self._transport.perform(figures.health())

    def close(self) -> None:
        self._transport.http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
