"""Many executors: Spark's own cluster manager, with its master in the driver's JVM and a worker beside each
executor, each in a sandbox of its own. All of them see the same /job.

Whoever has no word of theirs is answered by nobody: what they say to one another is signed and encrypted.
What would answer without it listens to the sandbox itself alone (pages), or not at all (submission by REST).
"""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Any

from .request import Cluster, Request

#: Where each listens; an executor that begins again takes the next free one (deploy/kubernetes/network.yaml).
MASTER_PORT, WORKER_PORT, DRIVER_PORT, DRIVER_BLOCKS_PORT, BLOCKS_PORT = 7077, 7078, 7079, 7080, 7081
#: The sandbox's own disk: /job is everybody's, and may be a network away.
SCRATCH = Path("/control-room/scratch")
TEMPORARY = SCRATCH / "tmp"
LOCAL_IP = "127.0.0.1"
_REGISTRATION_SECONDS = 120


def host() -> str:
    """The address of this sandbox."""
    return socket.gethostbyname(socket.gethostname())


def log_settings(request: Request) -> Path:
    """Log4j's, for every JVM."""
    return request.side_channel / "log4j2.properties"


def java_options(request: Request) -> str:
    """What every JVM is told."""
    return (
        f"-XX:+UseSerialGC -XX:-UsePerfData -Djava.io.tmpdir={TEMPORARY}"
        f" -Dlog4j2.configurationFile=file:{log_settings(request)}"
    )


def common(cluster: Cluster) -> dict[str, str]:
    """What driver and workers have to agree on."""
    return {
        "spark.authenticate": "true",
        "spark.authenticate.secret": cluster.secret,
        "spark.network.crypto.enabled": "true",
        "spark.master.rest.enabled": "false",
        "spark.ui.killEnabled": "false",
    }


def driver(request: Request, cluster: Cluster, heap: int) -> dict[str, str]:
    """The driver's settings, beside those that it has in any case."""
    here = host()
    return {
        **common(cluster),
        "spark.master": f"spark://{here}:{MASTER_PORT}",
        "spark.driver.host": here,
        "spark.driver.bindAddress": here,
        "spark.driver.port": str(DRIVER_PORT),
        "spark.driver.blockManager.port": str(DRIVER_BLOCKS_PORT),
        "spark.blockManager.port": str(BLOCKS_PORT),
        "spark.cores.max": str(request.cpus * cluster.executors),
        "spark.executor.memory": f"{heap}m",
        "spark.executor.extraJavaOptions": java_options(request),
        # work begins when all of them are there, or after two minutes with those that are
        "spark.scheduler.minRegisteredResourcesRatio": "1.0",
        "spark.scheduler.maxRegisteredResourcesWaitingTime": f"{_REGISTRATION_SECONDS}s",
        "spark.sql.shuffle.partitions": str(2 * request.cpus * cluster.executors),
    }


def start_master(pyspark: Any, settings: dict[str, str]) -> None:
    """The JVM, and the master in it, before there is a context that asks it for executors."""
    conf = pyspark.SparkConf(loadDefaults=False)
    for key, value in settings.items():
        conf.set(key, value)
    pyspark.SparkContext._ensure_initialized(conf=conf)
    jvm = pyspark.SparkContext._jvm
    jvm.org.apache.spark.deploy.master.Master.startRpcEnvAndEndpoint(
        settings["spark.driver.host"], MASTER_PORT, 0, jvm.org.apache.spark.SparkConf()
    )
