"""Submitting a run: by RPC and through the edge function, beside pgbench of the same function call."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

from benches.yardstick import Load, arguments, median, pgbench, report, say, stack, wrk

BODY = json.dumps(
    {"job_type": "spark_etl", "spec": "count the flights", "code": {"files": {"job.py": "print(1)"}}}
)
CALL = """\
begin;
select set_config('role', 'operator', true), set_config('request.jwt.claims', :claims, true);
select public.run_job(:body);
commit;
"""


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--seconds", type=float, default=8, help="of one measurement")
    parser.add_argument("--repeat", type=int, default=3)
    asked = parser.parse_args()
    seconds, repeat = (2, 1) if asked.quick else (asked.seconds, asked.repeat)
    ours: dict[str, list[float]] = {}
    peer: dict[str, list[float]] = {}

    def keep(into: dict[str, list[float]], prefix: str, load: Load) -> None:
        if load.errors:
            raise SystemExit(f"error: {prefix}: {load.errors} answers were not 2xx")
        for name in ("rps", "p50_ms", "p99_ms"):
            into.setdefault(f"{prefix}_{name}", []).append(getattr(load, name))
        say(f"  {prefix:12} {load.rps:8.0f}/s   p50 {load.p50_ms:7.2f} ms   p99 {load.p99_ms:7.2f} ms")

    # no runner: what is measured is submitting, not running
    services = "postgres,gateway,functions"
    with tempfile.TemporaryDirectory() as scratch, stack("bench-submit", services=services) as up:
        folder = Path(scratch)
        url = up.env["SUPABASE_URL"]
        headers = {
            "apikey": up.env["SUPABASE_ANON_KEY"],
            "Authorization": f"Bearer {up.token}",
            "Content-Type": "application/json",
        }
        claims = json.dumps(up.claims).replace("'", "''")
        for turn in range(repeat):
            say(f"round {turn + 1} of {repeat}")
            for c in (1, 8, 32):
                for door, path in (("rpc", "rest/v1/rpc/run_job"), ("edge", "functions/v1/api/v1/jobs/run")):
                    keep(ours, f"{door}_c{c}", wrk(f"{url}/{path}", headers, BODY, c, seconds, folder))
                defines = {"claims": f"'{claims}'", "body": f"'{BODY}'"}
                direct = pgbench(up.env["DATABASE_URL"], CALL, defines, c, seconds, folder)
                keep(peer, f"rpc_c{c}", direct)
                for name in ("rps", "p50_ms", "p99_ms"):
                    peer.setdefault(f"edge_c{c}_{name}", []).append(getattr(direct, name))
    report(
        "submit",
        {k: median(v) for k, v in ours.items()},
        {"pgbench": {k: median(v) for k, v in peer.items()}},
        {
            "seconds": seconds,
            "repeat": repeat,
            "goals": {"rpc_c8_rps": 500, "edge_c8_rps": 200, "p99_ms": 60},
        },
    )


if __name__ == "__main__":
    main()
