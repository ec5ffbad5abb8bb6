"""`python -m control_room_catalog`, in /job: request.json in, outputs/result.json out. Exits 0 whatever the
documents are like: one that cannot be read is told of, and sinks no other.
"""

from __future__ import annotations

import json
import os
import resource
import select
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from . import reading, sources
from .sources import Document

SECONDS = 30
MEMORY = 768 * 1024**2
MAX_ANSWER = 8 * 1024**2


def main() -> int:
    """One catalogue."""
    root = Path.cwd()
    request = json.loads((root / ".control-room" / "request.json").read_text("utf-8"))
    entries: list[dict[str, Any]] = []
    rejected: list[dict[str, str]] = []
    documents = list(sources.documents(request, root))
    for number, document in enumerate(documents, 1):
        answer = {"problem": document.problem} if document.problem else apart(document)
        if problem := answer.get("problem"):
            rejected.append({"key": document.key, "reason": problem})
            print(f"{document.key}: {problem}", file=sys.stderr, flush=True)
        else:
            entries.append({"key": document.key, **answer, **document.said, "source": document.source})
        print(f"::progress {90 * number // len(documents)} {number} of {len(documents)}", flush=True)
    result = {"entries": entries, "rejected": rejected}
    (root / "outputs" / "result.json").write_text(json.dumps(result), "utf-8")
    print(f"{len(entries)} entries, {len(rejected)} documents that could not be read", flush=True)
    return 0


def apart(document: Document) -> dict[str, Any]:
    """Read one document in a child: what hangs, crashes or eats all memory is a problem of its own."""
    reading.preload(document)
    ours, theirs = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(ours)
        _read(document, theirs)
    os.close(theirs)
    said = b"".join(_pieces(ours, time.monotonic() + SECONDS))
    os.close(ours)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    try:
        answer = json.loads(said)
    except ValueError:
        return {"problem": "it could not be read: its reader took too long, too much memory, or crashed"}
    return answer if isinstance(answer, dict) else {"problem": "it could not be read"}


def _pieces(handle: int, end: float) -> Iterator[bytes]:
    size = 0
    while size <= MAX_ANSWER and (left := end - time.monotonic()) > 0:
        ready, _, _ = select.select([handle], [], [], left)
        piece = os.read(handle, 65_536) if ready else b""
        if not piece:
            return
        size += len(piece)
        yield piece


def _read(document: Document, handle: int) -> None:
    """The child: never comes back."""
    try:
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
        resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS))
        try:
            answer = reading.read(document)
        except reading.Unreadable as error:
            answer = {"problem": str(error)}
        except MemoryError:
            answer = {"problem": "it could not be read: it takes too much memory"}
        except Exception as error:  # a parser met something that it does not know
            answer = {"problem": f"it could not be read: {type(error).__name__}: {str(error)[:200]}"}
        with os.fdopen(handle, "wb") as file:
            file.write(json.dumps(answer).encode())
    finally:
        os._exit(0)


if __name__ == "__main__":
    sys.exit(main())
