"""The harness and the lineage package, as the sandbox will import them.

library/control_room_harness/   runner/jobtype/spark_etl/harness
library/runner/lineage/         runner/lineage (a namespace package: the rest of the runner stays outside)
"""

from __future__ import annotations

from pathlib import Path

from runner.jobtype.library import FOLDER, Library

__all__ = ["FOLDER", "MODULE", "lay_out"]

MODULE = "control_room_harness"

_HERE = Path(__file__).resolve().parent
_LIBRARY = Library({MODULE: _HERE / "harness", "runner/lineage": _HERE.parents[1] / "lineage"})

lay_out = _LIBRARY.lay_out
