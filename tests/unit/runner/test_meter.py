"""Figures: they are what was counted, read by the forms' own parsers, and there are not ever more of them."""

from __future__ import annotations

from prometheus_client.openmetrics.parser import text_string_to_metric_families as read_openmetrics
from prometheus_client.parser import text_string_to_metric_families as read_text

from runner.watch.meter import Meter, Now

OPENMETRICS = "application/openmetrics-text; version=1.0.0"
TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"


def used() -> Meter:
    meter = Meter()
    meter.introduce(
        name="one",
        version="1",
        capacity=4,
        now=Now(
            running=lambda: 2,
            held=lambda: 3,
            outstanding=lambda: 5,
            listening=lambda: True,
            draining=lambda: False,
            stale=lambda: 7,
        ),
    )
    meter.claimed([])
    meter.claimed([("spark_etl", 30), ("spark_etl", None)])
    meter.started("spark_etl", 0.2)
    meter.ended("spark_etl", 3.0, TRACE)
    meter.settled("spark_etl", "Succeeded", "SUCCESS")
    meter.given_back()
    meter.lost()
    meter.lines(["stdout", "stdout", "whatever a job says"])
    meter.called("delivered", 204, 0.1, 6.0)
    meter.called("failed", None, 15.0, 20.0)
    meter.tripped("claims", 0.002)
    meter.troubled("claims", "away")
    meter.depth(11)
    meter.restarted("outbox")
    return meter


def samples(meter: Meter) -> dict[str, float]:
    text = meter.told(OPENMETRICS)[0].decode()
    return {
        f"{each.name}{[*each.labels.values()] or ''}": each.value
        for family in read_openmetrics(text)
        for each in family.samples
    }


def test_what_is_counted_is_told() -> None:
    said = samples(used())
    expected = {
        "control_room_runner_info['one', '1']": 1,
        "control_room_capacity": 4,
        "control_room_queue_depth": 11,
        "control_room_attempts_running": 2,
        "control_room_leases_held": 3,
        "control_room_callbacks_outstanding": 5,
        "control_room_listening": 1,
        "control_room_draining": 0,
        "control_room_late_discarded_total": 7,
        "control_room_claims_total['true']": 1,
        "control_room_claims_total['false']": 1,
        "control_room_attempts_claimed_total['spark_etl']": 2,
        "control_room_attempts_settled_total['SUCCESS', 'spark_etl', 'Succeeded']": 1,
        "control_room_attempts_given_back_total": 1,
        "control_room_leases_lost_total": 1,
        "control_room_attempt_wait_seconds_count": 1,
        "control_room_attempt_wait_seconds_bucket['0.02']": 0,
        "control_room_attempt_wait_seconds_bucket['0.1']": 1,
        "control_room_attempt_start_seconds_sum['spark_etl']": 0.2,
        "control_room_attempt_duration_seconds_bucket['spark_etl', '5.0']": 1,
        "control_room_log_lines_total['stdout']": 2,
        "control_room_log_lines_total['other']": 1,
        "control_room_callbacks_total['delivered', '2xx']": 1,
        "control_room_callbacks_total['failed', 'none']": 1,
        "control_room_callback_latency_seconds_sum": 6,  # of what was delivered
        "control_room_callback_duration_seconds_count": 2,
        "control_room_database_trip_seconds_count['claims']": 1,
        "control_room_database_errors_total['away', 'claims']": 1,
        "control_room_loop_failures_total['outbox']": 1,
    }

    assert {name: said.get(name) for name in expected} == expected
    assert said["process_resident_memory_bytes"] > 1e6


def test_older_readers_are_given_the_older_text() -> None:
    body, content_type = used().told("text/plain")

    assert content_type.startswith("text/plain")
    assert "control_room_leases_lost_total" in {
        sample.name for family in read_text(body.decode()) for sample in family.samples
    }


def test_a_long_attempt_leads_to_its_trace() -> None:
    (exemplar,) = [
        each.exemplar
        for family in read_openmetrics(used().told(OPENMETRICS)[0].decode())
        for each in family.samples
        if each.exemplar
    ]

    assert exemplar.labels == {"trace_id": TRACE}


def test_a_bound_is_within_its_bucket() -> None:
    meter = Meter()
    meter.tripped("claims", 0.005)

    assert samples(meter)["control_room_database_trip_seconds_bucket['claims', '0.005']"] == 1
    assert samples(meter)["control_room_database_trip_seconds_bucket['claims', '0.0025']"] == 0


def test_no_label_is_as_many_as_people_make() -> None:
    labels = {
        label
        for family in read_openmetrics(used().told(OPENMETRICS)[0].decode())
        for sample in family.samples
        for label in sample.labels
    }

    expected = {"job_type", "outcome", "code", "found", "stream", "result", "status", "lane", "kind", "loop"}
    assert labels - {"le", "name", "version"} == expected
