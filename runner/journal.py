"""The runner's own log: one JSON object per line, or text for people.

The message of a log call is the name of an event; everything else goes into `extra`. Whose work was being
done, if it was somebody's, comes along (`watch.scope`). Values of secrets are never passed to a log call; job
output goes to the database, not here.
"""

from __future__ import annotations

import json
import logging
import sys
from datetime import UTC, datetime

from runner.watch.scope import SCOPE

_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


def set_up(form: str, level: str) -> None:
    """Send every record to stderr in the given form (json or text)."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter() if form == "json" else TextFormatter())
    logging.basicConfig(handlers=[handler], level=level, force=True)
    # Each request of these would be a line, with URLs that hold signatures.
    for noisy in ("httpx", "httpcore", "psycopg", "asyncio"):
        logging.getLogger(noisy).setLevel(logging.WARNING)


class JsonFormatter(logging.Formatter):
    """{"ts", "level", "event", "logger", "run_id"?, "attempt_id"?, …extra, "error"?}"""

    def format(self, record: logging.LogRecord) -> str:
        """One line."""
        line: dict[str, object] = {
            "ts": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "event": record.getMessage(),
            "logger": record.name,
            **SCOPE.get(),
            **_extra(record),
        }
        if record.exc_info:
            line["error"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str)


class TextFormatter(logging.Formatter):
    """12:00:00 INFO  event key=value …"""

    def format(self, record: logging.LogRecord) -> str:
        """One line, and a traceback below it when there is one."""
        at = datetime.fromtimestamp(record.created).strftime("%H:%M:%S")
        said = {**SCOPE.get(), **_extra(record)}
        extra = " ".join(f"{key}={value}" for key, value in said.items())
        line = f"{at} {record.levelname:<7} {record.getMessage()} {extra}".rstrip()
        return f"{line}\n{self.formatException(record.exc_info)}" if record.exc_info else line


def _extra(record: logging.LogRecord) -> dict[str, object]:
    return {key: value for key, value in vars(record).items() if key not in _STANDARD and value is not None}
