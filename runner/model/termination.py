"""Why an attempt ended, in the words the database knows."""

from __future__ import annotations

from enum import StrEnum


class TerminationCode(StrEnum):
    """The labels of queue.termination_code; what each means, and who is at fault, is in queue.termination_codes."""

    SUCCESS = "SUCCESS"
    USER_CODE_FAILED = "USER_CODE_FAILED"
    OUT_OF_MEMORY = "OUT_OF_MEMORY"
    DEADLINE_EXCEEDED = "DEADLINE_EXCEEDED"
    RUN_TIMED_OUT = "RUN_TIMED_OUT"
    USER_CANCELED = "USER_CANCELED"
    RUNNER_LOST = "RUNNER_LOST"
    NO_SANDBOX = "NO_SANDBOX"
    NOT_GRANTED = "NOT_GRANTED"
    INVALID_CODE = "INVALID_CODE"
    VALIDATION_FAILED = "VALIDATION_FAILED"
    INPUT_UNAVAILABLE = "INPUT_UNAVAILABLE"
    OUTPUT_INVALID = "OUTPUT_INVALID"
    OUTPUT_TOO_LARGE = "OUTPUT_TOO_LARGE"
    SECRET_IN_OUTPUT = "SECRET_IN_OUTPUT"  # noqa: S105 - a code, not a secret
    SECRET_UNAVAILABLE = "SECRET_UNAVAILABLE"  # noqa: S105 - a code, not a secret
    EXECUTOR_UNAVAILABLE = "EXECUTOR_UNAVAILABLE"
    PUBLISH_FAILED = "PUBLISH_FAILED"
    UPSTREAM_FAILED = "UPSTREAM_FAILED"
    EXCLUDED = "EXCLUDED"
    MAX_CONCURRENT_RUNS = "MAX_CONCURRENT_RUNS"
    INTERNAL_ERROR = "INTERNAL_ERROR"
