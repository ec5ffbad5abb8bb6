"""The command line: its exit codes, what it sends, what it prints."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from control_room.cli.context import Usage
from control_room.cli.submission import code_of, input_of, output_of, spec_of

ID = "11111111-2222-3333-4444-555555555555"
SUBMITTED = {"run_id": 7, "state": "QUEUED", "url": "/functions/v1/api/v1/runs/7"}


def run_of(state: str, **more: Any) -> dict[str, Any]:
    task = {"task_run_id": 1, "task_key": "execute", "state": state, "attempts": []}
    return {"run_id": 7, "state": state, "name": "etl", "tasks": [task], **more}


@pytest.fixture
def job(tmp_path: Path) -> Path:
    file = tmp_path / "job.py"
    file.write_text('"""Counts flights."""\nprint("hi")\n')
    return file


def test_a_run_is_submitted_with_its_files_and_its_docstring_as_spec(
    stub: Any, control_room: Callable[..., Any], job: Path
) -> None:
    stub.on("POST", "/jobs/run", SUBMITTED, 202)

    ended = control_room(
        "run", "--type", "spark_etl", "-p", "n=3", "-p", "city=Rome", "-o", "gold:gold.delays",
        "-o", "report:report", "-i", f"a={ID}", "-i", "b=silver.flights",
        "--on-fail", "https://x.test/h", str(job),
    )  # fmt: skip

    assert ended.code == 0
    assert "run 7  QUEUED" in ended.out
    sent = stub.seen[0].json
    assert sent.pop("idempotency_key")
    assert sent == {
        "job_type": "spark_etl",
        "spec": "Counts flights.",
        "code": {"files": {"job.py": job.read_text()}},
        "params": {"n": 3, "city": "Rome"},
        "inputs": [{"name": "a", "artifact_id": ID}, {"name": "b", "table": "silver.flights"}],
        "outputs": [
            {"name": "gold", "layer": "gold", "table": "delays"},
            {"name": "report", "kind": "report"},
        ],
        "callbacks": {"on_fail": "https://x.test/h"},
    }


@pytest.mark.parametrize(
    ("state", "code"), [("SUCCEEDED", 0), ("FAILED", 1), ("CANCELED", 1), ("TIMED_OUT", 1), ("SKIPPED", 1)]
)
def test_wait_exits_0_only_on_succeeded(
    stub: Any, control_room: Callable[..., Any], job: Path, state: str, code: int
) -> None:
    stub.on("POST", "/jobs/run", SUBMITTED, 202)
    stub.on("GET", "/runs/7", run_of("RUNNING")).on("GET", "/runs/7", run_of(state))

    ended = control_room("run", "--type", "spark_etl", "--wait", str(job))

    assert ended.code == code
    assert state in ended.out


def test_json_is_all_that_stands_on_standard_output(
    stub: Any, control_room: Callable[..., Any], job: Path
) -> None:
    stub.on("POST", "/jobs/run", SUBMITTED, 202).on("GET", "/runs/7", run_of("SUCCEEDED"))

    ended = control_room("run", "--type", "spark_etl", "--wait", "--json", str(job))

    assert json.loads(ended.out) == run_of("SUCCEEDED")


def test_wrong_usage_is_2(control_room: Callable[..., Any], job: Path) -> None:
    assert control_room("run", str(job)).code == 2
    assert control_room("run", "--type", "spark_etl", "/not/there.py").code == 2
    assert control_room("run", "--type", "spark_etl", "-o", "x:platinum.t", str(job)).code == 2
    assert control_room("runs", "show", "seven").code == 2
    assert control_room("lineage", "tree").code == 2
    assert control_room("no-such-command").code == 2


def test_a_missing_environment_is_2_and_says_how_to_get_it(
    control_room: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CONTROL_ROOM_TOKEN")

    ended = control_room("runs", "ls")

    assert ended.code == 2
    assert "CONTROL_ROOM_TOKEN is not set" in ended.err
    assert "scripts/stack token" in ended.err


def test_a_refusal_is_3_with_the_server_s_hint(stub: Any, control_room: Callable[..., Any]) -> None:
    body = {"code": "RUN_NOT_FOUND", "message": "The tenant has no such run.", "hint": "Check run_id."}
    stub.on("GET", "/runs/7", body, 404)

    ended = control_room("runs", "show", "7")

    assert (ended.code, ended.out) == (3, "")
    assert "RUN_NOT_FOUND: The tenant has no such run." in ended.err
    assert "Check run_id." in ended.err


def test_nobody_there_is_4(control_room: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("control_room.client.time.sleep", lambda _: None)
    with socket.socket() as bound:  # a port that is taken, and where nobody listens
        bound.bind(("127.0.0.1", 0))
        monkeypatch.setenv("SUPABASE_URL", f"http://127.0.0.1:{bound.getsockname()[1]}")

        ended = control_room("runs", "ls")

    assert ended.code == 4
    assert "cannot be reached" in ended.err


def test_the_exit_codes_stand_in_the_help(control_room: Callable[..., Any]) -> None:
    told = " ".join(control_room("--help").out.replace("│", " ").split())

    for words in ("0 success", "1 the run did not succeed", "2 wrong usage", "3 refused", "4 the server"):
        assert words in told


def test_ctrl_c_leaves_the_run_alone_and_says_how_to_come_back(
    stub: Any, control_room: Callable[..., Any], job: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    stub.on("POST", "/jobs/run", SUBMITTED, 202)
    monkeypatch.setattr("control_room.watch.Watch.wait", interrupted)

    ended = control_room("run", "--type", "spark_etl", "--wait", str(job))

    assert ended.code == 130
    assert "control-room runs show 7 --follow" in ended.err
    assert not stub.asked("POST", "/runs/7/cancel")


def test_no_color_prints_no_escapes(
    stub: Any, control_room: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    item = {"run_id": 7, "state": "FAILED", "name": "[red]x[/red]"}
    stub.on("GET", "/runs", {"items": [item], "next": None})

    ended = control_room("runs", "ls")

    assert "\x1b" not in ended.out
    assert "✗ FAILED" in ended.out
    assert "[red]x[/red]" in ended.out


def test_a_graph_is_shown_with_its_iterations_below_their_loop(
    stub: Any, control_room: Callable[..., Any]
) -> None:
    def task(number: int, key: str, state: str = "SUCCEEDED", **more: Any) -> dict[str, Any]:
        return {"task_run_id": number, "task_key": key, "state": state, "attempts": [], **more}

    many = [
        task(100 + n, f"many[{n}]", "FAILED" if n == 7 else "SUCCEEDED", parent_task_run_id=4, iteration=n)
        for n in range(500)
    ]
    tasks = [
        task(1, "big", kind="condition", condition={"outcome": "true"}),
        task(2, "load", kind="for_each", for_each={"iterations": 2, "concurrency": 1, "open": 0}),
        task(3, "sub", "RUNNING", kind="run_job", run_job={"job_id": 5, "run_id": 99}),
        task(4, "many", "FAILED", kind="for_each", for_each={"iterations": 500, "open": 0}),
        task(6, "load[1]", parent_task_run_id=2, iteration=1),
        task(5, "load[0]", parent_task_run_id=2, iteration=0),
        *many,
    ]
    stub.on("GET", "/runs/7", run_of("RUNNING") | {"tasks": tasks})

    shown = control_room("runs", "show", "7").out.splitlines()
    lines = [line.rstrip() for line in shown if line.strip()]
    first = [line.split()[0] for line in lines]

    start = first.index("big")
    assert first[start:] == ["big", "load", "[0]", "[1]", "sub", "many", "[7]"]
    assert lines[start].split()[-1] == "true"
    assert lines[start + 1].endswith("2 of 2 iterations")
    assert lines[start + 4].endswith("run 99")


def test_what_users_wrote_cannot_steer_the_terminal(stub: Any, control_room: Callable[..., Any]) -> None:
    stub.on("GET", "/runs/7", run_of("FAILED", termination_message="\x1b]0;title\x07\x9b2J gone"))

    ended = control_room("runs", "show", "7")

    assert not set("\x1b\x07\x9b") & set(ended.out)
    assert "gone" in ended.out


def test_logs_are_bare_lines(stub: Any, control_room: Callable[..., Any]) -> None:
    lines = [{"seq": 1, "line": "[bold]one"}, {"seq": 2, "line": "two", "stream": "stderr"}]
    stub.on("GET", "/runs/7/logs", "\n".join(map(json.dumps, lines)).encode())

    assert control_room("runs", "logs", "7").out == "[bold]one\ntwo\n"


def test_a_picture_is_written(
    stub: Any, control_room: Callable[..., Any], run_graph: Any, tmp_path: Path
) -> None:
    stub.on("GET", "/runs/1/lineage", run_graph.raw())

    ended = control_room("lineage", "svg", "--run", "1", "-o", str(tmp_path / "deep" / "l.svg"))

    assert ended.code == 0
    assert (tmp_path / "deep" / "l.svg").read_text().startswith("<svg")


def test_a_tree_shows_what_gold_comes_from(
    stub: Any, control_room: Callable[..., Any], run_graph: Any
) -> None:
    stub.on("GET", "/runs/1/lineage", run_graph.raw())

    told = control_room("lineage", "tree", "--run", "1").out

    assert "mean_delay" in told
    assert "silver.flights.delay" in told
    assert "flights-2k.json" in told


def test_health_exits_1_when_no_runner_is_there(stub: Any, control_room: Callable[..., Any]) -> None:
    stub.on("GET", "/health", {"status": "no_runner", "runners": []})

    assert control_room("health").code == 1


@pytest.mark.parametrize(
    ("text", "made"),
    [
        ("a", {"name": "a"}),
        ("a:gold.t", {"name": "a", "layer": "gold", "table": "t"}),
        ("a:gold.t:append", {"name": "a", "layer": "gold", "table": "t", "mode": "append"}),
        (
            "a:gold.t:merge=id,day",
            {"name": "a", "layer": "gold", "table": "t", "mode": "merge", "key": ["id", "day"]},
        ),
        ("a:report", {"name": "a", "kind": "report"}),
    ],
)
def test_outputs_are_read(text: str, made: dict[str, Any]) -> None:
    assert output_of(text) == made


def test_an_input_that_is_nothing_is_refused_before_anything_is_sent() -> None:
    with pytest.raises(Usage, match="no such file"):
        input_of("a", "no/such/file.csv")


def test_files_of_a_folder_keep_their_places(tmp_path: Path) -> None:
    for name in ("job.py", "lib/clean.py", "__pycache__/x.py", ".hidden"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(name)

    code = code_of([tmp_path])

    assert code == {"files": {"job.py": "job.py", "lib/clean.py": "lib/clean.py"}}


def test_what_is_no_text_is_no_code(tmp_path: Path) -> None:
    (tmp_path / "data.parquet").write_bytes(b"PAR1\xff\xfe")

    with pytest.raises(Usage, match="is no text"):
        code_of([tmp_path / "data.parquet"])


def test_a_spec_is_given_or_read_or_found(tmp_path: Path) -> None:
    job = tmp_path / "job.py"
    job.write_text("print(1)\n")
    (tmp_path / "spec.md").write_text("From a file.")

    assert spec_of("Given.", "spark_etl", [job]) == "Given."
    assert spec_of(f"@{tmp_path / 'spec.md'}", "spark_etl", [job]) == "From a file."
    assert spec_of(None, "spark_etl", [job]) == "spark_etl of job.py"


def test_a_job_is_paused_and_its_next_times_are_shown(stub: Any, control_room: Callable[..., Any]) -> None:
    stub.on("POST", "/jobs/5/pause", {"job_id": 5, "version": 2, "paused": True, "next_fire_at": None})
    stub.on(
        "GET",
        "/jobs/5/schedule",
        {
            "job_id": 5,
            "type": "schedule",
            "paused": False,
            "definition": {"cron": "0 5 * * 1-5", "timezone": "Europe/Berlin", "paused": False},
            "upcoming": ["2026-11-27T04:00:00+00:00"],
        },
    )

    paused, shown = control_room("jobs", "pause", "5"), control_room("jobs", "schedule", "5", "--count", "1")

    assert (paused.code, shown.code) == (0, 0)
    assert "is paused" in paused.out
    assert "cron 0 5 * * 1-5, timezone Europe/Berlin" in shown.out
    assert "2026-11-27 04:00:00+00:00" in shown.out


def test_a_backfill_is_asked_for_in_the_words_of_the_api(stub: Any, control_room: Callable[..., Any]) -> None:
    said = {"backfill_id": 3, "job_id": 5, "started": 2, "total": 2, "states": {"QUEUED": 1, "BLOCKED": 1}}
    stub.on("POST", "/jobs/5/backfill", said, 202)
    ended = control_room(
        "jobs", "backfill", "5", "day", "--from", "2026-01-01", "--to", "2026-01-02", "-p", "mode=delta"
    )

    assert ended.code == 0
    assert "1 BLOCKED, 1 QUEUED" in ended.out
    assert stub.asked("POST", "/jobs/5/backfill")[0].json == {
        "parameter": "day",
        "range": {"from": "2026-01-01", "to": "2026-01-02"},
        "params": {"mode": "delta"},
    }


def test_a_backfill_has_either_values_or_a_range(control_room: Callable[..., Any]) -> None:
    assert control_room("jobs", "backfill", "5", "day", "1", "2", "--from", "1").code == 2
    assert control_room("jobs", "backfill", "5", "day").code == 2


def test_the_runs_of_a_backfill_are_shown_by_value(stub: Any, control_room: Callable[..., Any]) -> None:
    runs = [{"run_id": 7, "state": "SUCCEEDED", "value": "2026-01-01"}]
    found = {"backfill_id": 3, "total": 1, "states": {"SUCCEEDED": 1}, "runs": runs}
    stub.on("GET", "/jobs/5/backfills/3", found).on("POST", "/jobs/5/backfills/3/cancel", found, 202)
    ended = control_room("jobs", "backfills", "5", "3")

    assert "2026-01-01" in ended.out
    assert control_room("jobs", "cancel-backfill", "5", "3").code == 0


def test_a_repair_names_the_latest_that_it_saw(stub: Any, control_room: Callable[..., Any]) -> None:
    stub.on("GET", "/runs/7", run_of("FAILED", latest_repair_id=4))
    said = {"run_id": 7, "repair_id": 5, "number": 2, "tasks": ["b", "d"], "state": "QUEUED"}
    stub.on("POST", "/runs/7/repair", said, 202)
    ended = control_room("runs", "repair", "7", "--task", "b", "-p", "day=3")

    assert (ended.code, "b, d" in ended.out) == (0, True)
    asked = {"latest_repair_id": 4, "rerun_tasks": ["b"], "params": {"day": 3}}
    assert stub.asked("POST", "/runs/7/repair")[0].json == asked


def test_a_run_is_run_again_from_a_task_on(stub: Any, control_room: Callable[..., Any]) -> None:
    stub.on("POST", "/runs/6/rerun", SUBMITTED, 202).on("GET", "/runs/7", run_of("SUCCEEDED"))
    ended = control_room("runs", "rerun", "6", "--from", "b", "--wait")

    assert ended.code == 0
    assert stub.asked("POST", "/runs/6/rerun")[0].json["from_task"] == "b"


def test_what_was_looked_for_is_shown_where_it_stands(stub: Any, control_room: Callable[..., Any]) -> None:
    found = {"entry_id": 7, "collection": "handbook", "key": "a.md", "title": "Returns"}
    stub.on(
        "GET", "/catalog/entries", {"items": [{**found, "snippet": "all **damaged** goods"}], "next": None}
    )
    stub.on("GET", "/catalog/entries/7", {**found, "body": "all damaged goods", "published_by_run": 3})

    listed = control_room("kb", "find", "damaged", "--collection", "handbook")
    shown = control_room("kb", "show", "7")

    assert listed.code == shown.code == 0
    assert "all damaged goods" in listed.out
    assert "Returns" in shown.out
    assert "run 3" in shown.out


def test_the_catalog_is_found_shown_described_and_told(
    stub: Any, control_room: Callable[..., Any], tmp_path: Path
) -> None:
    table = {
        "object_id": 7,
        "kind": "table",
        "name": "main.gold.orders",
        "comment": "late ones",
        "type": "VIEW",
    }
    column = {
        "name": "total",
        "type": "numeric",
        "nullable": True,
        "classification": "internal",
        "comment": None,
    }
    stub.on("GET", "/catalog/objects", {"items": [table], "next": None})
    stub.on("GET", "/catalog/objects/main.gold.orders", {**table, "row_count": 3, "columns": [column]})
    stub.on("PATCH", "/catalog/objects/main.gold.orders", table)
    stub.on("POST", "/catalog/ingest", {"catalog": "erp", "seen": 3, "changed": 2, "gone": 1})
    document = tmp_path / "erp.json"
    document.write_text('{"catalog": "erp", "models": []}')

    listed = control_room("catalog", "find", "late", "--in", "main.gold")
    shown = control_room("catalog", "show", "main.gold.orders")
    said = control_room("catalog", "describe", "main.gold.orders", "--comment", "", "--tag", "a=b")
    told = control_room("catalog", "ingest", str(document))

    assert [it.code for it in (listed, shown, said, told)] == [0, 0, 0, 0]
    assert "late ones" in listed.out
    assert "3 rows" in shown.out
    assert "numeric" in shown.out
    asked = stub.asked("PATCH", "/catalog/objects/main.gold.orders")[0].json
    assert asked == {"comment": None, "tags": {"a": "b"}}
    assert control_room("catalog", "describe", "main.gold.orders").code == 2
    document.write_text("[]")
    assert control_room("catalog", "ingest", str(document)).code == 2


def test_what_is_stale_and_what_was_not_as_expected_is_shown(
    stub: Any, control_room: Callable[..., Any]
) -> None:
    old = {"name": "main.gold.orders", "status": "error", "age_seconds": 90000}
    stub.on("GET", "/catalog/freshness", {"items": [old], "next": None})
    found = {"run_id": 7, "layer": "silver", "table": "orders", "name": "has an id", "action": "drop"}
    stub.on(
        "GET",
        "/catalog/verdicts",
        {"items": [{**found, "success": False, "loaded": 9, "failed": 2}], "next": None},
    )

    stale = control_room("catalog", "freshness", "--in", "main.gold")
    judged = control_room("catalog", "verdicts", "--table", "silver.orders", "--run", "7")

    assert (stale.code, "25 h" in stale.out) == (1, True)
    assert (judged.code, "2 of 9 not" in judged.out) == (0, True)
    asked = stub.asked("GET", "/catalog/verdicts")[0].query
    assert asked == {"run_id": "7", "layer": "silver", "table": "orders", "limit": "50"}
    assert control_room("catalog", "verdicts", "--table", "orders").code == 2


def test_a_refresh_shows_what_runs_and_why(stub: Any, control_room: Callable[..., Any]) -> None:
    step = {"job_id": 5, "job": "clean", "tables": ["silver.c"], "stale": True, "why": "bronze.b has changed"}
    stub.on("POST", "/catalog/refresh", {"target": "gold.d", "run_id": 7, "plan": [step]}, 202)

    ended = control_room("catalog", "refresh", "gold.d", "--force")

    assert (ended.code, "clean" in ended.out, "run 7" in ended.out) == (0, True, True)
    asked = stub.asked("POST", "/catalog/refresh")[0].json
    assert asked == {"target": "gold.d", "force": True, "dry_run": False}


def test_a_refresh_is_waited_for_where_something_runs(stub: Any, control_room: Callable[..., Any]) -> None:
    stub.on("POST", "/catalog/refresh", {"target": "gold.d", "run_id": None, "plan": []}, 202)

    ended = control_room("catalog", "refresh", "gold.d", "--wait")

    assert ended.code == 0


NODE = "dataset:control-room://acme:"


def test_a_way_is_shown_and_none_is_an_exit_code(stub: Any, control_room: Callable[..., Any]) -> None:
    way = {"found": True, "hops": 1, "path": [NODE + "bronze.a", NODE + "gold.b"], "graph": []}
    none = {"found": False, "hops": None, "path": [], "graph": []}
    stub.on("GET", "/lineage/path", way).on("GET", "/lineage/path", none)
    ended = control_room("lineage", "path", NODE + "bronze.a", NODE + "gold.b")
    assert (ended.code, ended.out.split()) == (0, ["bronze.a", "→", "gold.b", "1", "hop"])

    assert control_room("lineage", "path", NODE + "bronze.a", NODE + "gold.b").code == 1


def test_the_impact_of_a_column_is_asked_for_by_its_node(stub: Any, control_room: Callable[..., Any]) -> None:
    column = {"dataset": NODE + "gold.b", "field": "total", "hops": 2}
    stub.on("GET", "/lineage/impact", {"node": "x", "columns": [column], "jobs": ["job:ns:sum"]})

    ended = control_room("lineage", "impact", NODE + "bronze.a", "--column", "price")

    assert "gold.b.total  2 hops" in ended.out
    assert "ns:sum" in ended.out
    asked = stub.asked("GET", "/lineage/impact")[0].query
    assert asked == {"nodeId": "datasetField:control-room://acme:bronze.a:price"}


def test_what_came_and_went_is_shown_with_who_and_why(stub: Any, control_room: Callable[..., Any]) -> None:
    flow = {"source": NODE + "a", "target": NODE + "b", "job": "job:ns:j", "at": "2026-01-02T03:04:05Z"}
    gone = flow | {"by": "ann", "reason": "it was wrong"}
    stub.on("GET", "/lineage/diff", {"node": "x", "added": [flow], "removed": [gone]})

    ended = control_room("lineage", "diff", NODE + "a", "--since", "2026-01-01")

    assert ended.out.splitlines()[0].startswith("+ a → b")
    assert "ann: it was wrong" in ended.out.splitlines()[1]
    assert stub.asked("GET", "/lineage/diff")[0].query == {
        "nodeId": NODE + "a",
        "from": "2026-01-01",
        "depth": "5",
        "direction": "both",
    }


@pytest.mark.parametrize(
    ("answered", "asked", "way_out"),
    [
        (
            ("/lineage/impact", {"node": "x"}),
            ("impact", "--depth", "2"),
            "a smaller --depth, or one --column",
        ),
        (
            ("/lineage/diff", {"node": "x"}),
            ("diff", "--since", "2026-01-01"),
            "a smaller --depth, one --direction",
        ),
        (("/column-lineage", {"graph": []}), ("columns",), "a smaller --depth"),
    ],
)
def test_an_answer_that_was_cut_says_how_to_ask_for_the_rest(
    stub: Any,
    control_room: Callable[..., Any],
    answered: tuple[str, dict[str, Any]],
    asked: tuple[str, ...],
    way_out: str,
) -> None:
    node = {"id": NODE + "a", "type": "DATASET", "data": {"namespace": "ns", "name": "a", "fields": []}}
    stub.on("GET", answered[0], answered[1] | {"truncated": True}).on("GET", "/lineage", {"graph": [node]})

    ended = control_room("lineage", asked[0], NODE + "a", *asked[1:])

    assert way_out in " ".join(ended.out.split())


ARTIFACT = {
    "artifact_id": ID, "name": "models/risk.txt", "kind": "data", "classification": "confidential", "aliases": {"champion": 2}, "tags": {},
    "versions": [
        {"version": n, "state": "READY", "size": 4, "sha256": None, "run_id": 7, "provenance": {"inputs": [{"name": "in", "version": 1}]}}
        for n in (2, 1)
    ],
}  # fmt: skip


def test_aliases_are_moved_all_at_once(stub: Any, control_room: Callable[..., Any]) -> None:
    stub.on("GET", f"/artifacts/{ID}", ARTIFACT).on("PATCH", f"/artifacts/{ID}", ARTIFACT)

    ended = control_room("artifacts", "alias", ID, "champion=2", "challenger=1", "old=")

    assert (ended.code, "champion" in ended.out, "run 7, in v1" in ended.out) == (0, True, True)
    assert stub.asked("PATCH", f"/artifacts/{ID}")[0].json == {
        "aliases": {"champion": 2, "challenger": 1, "old": None}
    }
    control_room("artifacts", "alias", ID, "champion=3", "--was", "2")
    assert stub.asked("PATCH", f"/artifacts/{ID}")[1].json == {
        "aliases": {"champion": {"version": 3, "was": 2}}
    }
    assert control_room("artifacts", "alias", ID, "champion=x").code == 2


def test_tags_description_and_class_are_set_in_one_request(
    stub: Any, control_room: Callable[..., Any]
) -> None:
    stub.on("GET", f"/artifacts/{ID}", ARTIFACT).on("PATCH", f"/artifacts/{ID}", ARTIFACT)

    ended = control_room(
        "artifacts", "tag", ID, "team=risk", "stage=", "--description", "a model", "--class", "internal"
    )

    assert ended.code == 0
    assert stub.asked("PATCH", f"/artifacts/{ID}")[0].json == {
        "tags": {"team": "risk", "stage": None}, "description": "a model", "classification": "internal",
    }  # fmt: skip


def test_versions_are_compared_and_shown_by_number_or_alias(
    stub: Any, control_room: Callable[..., Any], tmp_path: Path
) -> None:
    stub.on("GET", f"/artifacts/{ID}", ARTIFACT)
    for text in (b"one\ntwo", b"one\n\x1b[31mthree"):
        stub.on("GET", f"/artifacts/{ID}/download", b"", 302, {"location": f"/storage/v1/{text.hex()}"})
        stub.on("GET", f"/storage/v1/{text.hex()}", text)

    ended = control_room("artifacts", "diff", ID, "1", "champion")
    shown = control_room(
        "artifacts", "preview", ID, str(tmp_path / "page.html"), "--version", "champion", "--json"
    )

    assert ended.code == 0
    lines = [line.rstrip() for line in ended.out.splitlines()]
    assert lines[:6] == [
        "--- risk.txt v1",
        "+++ risk.txt v2",
        "@@ -1,2 +1,2 @@",
        " one",
        "-two",
        "+\ufffd[31mthree",
    ]
    assert [it.query["version"] for it in stub.asked("GET", f"/artifacts/{ID}/download")[:2]] == ["1", "2"]
    assert (
        json.loads(shown.out)["form"],
        "<pre>one\nthree</pre>" in (tmp_path / "page.html").read_text(),
    ) == ("text", True)


def test_how_much_is_used(stub: Any, control_room: Callable[..., Any]) -> None:
    stub.on(
        "GET",
        "/artifacts/usage",
        {"used_bytes": 1024**2, "max_stored_bytes": 4 * 1024**2, "max_artifact_bytes": 1, "contents": 3},
    )

    assert (
        "1.0 MiB of 4.0 MiB used (25.0 %), 3 contents, kept until deleted"
        in control_room("artifacts", "usage").out
    )


def test_coverage_names_what_the_graph_lacks_and_exits_1(stub: Any, control_room: Callable[..., Any]) -> None:
    lacking = {
        "witness": "output",
        "source": None,
        "target": NODE + "gold.b",
        "job": "job:ns:sum",
        "run_id": 7,
    }
    figures = {
        "window_hours": 48,
        "flows": 2,
        "covered": 1,
        "witnesses": {"output": {"flows": 2, "covered": 1}},
    }
    stub.on("GET", "/lineage/coverage", figures | {"missing": [lacking]})
    stub.on("GET", "/lineage/coverage", figures | {"covered": 2, "missing": []})

    ended = control_room("lineage", "coverage", "--hours", "48")

    assert (ended.code, "gold.b" in ended.out, "run 7" in ended.out) == (1, True, True)
    assert stub.asked("GET", "/lineage/coverage")[0].query == {"window_hours": "48"}
    assert control_room("lineage", "coverage").code == 0


def test_events_are_shown_with_what_is_wrong_with_them(stub: Any, control_room: Callable[..., Any]) -> None:
    event = {"eventType": "COMPLETE", "job": {"namespace": "ns", "name": "sum"}}
    fault = {"path": "$.job.facets.sql.query", "message": "is a number"}
    told = {"event_id": 9, "received_at": "2026-01-01T00:00:00Z", "run_id": None, "event": event}
    stub.on("GET", "/lineage/events", {"items": [told | {"faults": [fault]}], "next": None})

    ended = control_room("lineage", "events", "--faulty")

    assert "ns:sum" in ended.out
    assert "$.job.facets.sql.query: is a number" in ended.out
    assert stub.asked("GET", "/lineage/events")[0].query == {"faulty": "true", "limit": "20"}


def test_what_breaks_a_rule_exits_1_and_what_hangs_in_the_air_does_not(
    stub: Any, control_room: Callable[..., Any]
) -> None:
    broken = {"rule": "gold never reads bronze", "from": "control-room://acme:bronze.a", "to": "x:gold.b"}
    item = broken | {"job": "job:ns:sum", "since": "2026-01-01T00:00:00Z"}
    stub.on("GET", "/lineage/violations", {"items": [item], "next": None})
    orphan = {"node": NODE + "silver.lonely", "created_at": "2026-01-01T00:00:00Z", "written": True}
    stub.on("GET", "/lineage/orphans", {"items": [orphan], "next": None})

    ended = control_room("lineage", "violations")

    assert (ended.code, "bronze.a" in ended.out) == (1, True)
    hanging = control_room("lineage", "orphans")
    assert (hanging.code, "silver.lonely" in hanging.out) == (0, True)
