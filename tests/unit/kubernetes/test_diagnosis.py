"""What a pod's status means, on statuses as kubelets of 1.20 and 1.36 have written them."""

from __future__ import annotations

from typing import Any

import pytest

from runner.executor.kubernetes import diagnosis
from runner.executor.kubernetes.diagnosis import Said
from runner.model.errors import Failure, Permanent, Retryable
from runner.model.termination import TerminationCode


def pod(phase: str = "Pending", work: dict[str, Any] | None = None, **more: Any) -> dict[str, Any]:
    statuses = [] if work is None else [{"name": "work", "state": work}]
    return {"metadata": {"name": "p"}, "status": {"phase": phase, "initContainerStatuses": statuses, **more}}


def waiting(reason: str, message: str = "") -> dict[str, Any]:
    return {"waiting": {"reason": reason, "message": message}}


def warning(reason: str, message: str) -> dict[str, Any]:
    return {"type": "Warning", "reason": reason, "message": message}


def ended(code: int, message: str = "", reason: str = "Completed") -> dict[str, Any]:
    return {"terminated": {"exitCode": code, "reason": reason, "message": message}}


def test_a_pod_that_is_being_made_only_waits() -> None:
    state = diagnosis.read(pod(work=waiting("PodInitializing")))

    assert (state.begun, state.over, state.waiting) == (False, False, "")
    assert diagnosis.hopeless(state, [], 60, 120) is None


@pytest.mark.parametrize(
    ("reason", "waited", "expected"),
    [
        ("InvalidImageName", 0.1, Permanent),
        ("ErrImageNeverPull", 0.1, Permanent),
        ("ErrImagePull", 1, None),
        ("ImagePullBackOff", 20, Permanent),
        ("CreateContainerConfigError", 1, None),
        ("CreateContainerConfigError", 20, Permanent),
    ],
)
def test_what_no_time_heals_fails_early(reason: str, waited: float, expected: type[Failure] | None) -> None:
    state = diagnosis.read(pod(work=waiting(reason, "as the kubelet says")))
    why = diagnosis.hopeless(state, [], waited, 120)

    assert type(why) is (expected or type(None))
    assert why is None or why.code is TerminationCode.EXECUTOR_UNAVAILABLE


def test_who_has_little_time_is_told_of_a_missing_image_all_the_same() -> None:
    state = diagnosis.read(pod(work=waiting("ImagePullBackOff")))

    assert diagnosis.hopeless(state, [], 3, 8) is None
    assert isinstance(diagnosis.hopeless(state, [], 4.1, 8), Permanent)


FETCHED = {"name": "fetch", "state": {"terminated": {"exitCode": 0, "reason": "Completed"}}}


@pytest.mark.parametrize(
    ("work", "fetched", "expected"),
    [
        (waiting("ErrImagePull"), True, TerminationCode.IMAGE_UNAVAILABLE),
        (waiting("ImagePullBackOff"), False, TerminationCode.EXECUTOR_UNAVAILABLE),
        (waiting("CreateContainerConfigError"), True, TerminationCode.EXECUTOR_UNAVAILABLE),
        (ended(128, reason="StartError"), True, TerminationCode.IMAGE_UNAVAILABLE),
        (ended(1, reason="Error"), True, TerminationCode.EXECUTOR_UNAVAILABLE),
    ],
)
def test_an_image_that_the_task_names_is_blamed_where_work_did_not_start(
    work: dict[str, Any], fetched: bool, expected: TerminationCode
) -> None:
    told = pod(work=work)
    if fetched:
        told["status"]["initContainerStatuses"].insert(0, FETCHED)
    failure = Retryable(TerminationCode.EXECUTOR_UNAVAILABLE, "as the kubelet says")

    assert diagnosis.blamed(failure, diagnosis.read(told)).code is expected
    memory = Retryable(TerminationCode.OUT_OF_MEMORY, "more than its memory")
    assert diagnosis.blamed(memory, diagnosis.read(told)) is memory


