"""`kb_catalog`: documents → entries of a knowledge base, found by their words.

The same request goes to the harness in the sandbox (the default) or to an n8n workflow, and the same result
comes back from either: `outputs/result.json`, {"entries": […], "rejected": […]}, believed as little from the
one as from the other (`result`). Documents are inputs (files, archives of files, tables whose rows are
documents), texts in `params.documents`, text files of `code`, and records of Odoo.

Parameters (all optional):

    collection       which knowledge base (documents)
    mode             merge | replace: what to do with entries that the source no longer has (merge: keep)
    language         how words are bent, e.g. german; one document may say otherwise (english)
    classification   internal | confidential; likewise (internal)
    documents        [{"key", "text", "media_type"?, "title"?, "url"?, "tags"?, "language"?,
                     "classification"?}]
    columns          {"key", "title", "body", "url"}: which columns of table inputs they are
    odoo             [{"url", "database", "login", "secret", "model", "domain"?, "title"?, "body"?,
                     "limit"?}]
    workflow         the n8n workflow, where n8n carries it out (kb_catalog)
"""

from __future__ import annotations

import json
from pathlib import Path

from runner.jobtype import environment
from runner.jobtype.base import Collected, Command, Exit, Limits, Place, Readiness, Workspace
from runner.jobtype.kb_catalog import provenance, request, result
from runner.jobtype.library import FOLDER, Library
from runner.model.attempt import Attempt
from runner.model.command import GIB, MIB
from runner.model.errors import Permanent
from runner.model.termination import TerminationCode
from runner.model.workspace import JOB, SIDE_CHANNEL

ENGINE = "catalog"
MODULE = "control_room_catalog"
LIMITS = Limits(memory_bytes=1 * GIB, pids=32, file_bytes=128 * MIB, tmp_bytes=128 * MIB)

_HERE = Path(__file__).resolve().parent
_LIBRARY = Library({MODULE: _HERE / "harness", "runner/odoo": _HERE.parents[1] / "odoo"})


class KbCatalog:
    """See `jobtype.base.JobType`. `outside`: somebody else reads the documents, and no engine is needed."""

    name = "kb_catalog"
    takes_packed_code = False

    def __init__(self, place: Place, *, outside: bool = False) -> None:
        self._place = place
        self._outside = outside

    def readiness(self) -> tuple[Readiness, ...]:
        """Ready when the environment of the readers is there and the sandbox's user may run it."""
        return (Readiness("default", "" if self._outside else environment.reason(self._place, ENGINE)),)

    def prepare(self, attempt: Attempt, workspace: Workspace) -> Command:
        """Write the request, and the harness. Raises Permanent(INVALID_CODE)."""
        workspace.side_channel.mkdir(exist_ok=True)
        asked = request.of(attempt)
        (workspace.side_channel / "request.json").write_text(json.dumps(asked), "utf-8")
        if self._outside:
            return Command(argv=())
        _LIBRARY.lay_out(workspace.side_channel / FOLDER)
        found = environment.find(self._place, ENGINE)
        return Command(
            argv=(found.python, "-B", "-P", "-s", "-m", MODULE),
            binds=found.binds,
            environment={"PYTHONPATH": f"{JOB}/{SIDE_CHANNEL}/{FOLDER}", **found.variables},
            limits=LIMITS,
        )

    def collect(self, attempt: Attempt, workspace: Workspace, exit: Exit) -> Collected:
        """The entries, and where they come from. Raises Permanent(OUTPUT_INVALID, OUTPUT_TOO_LARGE)."""
        if exit.code != 0:
            return Collected()
        entries = result.read(attempt, workspace)
        failure = None
        if entries and all(each.problem for each in entries):
            failure = Permanent(
                TerminationCode.INPUT_UNAVAILABLE,
                f"none of {len(entries)} documents could be read; {entries[0].key}: {entries[0].problem}",
            )
        return Collected(
            entries=entries,
            lineage=(provenance.event(attempt, entries),),
            values={"collection": request.collection(attempt)},
            failure=failure,
        )
