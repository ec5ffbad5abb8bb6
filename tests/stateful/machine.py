"""People, runners and time as moves of a Hypothesis state machine, against a real database.

Every lease that was ever given out stays in play: most moves of a runner take one from all of them, so stale
verbs are as common as right ones. After each move the laws are asked, and whether the model agrees.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from dev.stack.testbed import Database, Tenant
from tests.doors import Doors, Item, Refused
from tests.stateful import laws, snapshot
from tests.stateful.model import (
    FINAL,
    MAX_LOG_LINES,
    MAX_LOST,
    OUTCOMES,
    RUN_IF,
    Attempt,
    Model,
    Outcome,
    Run,
    Task,
    Ticket,
)

Thing = TypeVar("Thing")

RUNNERS = tuple(f"00000000-0000-4000-8000-00000000000{n}" for n in range(3))
ENGINES = ("duckdb", "spark")
OFFERS = (
    ("spark_etl/duckdb", "spark_etl/spark"),
    ("spark_etl/duckdb",),
    ("spark_etl/spark",),
    (),
)
WORK: Item = {"job_type": "spark_etl", "spec": "Nothing to do.", "code": {"files": {"job.py": "pass"}}}
# nobody sends anything here: only the outbox is looked at
CALLBACKS = {word: f"https://receiver.example/{word}" for word in laws.CALLBACK_OF}


class Playground:
    """A migrated database with two tenants, made ready for one play after the other."""

    def __init__(self, doors: Doors, tenants: Sequence[Tenant]) -> None:
        self.doors = doors
        self.tenants = tuple(tenants)
        self.ids = [tenant.tenant_id for tenant in tenants]
        self.names = itertools.count()
        self.plays = itertools.count(1)
        # time stands still: what is to run out is moved into the past
        doors.set(
            "update queue.settings set lease_seconds = 3600, deadline_grace_seconds = 3600, max_lost = %s,"
            " max_log_lines = %s",
            [MAX_LOST, MAX_LOG_LINES],
        )
        for instance in RUNNERS:
            doors.register(instance, OFFERS[0])

    @classmethod
    def of(cls, doors: Doors, database: Database) -> Playground:
        return cls(doors, [database.add_tenant("north"), database.add_tenant("south")])

    def clear(self, limit: int) -> int:
        """Takes the last play's attempts off the table; its runs stay, below the mark that is returned."""
        self.doors.set("delete from queue.live_attempts")
        # whose turn it is must not depend on the last play
        self.doors.set("update queue.slots set running = 0, served_at = 'epoch'")
        self.doors.set("update queue.slots set served_at = '1999-12-31' where tenant_id = %s", [self.ids[1]])
        self.doors.set("update tenancy.limits set max_running = %s", [limit])
        if next(self.plays) % 20 == 0:  # as autovacuum would: the throw-away cluster has none
            self.doors.set("analyze queue.runs, queue.task_runs, queue.past_attempts, callback.events")
        mark: int = self.doors.ask("select coalesce(max(id), 0) from queue.runs")
        return mark


@dataclass(frozen=True)
class Node:
    """A task of a drawn graph; `up` are places of earlier tasks."""

    up: frozenset[int]
    run_if: str
    engine: str
    max_retries: int


@st.composite
def graphs(draw: st.DrawFn) -> list[Node]:
    return [
        Node(
            up=draw(st.frozensets(st.integers(0, place - 1), max_size=2)) if place else frozenset(),
            run_if=draw(st.sampled_from([*RUN_IF])),
            engine=draw(st.sampled_from(ENGINES)),
            max_retries=draw(st.integers(0, 1)),
        )
        for place in range(draw(st.integers(2, 4)))
    ]


# places in lists that grow: counted from the end, so that small numbers mean what is recent
places = st.integers(0, 7)
tenant_places = st.integers(0, 1)
instances = st.sampled_from(RUNNERS)
# mostly the lease as it was given; sometimes one that nobody was given
forgeries = st.sampled_from([0, 0, 0, 0, 0, 0, 1, -1])
percents = st.one_of(st.none(), st.integers(0, 110))
messages = st.sampled_from([None, None, "reads", "writes"])