@pytest.mark.parametrize("said", ['secret "vault" not found', "couldn't find key TOKEN in Secret ns/vault"])
def test_a_missing_secret_has_its_own_code(said: str) -> None:
    state = diagnosis.read(pod(work=waiting("CreateContainerConfigError", said)))
    why = diagnosis.hopeless(state, [], 20, 120)

    assert isinstance(why, Permanent)
    assert why.code is TerminationCode.SECRET_UNAVAILABLE


def test_quota_is_waited_for_and_then_told() -> None:
    event = warning("FailedCreate", 'pods "x" is forbidden: exceeded quota: small, requested: cpu=2')

    assert diagnosis.hopeless(None, [event], 60, 120) is None
    why = diagnosis.hopeless(None, [event], 121, 120)
    assert isinstance(why, Retryable)
    assert "exceeded quota" in why.message


def test_a_pod_that_admission_refuses_is_refused_at_once() -> None:
    event = warning("FailedCreate", 'pods "x" is forbidden: violates PodSecurity "restricted:latest"')
    why = diagnosis.hopeless(None, [event], 2, 120)

    assert isinstance(why, Permanent)
    assert "violates PodSecurity" in why.message


def test_a_pod_that_finds_no_node_is_told_with_the_scheduler_s_words() -> None:
    event = warning("FailedScheduling", "0/1 nodes are available: insufficient memory")
    why = diagnosis.hopeless(diagnosis.read(pod()), [event], 121, 120)

    assert isinstance(why, Retryable)
    assert "insufficient memory" in why.message


def test_the_last_word_of_the_command_is_read() -> None:
    state = diagnosis.read(pod("Running", ended(0, '{"exit": 3, "oom_kills": 0}')))

    assert state.begun
    assert state.work == Said(0, "Completed", {"exit": 3, "oom_kills": 0})


@pytest.mark.parametrize("message", ["", "no json", "[1]", '"text"'])
def test_a_last_word_that_is_no_form_says_nothing(message: str) -> None:
    state = diagnosis.read(pod("Failed", ended(137, message, "Error")))

    assert state.work == Said(137, "Error", {})


@pytest.mark.parametrize(
    ("status", "kind", "code"),
    [
        (pod("Failed", ended(137, "", "OOMKilled")), Retryable, TerminationCode.OUT_OF_MEMORY),
        (
            pod("Failed", ended(1, '{"refused": "nothing keeps …"}', "Error")),
            Permanent,
            TerminationCode.NO_SANDBOX,
        ),
        (
            pod("Failed", ended(1, '{"refused": "too large"}', "Error")),
            Permanent,
            TerminationCode.OUTPUT_TOO_LARGE,
        ),
        (
            pod("Failed", ended(1, '{"broken": "x"}', "Error")),
            Retryable,
            TerminationCode.EXECUTOR_UNAVAILABLE,
        ),
        (
            pod(
                "Failed",
                reason="Evicted",
                message='Usage of EmptyDir volume "job" exceeds the limit (emptyDir)',
            ),
            Permanent,
            TerminationCode.OUTPUT_TOO_LARGE,
        ),
        (
            pod("Failed", reason="Evicted", message="low on memory"),
            Retryable,
            TerminationCode.EXECUTOR_UNAVAILABLE,
        ),
        (pod("Failed", reason="NodeLost"), Retryable, TerminationCode.EXECUTOR_UNAVAILABLE),
    ],
)
def test_a_pod_that_ends_without_an_exit_code_says_why(
    status: dict[str, Any], kind: type[Failure], code: TerminationCode
) -> None:
    why = diagnosis.lost(diagnosis.read(status), {})

    assert (type(why), why.code) == (kind, code)


def test_a_pod_that_vanished_is_told_in_the_job_s_words() -> None:
    job = {"status": {"conditions": [{"type": "Failed", "status": "True", "reason": "BackoffLimitExceeded"}]}}
    why = diagnosis.lost(None, job)

    assert isinstance(why, Retryable)
    assert "BackoffLimitExceeded" in why.message
    assert diagnosis.is_over(job)


@pytest.mark.parametrize("kind", ["FailureTarget", "SuccessCriteriaMet", "Suspended"])
def test_a_job_is_over_when_it_is_complete_or_failed(kind: str) -> None:
    assert not diagnosis.is_over({"status": {"conditions": [{"type": kind, "status": "True"}]}})
    assert not diagnosis.is_over({})
