"""A followed log: server-sent events, read so that nothing is missed and nothing comes twice.

The server ends a stream after two minutes; the reader comes back with the last seq that it saw, as it does
after a broken connection. https://html.spec.whatwg.org/multipage/server-sent-events.html
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field

from control_room.errors import ApiError
from control_room.model import LogLine
from control_room.operation import Request, query

#: Reconnections in a row that brought nothing, before the reader gives up.
PATIENCE = 5
RECONNECT_SECONDS = 1.0


@dataclass
class Feed:
    """Where one reader stands in one run's log."""

    run_id: int
    after: int = 0
    task_key: str | None = None
    #: The server said that nothing more will come.
    ended: bool = False
    fruitless: int = 0
    _event: str = "message"
    _data: list[str] = field(default_factory=list)

    def request(self) -> Request:
        headers = {"accept": "text/event-stream"}
        if self.after:
            headers["last-event-id"] = str(self.after)
        asked = query(follow=1, after=self.after or None, task_key=self.task_key)
        self._event, self._data = "message", []
        return Request("GET", f"/runs/{self.run_id}/logs", query=asked, headers=headers, repeatable=True)

    def read(self, line: str) -> LogLine | None:
        """One line of the stream in, a log line out where one is complete. Raises ApiError on `error`."""
        if line:
            name, _, value = line.partition(":")
            value = value.removeprefix(" ")
            if name == "event":
                self._event = value
            elif name == "data":
                self._data.append(value)
            return None
        event, data = self._event, "\n".join(self._data)
        self._event, self._data = "message", []
        if event == "end":
            self.ended = True
        elif event == "error":
            raise ApiError.of(500, data)
        elif data:
            found = LogLine.model_validate(json.loads(data))
            if found.seq > self.after:
                self.after, self.fruitless = found.seq, 0
                return found
        return None
