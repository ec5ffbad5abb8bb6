"""Nobody asks: a period comes round, a table is published, another job starts because of it."""

from __future__ import annotations

from typing import Any

from .conftest import Room

WRITER = """
import csv
with open("/job/outputs/rows.csv", "w") as out:
    csv.writer(out).writerows([("n",), (1,)])
"""


def add_job(room: Room, name: str, code: str, outputs: list[dict[str, str]], **clock: object) -> int:
    task = {
        "task_key": "t",
        "job_type": "spark_etl",
        "spec": "what starts by itself",
        "code": {"files": {"job.py": code}},
        "outputs": outputs,
    }
    job: int = room.ask("POST", "/jobs", json={"name": name, "tasks": [task], **clock})["job_id"]
    return job


def succeeded(room: Room, job: int) -> dict[str, Any] | None:
    found = room.query("select id from queue.runs where job_id = %s and state = 'SUCCEEDED' order by id", job)
    return room.ask("GET", f"/runs/{found[0][0]}") if found else None


def test_a_period_starts_a_job_and_the_table_that_it_publishes_starts_another(room: Room) -> None:
    reader = add_job(
        room, "reads", "print(1)", [], trigger={"datasets": ["gold.ticks"], "debounce_seconds": 0}
    )
    writer = add_job(
        room,
        "writes",
        WRITER,
        [{"name": "rows", "table": "ticks", "layer": "gold"}],
        periodic={"every_seconds": 10},
    )
    room.start_runner()

    room.until("the period has run", lambda: succeeded(room, writer))
    room.until("the table has started the other", lambda: succeeded(room, reader))

    wrote, read = succeeded(room, writer), succeeded(room, reader)
    assert wrote is not None
    assert read is not None
    assert (wrote["created_by"], wrote["trigger"]["type"]) == ("schedule", "periodic")
    assert read["trigger"]["type"] == "dataset"
    assert read["trigger"]["datasets"] == ["gold.ticks"]
    assert read["trigger"]["runs"] == [wrote["run_id"]]

    room.ask("POST", f"/jobs/{writer}/pause")
    assert room.ask("GET", f"/jobs/{writer}/schedule")["upcoming"] == []
    assert room.ask("GET", f"/jobs/{writer}")["periodic"]["paused"] is True
    assert len(room.ask("POST", f"/jobs/{writer}/resume")) > 0
    assert len(room.ask("GET", f"/jobs/{writer}/schedule?count=3")["upcoming"]) == 3
    for job in (writer, reader):
        room.ask("DELETE", f"/jobs/{job}")
