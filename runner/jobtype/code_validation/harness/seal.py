"""The seal: how the runner knows that the report is the harness' own.

Tests of the code run as the same user, in the same /job: they could write a report of their own. Each file of
the report is authenticated with a key that the runner made for this attempt. The key was in a file that is
gone before any tool starts, and from then on only in this process' memory, which `shut` closes: a process
that is not dumpable can be neither traced nor read (/proc/<pid>/mem, environ, fd) by others of its user.
Killing it instead leaves no report, and no report is never a pass.
"""

from __future__ import annotations

import ctypes
import hashlib
import hmac
import json
from collections.abc import Mapping

_PR_SET_DUMPABLE = 4


def shut() -> None:
    """Close this process to others of its user. Raises OSError."""
    if ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl")


def of(key: bytes, files: Mapping[str, bytes]) -> str:
    """The seal over names and contents."""
    listed = [[name, hashlib.sha256(data).hexdigest()] for name, data in sorted(files.items())]
    return hmac.new(key, json.dumps(listed).encode(), hashlib.sha256).hexdigest()
