"""A runner whose clock is wrong: by so many seconds as the file CONTROL_ROOM_TEST_CLOCK says at the moment.

Python imports this module before any other where its folder is on PYTHONPATH. All that tells the time of day is
shifted; the monotonic clock is not. (libfaketime would do it from outside, but `time.sleep` fails under it.)
"""

import datetime
import os
import time

_FILE = os.environ.get("CONTROL_ROOM_TEST_CLOCK")

if _FILE is not None:
    _time, _time_ns, _datetime = time.time, time.time_ns, datetime.datetime

    def _shift() -> float:
        with open(_FILE) as file:
            return float(file.read() or 0)

    class _Shifted(_datetime):
        @classmethod
        def now(cls, tz=None):
            return cls.fromtimestamp(time.time(), tz)

        @classmethod
        def utcnow(cls):
            return cls.now(datetime.UTC).replace(tzinfo=None)

    time.time = lambda: _time() + _shift()
    time.time_ns = lambda: _time_ns() + int(_shift() * 1e9)
    datetime.datetime = _Shifted
