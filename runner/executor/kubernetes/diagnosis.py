"""What the status of a pod means. Plain dictionaries in, words out; nothing here waits or asks.

Waiting(why)          it has not begun, and may still
Running               the command runs, or its results are on their way
Ended(work, deliver)  the pod is over: what each container said
failure(…)            why it will never begin, as one of the two failure words
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from runner.executor.kubernetes.cluster import Refused
from runner.executor.kubernetes.manifest import DELIVER, FETCH, WORK
from runner.model.errors import Failure, Permanent, Retryable
from runner.model.termination import TerminationCode

JsonObject = dict[str, Any]

#: Waiting that no time heals.
_HOPELESS = frozenset({"InvalidImageName", "ErrImageNeverPull", "ImageInspectError"})
#: Waiting that a registry's hiccup or a Secret that comes a moment later also shows.
_DOUBTFUL = frozenset(
    {
        "ErrImagePull",
        "ImagePullBackOff",
        "RegistryUnavailable",
        "CreateContainerConfigError",
        "CreateContainerError",
        "RunContainerError",
    }
)
DOUBT_SECONDS = 15.0
#: Waiting for an image, or for a container of it.
_OF_IMAGE = (_HOPELESS | _DOUBTFUL) - {"CreateContainerConfigError"}
#: Ends of a container whose program never ran.
_NO_START = frozenset({"StartError", "ContainerCannotRun"})
OOM_KILLED = "OOMKilled"
_SECRET = re.compile(r'secret "([^"]+)" not found|couldn\'t find key (\S+) in Secret', re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Said:
    """How one container ended: `message` is its last word, empty where it could not speak."""

    exit_code: int
    reason: str = ""
    message: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class State:
    """A pod as the executor sees it. `containers` holds those that ended."""

    name: str
    address: str = ""
    begun: bool = False  # `work` has started
    over: bool = False  # no container will start or run any more
    waiting: str = ""  # the reason of the container that waits
    waiting_message: str = ""
    reason: str = ""  # of the pod as a whole: Evicted, NodeLost …
    message: str = ""
    containers: Mapping[str, Said] = field(default_factory=dict)

    @property
    def work(self) -> Said | None:
        """How the command ended."""
        return self.containers.get(WORK)

    @property
    def deliver(self) -> Said | None:
        """How sending the results ended."""
        return self.containers.get(DELIVER)

    @property
    def fetch(self) -> Said | None:
        """How bringing the workspace ended."""
        return self.containers.get(FETCH)


def read(pod: JsonObject) -> State:
    """The state of a pod."""
    status = pod.get("status") or {}
    begun, ended, waiting = False, {}, ("", "")
    for each in (*(status.get("initContainerStatuses") or ()), *(status.get("containerStatuses") or ())):
        state = each.get("state") or {}
        if (over := state.get("terminated")) is not None:
            ended[each["name"]] = Said(
                int(over.get("exitCode", -1)), over.get("reason") or "", _message(over)
            )
        elif (waits := state.get("waiting")) is not None and not waiting[0]:
            reason = waits.get("reason") or ""
            if reason not in ("", "PodInitializing", "ContainerCreating"):
                waiting = (reason, waits.get("message") or "")
        if each["name"] == WORK and ("running" in state or "terminated" in state):
            begun = True
    return State(
        name=pod["metadata"]["name"],
        address=status.get("podIP") or "",
        begun=begun,
        # A kubelet runs nothing after an init container with an out-of-memory kill in it, whatever its exit
        # code, and on control groups of version 1 lets the pod be Pending for ever.
        over=status.get("phase") in ("Succeeded", "Failed")
        or any(each.reason == OOM_KILLED for each in ended.values()),
        waiting=waiting[0],
        waiting_message=waiting[1],
        reason=status.get("reason") or "",
        message=status.get("message") or "",
        containers=ended,
    )


def hopeless(
    state: State | None, events: Iterable[JsonObject], waited: float, patience: float
) -> Failure | None:
    """Why a pod that has not begun never will, None while it may. `waited` seconds since it was asked for;
    `events` are those of the Job and the pod, newest last."""
    reason = "" if state is None else state.waiting
    doubt = min(DOUBT_SECONDS, patience / 2)
    if state is not None and (reason in _HOPELESS or (reason in _DOUBTFUL and waited > doubt)):
        return _of_container(state)
    warned = [each for each in events if each.get("type") == "Warning"]
    for each in reversed(warned):
        reason, message = each.get("reason") or "", each.get("message") or ""
        if reason == "FailedCreate" and "exceeded quota" not in message and "forbidden" in message:
            return Permanent(
                TerminationCode.EXECUTOR_UNAVAILABLE, f"the cluster admits no such pod: {message[:500]}"
            )
        if reason == "FailedMount" and waited > doubt and (found := _SECRET.search(message)):
            return Permanent(
                TerminationCode.SECRET_UNAVAILABLE,
                f"there is no Secret {found[1] or found[2]} in the namespace",
            )
    if waited <= patience:
        return None
    last = warned[-1] if warned else {}
    why = f"{last.get('reason', 'Pending')}: {last.get('message', 'the cluster does not say why')}"
    if state is not None and state.waiting:
        why = f"{state.waiting}: {state.waiting_message}"
    return Retryable(
        TerminationCode.EXECUTOR_UNAVAILABLE, f"no pod has begun within {patience:g} s ({why[:500]})"
    )


def lost(state: State | None, job: JsonObject) -> Failure:  # noqa: PLR0911 - as many words as there are ends
    """A pod that ended without a word about the command: why, as far as the cluster says."""
    if state is not None:
        for which in (FETCH, WORK, DELIVER):
            said = state.containers.get(which)
            if said is None or said.exit_code == 0:
                continue
            if said.reason == OOM_KILLED and which == WORK:
                return Retryable(TerminationCode.OUT_OF_MEMORY, "the job used more than its memory")
            if "refused" in said.message:
                return _refused(which, str(said.message["refused"]))
            if said.message or not state.reason:
                word = said.message.get("broken") or said.reason or f"exit {said.exit_code}"
                return Retryable(
                    TerminationCode.EXECUTOR_UNAVAILABLE, f"the pod's {which} ended: {word}"[:1000]
                )
        if "emptyDir" in state.message or "ephemeral" in state.message.lower():
            return Permanent(
                TerminationCode.OUTPUT_TOO_LARGE, f"the job wrote too much: {state.message[:500]}"
            )
        if state.reason:
            return Retryable(
                TerminationCode.EXECUTOR_UNAVAILABLE,
                f"the pod was ended ({state.reason}): {state.message[:500]}",
            )
    for each in (job.get("status") or {}).get("conditions") or ():
        if each.get("type") == "Failed" and each.get("status") == "True":
            return Retryable(
                TerminationCode.EXECUTOR_UNAVAILABLE,
                f"the pod is gone ({each.get('reason')}): {each.get('message', '')[:500]}",
            )
    return Retryable(
        TerminationCode.EXECUTOR_UNAVAILABLE, "the pod is gone, and the cluster does not say why"
    )


def not_taken(refused: Refused, namespace: str) -> Failure:
    """What a refused Job or Secret means for the attempt."""
    message = f"namespace {namespace} does not take it: {refused.message[:500]}"
    if refused.status == 403 and "exceeded quota" in refused.message:
        return Retryable(TerminationCode.EXECUTOR_UNAVAILABLE, message, after_ms=10_000)
    return Permanent(TerminationCode.EXECUTOR_UNAVAILABLE, message)


def scattered(states: Iterable[State], job: JsonObject, called: str) -> Failure | None:
    """Why a crew is not there any more, None while its Job goes on."""
    if not is_over(job):
        return None
    ends = [each.work for each in states if each.work is not None and each.work.exit_code != 0]
    if any(each.reason == OOM_KILLED for each in ends):
        return Retryable(TerminationCode.OUT_OF_MEMORY, f"an {called} used more than its memory")
    said = ends[-1].message.get("refused") or ends[-1].message.get("broken") if ends else ""
    return Retryable(
        TerminationCode.EXECUTOR_UNAVAILABLE, f"every {called} has ended{f': {said}' if said else ''}"[:1000]
    )


def is_over(job: JsonObject) -> bool:
    """True when the Job is Complete or Failed."""
    return any(
        each.get("type") in ("Complete", "Failed") and each.get("status") == "True"
        for each in (job.get("status") or {}).get("conditions") or ()
    )


def blamed(failure: Failure, state: State | None) -> Failure:
    """The same failure where the task names its own image: `work` did not start, and that is its image's."""
    if state is None or state.fetch is None or failure.code is not TerminationCode.EXECUTOR_UNAVAILABLE:
        return failure
    if state.waiting in _OF_IMAGE:
        return type(failure)(TerminationCode.IMAGE_UNAVAILABLE, failure.message)
    if state.work is not None and state.work.reason in _NO_START:
        return Permanent(TerminationCode.IMAGE_UNAVAILABLE, failure.message)
    return failure


def _of_container(state: State) -> Failure:
    said = state.waiting_message[:500]
    if found := _SECRET.search(state.waiting_message):
        return Permanent(
            TerminationCode.SECRET_UNAVAILABLE,
            f"there is no Secret {found[1] or found[2]} in the namespace ({said})",
        )
    return Permanent(TerminationCode.EXECUTOR_UNAVAILABLE, f"the pod cannot start ({state.waiting}): {said}")


def _refused(which: str, said: str) -> Failure:
    if said == "too large":
        return Permanent(TerminationCode.OUTPUT_TOO_LARGE, "the job left more below /job than it may")
    if said.startswith("nothing keeps"):
        return Permanent(TerminationCode.NO_SANDBOX, said)
    return Retryable(TerminationCode.EXECUTOR_UNAVAILABLE, f"the pod's {which} gave up: {said}")


def _message(terminated: JsonObject) -> Mapping[str, Any]:
    try:
        found = json.loads(terminated.get("message") or "{}")
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
