"""The command line of `scripts/demo`."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from dev.demo.stage import Stage
from dev.demo.story import Wishes, play
from dev.stack.state import CLONE


def main() -> int:
    arguments = _parser().parse_args()
    # what root makes must be readable by the sandbox's user, whatever root's umask is
    os.umask(0o022)
    stage = Stage()
    wishes = Wishes(arguments.engine, arguments.tenant, arguments.out.absolute(), arguments.generate)
    try:
        play(stage, wishes, keep=arguments.keep)
    except KeyboardInterrupt:
        stage.say("interrupted", style="warn")
        return 130
    return 0 if stage.close() else 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="scripts/demo",
        description="Installs what is missing, starts the local stack, carries a real PySpark job over public"
        " data through bronze, silver and gold, and shows what came of it: the answer, lineage, artifacts,"
        " verified callbacks, a job that fails, the success figures. Exits 0 only if all of it is true.",
        epilog="A stack that ran before is left running. CONTROL_ROOM_STACK_DIR chooses the stack.",
    )
    parser.add_argument("--engine", choices=("duckdb", "spark"), default="duckdb", help="of the job (duckdb)")
    parser.add_argument(
        "--generate",
        action="store_true",
        help="send the spec alone: the Continue CLI writes the code, with a scripted model",
    )
    parser.add_argument("--keep", action="store_true", help="leave the stack up")
    parser.add_argument("--tenant", default="demo", metavar="SLUG", help="demo")
    parser.add_argument("--out", type=Path, default=CLONE / "out" / "demo", metavar="DIR", help="out/demo")
    return parser


if __name__ == "__main__":
    sys.exit(main())
