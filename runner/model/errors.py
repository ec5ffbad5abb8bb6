"""What can go wrong, as two words and a few facts.

ControlRoomError
├── SettingsError              the environment is wrong: one line, with the mend
├── Failure                    the attempt fails; carries a termination code
│   ├── Permanent              trying again cannot help: bad input, invalid code, no sandbox, not granted
│   └── Retryable              another try may succeed: non-zero exit, out of memory, lost connection
├── StaleLease                 somebody else holds the attempt now: discard everything, write nothing
├── StoreUnavailable           the database cannot be reached; the same call may be made again
└── StoreRefused               the database answered with an error that will not go away by itself
"""

from __future__ import annotations

from runner.model.termination import TerminationCode


class ControlRoomError(Exception):
    """Root of every error of the runner."""


class SettingsError(ControlRoomError):
    """The environment does not describe a runner that can work. The text is for the operator."""


class Failure(ControlRoomError):
    """The attempt cannot succeed. The message is shown to the tenant: no secrets, no paths of the runner."""

    def __init__(self, code: TerminationCode, message: str) -> None:
        super().__init__(f"{code.value}: {message}")
        self.code = code
        self.message = message


class Permanent(Failure):
    """Trying again cannot help."""


class Retryable(Failure):
    """Another try may succeed. `after_ms` overrides the default delay (1, 2, 4 s with jitter)."""

    def __init__(self, code: TerminationCode, message: str, after_ms: int | None = None) -> None:
        super().__init__(code, message)
        self.after_ms = after_ms


class StaleLease(ControlRoomError):
    """The lease is no longer ours."""


class StoreUnavailable(ControlRoomError):
    """The database is away: connection refused, reset, or shutting down."""


class StoreRefused(ControlRoomError):
    """The database refused the statement. `code` is its own error code (STALE_LEASE …) or a SQLSTATE."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message