class Leases(RuleBasedStateMachine):
    def __init__(self, playground: Playground) -> None:
        super().__init__()
        self.playground = playground
        self.doors = playground.doors
        self.mark = playground.clear(limit=2)
        self.model = Model(limits=dict.fromkeys(playground.ids, 2))
        self.tickets: list[Ticket] = []
        self.lanes: dict[int, int] = {}  # of a tenant: the job with one place
        self.seen = snapshot.take(self.doors, self.mark, playground.ids)
        self.nothing_happened = False

    @classmethod
    def on(cls, playground: Playground) -> type[Leases]:
        """The machine as Hypothesis wants it: a class that needs no arguments."""

        class Play(cls):  # type: ignore[valid-type, misc]  # mypy knows no class made from `cls`
            def __init__(self) -> None:
                super().__init__(playground)

        return Play

    @initialize(
        listens=st.booleans(),
        max_retries=st.integers(0, 2),
        graph=graphs(),
        first=st.lists(st.sampled_from(["succeeded", "failed"]), min_size=2, max_size=2),
    )
    def a_run_of_the_lane_has_ended_some_work_is_there_and_some_is_claimed(
        self, listens: bool, max_retries: int, graph: list[Node], first: list[str]
    ) -> None:
        self.submit_into_the_lane(0, listens)
        for word in first[: 1 + (first[0] == "succeeded")]:
            self._look()
            self.claim(RUNNERS[0], OFFERS[1], 1)
            self.settle([(0, 0)], [word], RUNNERS[0])
        self.submit_into_the_lane(0, listens)
        self.submit(0, "duckdb", max_retries, 0, listens)
        self.submit(1, "duckdb", max_retries, 0, listens)
        self.submit_graph(0, graph, listens)
        self._look()
        self.claim(RUNNERS[0], OFFERS[0], 2)

    # ------------------------------------------------------------------------------------ people

    @rule(
        tenant=tenant_places,
        engine=st.sampled_from(ENGINES),
        max_retries=st.integers(0, 2),
        priority=st.sampled_from([0, 0, 5]),
        listens=st.booleans(),
    )
    def submit(self, tenant: int, engine: str, max_retries: int, priority: int, listens: bool) -> None:
        body = WORK | {
            "engine": engine,
            "max_retries": max_retries,
            "priority": priority,
            "callbacks": CALLBACKS if listens else {},
        }
        said = self.doors.call(self.playground.tenants[tenant], "run_job", body)
        self._submitted(
            tenant, said["run_id"], [Node(frozenset(), "ALL_SUCCESS", engine, max_retries)], listens
        )

    @rule(tenant=tenant_places, listens=st.booleans())
    def submit_into_the_lane(self, tenant: int, listens: bool) -> None:
        """Two tasks in a row; one run at a time, the others wait for their place."""
        someone = self.playground.tenants[tenant]
        if tenant not in self.lanes:
            tasks = [
                WORK | {"task_key": "t0", "max_retries": 0},
                WORK | {"task_key": "t1", "max_retries": 0, "depends_on": ["t0"]},
            ]
            definition = {
                "name": f"lane {next(self.playground.names)}",
                "tasks": tasks,
                "max_concurrent_runs": 1,
            }
            self.lanes[tenant] = self.doors.call(someone, "create_job", definition)["job_id"]
        body = {"job_id": self.lanes[tenant], "callbacks": CALLBACKS if listens else {}}
        said = self.doors.call(someone, "run_job", body)
        first = Node(frozenset(), "ALL_SUCCESS", "duckdb", 0)
        second = Node(frozenset([0]), "ALL_SUCCESS", "duckdb", 0)
        self._submitted(tenant, said["run_id"], [first, second], listens, self.lanes[tenant])
        assert said["state"] == self.model.runs[said["run_id"]].state

    @rule(tenant=tenant_places, graph=graphs(), listens=st.booleans())
    def submit_graph(self, tenant: int, graph: list[Node], listens: bool) -> None:
        tasks = [
            WORK
            | {
                "task_key": f"t{place}",
                "engine": node.engine,
                "max_retries": node.max_retries,
                "depends_on": [f"t{it}" for it in sorted(node.up)],
                "run_if": node.run_if,
            }
            for place, node in enumerate(graph)
        ]
        someone = self.playground.tenants[tenant]
        name = f"graph {next(self.playground.names)}"
        job = self.doors.call(someone, "create_job", {"name": name, "tasks": tasks})
        body = {"job_id": job["job_id"], "callbacks": CALLBACKS if listens else {}}
        said = self.doors.call(someone, "run_job", body)
        self._submitted(tenant, said["run_id"], graph, listens)

    @rule(tenant=tenant_places, key=st.sampled_from(["one", "two"]))
    def submit_with_key(self, tenant: int, key: str) -> None:
        key = f"{self.mark} {key}"
        body = WORK | {"idempotency_key": key, "max_retries": 0}
        said = self.doors.call(self.playground.tenants[tenant], "run_job", body)
        known = self.model.keys.get((self.playground.ids[tenant], key))
        if known is None:
            self.model.keys[self.playground.ids[tenant], key] = said["run_id"]
            self._submitted(tenant, said["run_id"], [Node(frozenset(), "ALL_SUCCESS", "duckdb", 0)], False)
        else:
            assert said["run_id"] == known
            self.nothing_happened = True

    @precondition(lambda self: self.model.runs)
    @rule(place=places, tenant=tenant_places)
    def cancel(self, place: int, tenant: int) -> None:
        run = _from_the_end([*self.model.runs.values()], place)
        someone = self.playground.tenants[tenant]
        if someone.tenant_id != run.tenant or run.state in FINAL:
            expected = "RUN_FINISHED" if someone.tenant_id == run.tenant else "RUN_NOT_FOUND"
            with pytest.raises(Refused, match=expected):
                self.doors.call(someone, "cancel_run", {"run_id": run.id})
            self.nothing_happened = True
        else:
            said = self.doors.call(someone, "cancel_run", {"run_id": run.id})
            self.model.cancel(run)
            assert said["state"] == run.state

    @precondition(lambda self: any(run.state in FINAL for run in self.model.runs.values()))
    @rule(
        place=places,
        chosen=st.frozensets(st.integers(0, 3), max_size=2),
        # one draw: Hypothesis likes to make two booleans the same
        what=st.sampled_from(
            [("chosen", "behind"), ("chosen", "failed", "behind"), ("chosen",), ("chosen", "failed")]
        ),
        mistake=st.sampled_from([None, None, None, None, "too early", "stale"]),
    )
    def repair(self, place: int, chosen: frozenset[int], what: tuple[str, ...], mistake: str | None) -> None:
        """Of what has ended; now and then of what has not, or by somebody who has not seen the last repair."""
        runs = [it for it in self.model.runs.values() if mistake == "too early" or it.state in FINAL]
        run = _from_the_end(runs, place)
        someone = next(it for it in self.playground.tenants if it.tenant_id == run.tenant)
        keys = sorted({[*run.tasks][it % len(run.tasks)] for it in chosen})
        failed = "failed" in what or not keys
        dependents = "behind" in what
        seen = [None, *run.repairs]
        body = {
            "run_id": run.id,
            "rerun_tasks": keys,
            "rerun_all_failed": failed,
            "rerun_dependents": dependents,
            "latest_repair_id": seen[-2 if mistake == "stale" and run.repairs else -1],
        }
        again = self.model.to_do_again(run, keys, failed=failed, dependents=dependents)
        if mistake == "stale" and run.repairs:
            refusal = "REPAIR_CONFLICT"
        elif run.state not in FINAL:
            refusal = "RUN_ACTIVE"
        else:
            refusal = None if again else "NOTHING_TO_REPAIR"
        if refusal:
            with pytest.raises(Refused, match=refusal):
                self.doors.call(someone, "repair_run", body)
            self.nothing_happened = True
        else:
            said = self.doors.call(someone, "repair_run", body)
            self.model.repair(run, said["repair_id"], again)
            assert (said["number"], said["tasks"], said["state"]) == (len(run.repairs), again, run.state)

    @rule(tenant=tenant_places, limit=st.integers(0, 4))
    def limit(self, tenant: int, limit: int) -> None:
        someone = self.playground.tenants[tenant]
        self.doors.platform("platform_set_limits", {"tenant": someone.slug, "max_running": limit})
        self.model.limits[someone.tenant_id] = limit

    # ------------------------------------------------------------------------------------ runners

    @rule(instance=instances, offers=st.sampled_from(OFFERS), limit=st.integers(1, 5))
    def claim(self, instance: str, offers: tuple[str, ...], limit: int) -> None:
        queues = {tenant: self._ready(tenant, offers) for tenant in self.playground.ids}
        free = {it: max(self.model.limits[it] - self.model.running(it), 0) for it in self.playground.ids}
        items = self.doors.claim(instance, offers, limit)

        assert len(items) == min(limit, sum(min(free[it], len(queues[it])) for it in self.playground.ids))
        for tenant, queue in queues.items():
            mine = [(it["run_id"], it["task_key"]) for it in items if it["tenant_id"] == tenant]
            first = queue[: len(mine)]
            assert len(mine) <= free[tenant]
            assert mine == [(it.task.run.id, it.task.key) for it in first]
        for item in items:
            attempt = self.model.runs[item["run_id"]].tasks[item["task_key"]].live
            assert attempt is not None
            self.model.claim(attempt, item["attempt_id"], instance)
            got = (item["lease"], item["number"], item["adopted"], item["external_id"])
            assert got == (attempt.lease, attempt.number, attempt.lost > 0, attempt.external_id)
            self.tickets.append(Ticket(item["attempt_id"], item["lease"], instance))
        self.nothing_happened = not items

    @precondition(lambda self: self.tickets)
    @rule(
        picks=st.lists(st.tuples(places, forgeries), min_size=1, max_size=4),
        other=st.one_of(st.none(), st.none(), instances),
        percent=percents,
        message=messages,
    )
    def renew(
        self, picks: list[tuple[int, int]], other: str | None, percent: int | None, message: str | None
    ) -> None:
        tickets = self._tickets(picks)
        instance = other or tickets[0].instance
        items = [_item(ticket, percent=percent, message=message) for ticket in tickets]
        said = self.doors.renew(instance, items)

        held = [self.model.held(ticket) for ticket in tickets]
        for place, attempt in enumerate(held):
            if attempt is not None and (attempt.runner != instance or attempt.deadline == "past"):
                held[place] = None
        assert [(it["attempt_id"], it["lease"], it["held"], it["cancel"], it["overdue"]) for it in said] == [
            (
                ticket.attempt_id,
                ticket.lease,
                attempt is not None,
                attempt is not None and attempt.task.run.canceled,
                attempt is not None and attempt.deadline == "grace",
            )
            for ticket, attempt in zip(tickets, held, strict=True)
        ]
        for attempt in held:
            if attempt is not None:
                self.model.renew(attempt, percent, message)
        self.nothing_happened = not any(held)

    @precondition(lambda self: self.tickets)
    @rule(
        pick=st.tuples(places, forgeries),
        percent=percents,
        message=messages,
        external_id=st.sampled_from([None, None, "pod-1", "pod-2"]),
        lines=st.integers(0, 4),
    )
    def report(
        self,
        pick: tuple[int, int],
        percent: int | None,
        message: str | None,
        external_id: str | None,
        lines: int,
    ) -> None:
        (ticket,) = self._tickets([pick])
        logs = [{"stream": "stdout", "line": f"line {n}"} for n in range(lines)]
        item = _item(ticket, percent=percent, message=message, external_id=external_id, logs=logs)
        said = self.doors.report([item])

        attempt = self.model.held(ticket)
        canceled = attempt is not None and attempt.task.run.canceled
        assert said == [{"attempt_id": ticket.attempt_id, "held": attempt is not None, "cancel": canceled}]
        if attempt is not None:
            self.model.report(attempt, percent, message, external_id, lines)
        self.nothing_happened = attempt is None

    @precondition(lambda self: self.tickets)
    @rule(
        picks=st.lists(st.tuples(places, forgeries), min_size=1, max_size=3),
        words=st.lists(st.sampled_from([*OUTCOMES]), min_size=3, max_size=3),
        instance=instances,
    )
    def settle(self, picks: list[tuple[int, int]], words: list[str], instance: str) -> None:
        tickets = self._tickets(picks)
        outcomes = [OUTCOMES[word] for word in words[: len(tickets)]]
        items = [_item(it, outcome=_wire(outcome)) for it, outcome in zip(tickets, outcomes, strict=True)]
        said = self.doors.settle(instance, items)

        ended: list[tuple[Attempt, Outcome]] = []
        for ticket, outcome in zip(tickets, outcomes, strict=True):
            attempt = self.model.held(ticket)
            if attempt is not None:
                ended.append((attempt, outcome))
        self.model.settle(ended)
        expected = [(it.id, True, it.task.run.state) for it, _ in ended] + [
            (ticket.attempt_id, False, None)
            for ticket in tickets
            if not any(it.id == ticket.attempt_id and it.lease == ticket.lease for it, _ in ended)
        ]
        got = [(it["attempt_id"], it["settled"], it.get("run_state")) for it in said]
        assert sorted(got, key=repr) == sorted(expected, key=repr)
        self.nothing_happened = not ended

    @precondition(lambda self: self.tickets)
    @rule(pick=st.tuples(places, forgeries), instance=instances)
    def release(self, pick: tuple[int, int], instance: str) -> None:
        (ticket,) = self._tickets([pick])
        said = self.doors.release(instance, [_item(ticket)])

        attempt = self.model.held(ticket)
        assert said == [{"attempt_id": ticket.attempt_id, "released": attempt is not None}]
        if attempt is not None:
            self.model.release(attempt)
        self.nothing_happened = attempt is None

    @rule(instance=instances)
    def tick(self, instance: str) -> None:
        said = self.doors.tick(instance)

        reaped = self.model.reap()
        assert said["reaped"] == reaped
        self.nothing_happened = reaped == 0

    # --------------------------------------------------------------------------------------- time

    @precondition(lambda self: any(it.running for it in self.model.live()))
    @rule(place=places)
    def lease_runs_out(self, place: int) -> None:
        self._run_out(_from_the_end([it for it in self.model.live() if it.running], place))

    @precondition(lambda self: any(it.running for it in self.model.live()))
    @rule(place=places, far=st.booleans())
    def deadline_passes(self, place: int, far: bool) -> None:
        attempt = _from_the_end([it for it in self.model.live() if it.running], place)
        attempt.deadline = "past" if far else "grace"
        self.doors.set(
            "update queue.live_attempts set deadline_at = clock_timestamp() - %s * interval '1 second'"
            " where id = %s",
            [7200 if far else 1, attempt.id],
        )

    @precondition(lambda self: any(it.running for it in self.model.live()))
    @rule(place=places, successor=instances, times=st.integers(1, MAX_LOST + 1))
    def a_lease_is_lost_and_taken_over(self, place: int, successor: str, times: int) -> None:
        """As often as an attempt bears it, and once more."""
        attempt = _from_the_end([it for it in self.model.live() if it.running], place)
        for _ in range(times):
            if not attempt.running:
                break
            self._run_out(attempt)
            self.tick(successor)
            self.nothing_happened = False
            self.every_law_holds()
            self.claim(successor, OFFERS[0], 5)
            self.nothing_happened = False
            self.every_law_holds()

    @precondition(lambda self: any(it.waits for it in self.model.live()))
    @rule()
    def retries_come_due(self) -> None:
        self.doors.set(
            "update queue.live_attempts set ready_at = clock_timestamp() where ready_at > clock_timestamp()"
        )
        for attempt in self.model.live():
            attempt.waits = False

    # --------------------------------------------------------------------------------------- laws

    @invariant()
    def every_law_holds(self) -> None:
        before, self.seen = self.seen, snapshot.take(self.doors, self.mark, self.playground.ids)
        if self.nothing_happened:
            assert before == self.seen, "a verb that was refused has changed something"
            self.nothing_happened = False
        for law in laws.LAWS:
            law(self.seen)
        for change in laws.CHANGES:
            change(before, self.seen)
        for agreement in laws.AGREEMENTS:
            agreement(self.model, self.seen)

    # ------------------------------------------------------------------------------------ on the way

    def _run_out(self, attempt: Attempt) -> None:
        self.doors.set(
            "update queue.live_attempts set lease_expires_at = clock_timestamp() - interval '1 second'"
            " where id = %s",
            [attempt.id],
        )
        attempt.expired = True

    def _look(self) -> None:
        self.seen = snapshot.take(self.doors, self.mark, self.playground.ids)

    def _submitted(
        self, tenant: int, run_id: int, graph: Sequence[Node], listens: bool, lane: int | None = None
    ) -> None:
        types = frozenset(laws.CALLBACK_OF.values()) if listens else frozenset[str]()
        run = Run(run_id, self.playground.ids[tenant], types, lane=lane)
        alone = len(graph) == 1
        tasks = [
            Task(
                run,
                "execute" if alone else f"t{place}",
                f"spark_etl/{node.engine}",
                node.max_retries,
                tuple(f"t{it}" for it in sorted(node.up)),
                node.run_if,
            )
            for place, node in enumerate(graph)
        ]
        self.model.submit(run, tasks)

    def _tickets(self, picks: Sequence[tuple[int, int]]) -> list[Ticket]:
        """The leases meant, none twice. Those of attempts that still run come last, where picks go first:
        a stale lease is a danger where a new one is held."""
        running = {it.id for it in self.model.live() if it.running}
        tickets = sorted(self.tickets, key=lambda it: it.attempt_id in running)
        found = [(_from_the_end(tickets, place), forged) for place, forged in picks]
        meant = [Ticket(it.attempt_id, it.lease + forged, it.instance) for it, forged in found]
        return [*{(it.attempt_id, it.lease): it for it in meant}.values()]

    def _ready(self, tenant: str, offers: Sequence[str]) -> list[Attempt]:
        """What the tenant has for these offers, in the order of its queue; the moments are the database's."""
        keys = {row["id"]: (row["run_id"], row["task_key"]) for row in self.seen.tasks}
        order = {
            keys[row["task_run_id"]]: (-row["priority"], row["ready_at"], row["id"]) for row in self.seen.live
        }
        ready = [
            it
            for it in self.model.live()
            if it.task.run.tenant == tenant and not it.running and not it.waits and it.task.requires in offers
        ]
        return sorted(ready, key=lambda it: order[it.task.run.id, it.task.key])


def _from_the_end(things: Sequence[Thing], place: int) -> Thing:
    return things[-1 - place % len(things)]


def _item(ticket: Ticket, **more: Any) -> Item:
    return {"attempt_id": ticket.attempt_id, "lease": ticket.lease, **more}


def _wire(outcome: Outcome) -> Item:
    return {
        "state": outcome.state,
        "termination_code": "SUCCESS" if outcome.state == "SUCCEEDED" else "USER_CODE_FAILED",
        "message": "as it was played",
        "retryable": outcome.retryable,
        "retry_after_ms": 3_600_000 if outcome.waits else 0,
    }
