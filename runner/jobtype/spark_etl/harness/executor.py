"""`python -m control_room_harness.executor`, in a sandbox beside the driver's: becomes Spark's worker, which
starts the executor. The environment that is promised is the executor's too; what Spark needs is added.
"""

from __future__ import annotations

import importlib.util
import os
import sys
from pathlib import Path

from . import cluster as clusters
from . import request as requests

_WORKER_HEAP = "128m"


def main() -> None:
    """Never returns."""
    request = requests.read(Path.cwd())
    cluster = request.cluster
    found = importlib.util.find_spec("pyspark")
    if cluster is None or found is None or found.origin is None:
        raise SystemExit("control room: nobody asked for executors")
    number, driver = os.environ.pop("CREW_NUMBER"), os.environ.pop("CREW_CALLS")
    home = Path(found.origin).parent
    clusters.TEMPORARY.mkdir(parents=True, exist_ok=True)
    prints = request.side_channel / "executors" / number
    prints.mkdir(parents=True, exist_ok=True)
    settings = clusters.SCRATCH / "worker.conf"
    settings.touch(mode=0o600)
    settings.write_text("".join(f"{key} {value}\n" for key, value in clusters.common(cluster).items()))
    heap = requests.heap_mib(request)
    argv = [
        f"{os.environ['JAVA_HOME']}/bin/java",
        f"-Xmx{_WORKER_HEAP}",
        *clusters.java_options(request).split(),
        *("-cp", f"{home}/jars/*", "org.apache.spark.deploy.worker.Worker"),
        *("--host", clusters.host(), "--port", str(clusters.WORKER_PORT), "--webui-port", "0"),
        *("--cores", str(request.cpus), "--memory", f"{heap}m"),
        *("--work-dir", str(prints), "--properties-file", str(settings)),
        f"spark://{driver}:{clusters.MASTER_PORT}",
    ]
    os.environ |= {
        "PYTHONPATH": str(request.root),  # the modules beside job.py, as the driver finds them
        "SPARK_HOME": str(home),
        "SPARK_SCALA_VERSION": "2.13",
        "SPARK_LOCAL_DIRS": str(clusters.SCRATCH),
        "SPARK_LOCAL_IP": clusters.LOCAL_IP,
    }
    os.environ.pop("PYTHONSAFEPATH", None)
    sys.stdout.flush()
    os.execv(argv[0], argv)  # noqa: S606 - java, by its path


if __name__ == "__main__":
    main()
