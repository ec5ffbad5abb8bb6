"""The engine `spark`: real PySpark, in local mode or with executors (`cluster`), watched through a
QueryExecutionListener written in Python.

The session exists before user code starts, as on Databricks: `SparkSession.builder…getOrCreate()` finds it,
settings that a session takes at run time are applied, the others are ignored with Spark's own warning. The
listener gets the analysed plan of every write and of every collect; `spark_plan` reads its JSON, and a few
calls into the JVM per leaf tell where the files are. Spark calls listeners from a thread of its own, some
time later: whoever needs the books to be complete empties the listener bus first.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import sys
import threading
from typing import Any

from runner.lineage import spark_plan
from runner.lineage.flow import IDENTITY, Column, Flow, Origin
from runner.lineage.spark_plan import Leaf

from . import cluster as clusters
from .capture import LOCAL, Capture
from .request import Request, heap_mib

_TAKES_DATA = ("collect", "head", "take", "tail", "first", "toLocalIterator", "toPandas", "toArrow")
# Commands whose data arrives by another event, or that move none.
_QUIET_COMMANDS = (
    "CreateDataSourceTableAsSelectCommand",
    "CreateViewCommand",
    "SaveAsV1TableCommand",
    "CreateDataSourceTableCommand",
    "CreateTableCommand",
    "DropTableCommand",
    "DropTempViewCommand",
    "SetCommand",
    "CacheTableCommand",
)
_FLUSH_MS = 30_000
# Errors only, without Spark's words of welcome: the log belongs to the job.
_LOGGING = """
rootLogger.level = error
rootLogger.appenderRef.console.ref = console
appender.console.type = Console
appender.console.name = console
appender.console.target = SYSTEM_ERR
appender.console.layout.type = PatternLayout
appender.console.layout.pattern = %p %c{1}: %m%n%ex
"""
# An executor that is told to end says so as an error; one that is lost, its driver tells of.
_LOGGING_OF_MANY = """
logger.end.name = org.apache.spark.executor.CoarseGrainedExecutorBackend
logger.end.level = fatal
"""


class SparkEngine:
    """One Spark session and what it reports."""

    def __init__(self, request: Request) -> None:
        self.request = request
        self.capture = Capture(request, method="plan")
        self._local: dict[int, tuple[str, str] | str] = {}
        self._watched: set[int] = set()
        self._numbers = 0
        self._lock = threading.Lock()
        self._pyspark: Any = importlib.import_module("pyspark")
        self._sql: Any = importlib.import_module("pyspark.sql")
        self._gateway_module: Any = importlib.import_module("pyspark.java_gateway")
        self._start()
        self._patch()

    def close(self) -> None:
        """Wait for what is still on its way, then end the JVM: its memory is needed to turn tables into
        CSV.
        """
        context = self._pyspark.SparkContext._active_spark_context
        gateway = self._pyspark.SparkContext._gateway
        if context is not None:
            with self.capture.guard("the last reports of Spark"):
                self._flush()
            with contextlib.suppress(Exception):
                context.stop()
        if gateway is not None:
            with contextlib.suppress(Exception):
                gateway.shutdown()
            with contextlib.suppress(Exception):
                gateway.proc.stdin.close()
                gateway.proc.wait(timeout=10)

    # -- the session

    def _start(self) -> None:
        request = self.request
        cluster = request.cluster
        scratch = request.scratch if cluster is None else clusters.SCRATCH
        temporary = scratch / "tmp"
        temporary.mkdir(parents=True, exist_ok=True)
        heap = heap_mib(request)
        logging = scratch / "log4j2.properties" if cluster is None else clusters.log_settings(request)
        logging.write_text(_LOGGING + (_LOGGING_OF_MANY if cluster else ""))
        java = (
            f"-XX:+UseSerialGC -XX:-UsePerfData -XX:ReservedCodeCacheSize=96m -Djava.io.tmpdir={temporary}"
            f" -Dlog4j2.configurationFile=file:{logging}"
        )
        settings = {
            "spark.app.name": request.job.name,
            "spark.master": f"local[{max(1, request.cpus)}]",
            "spark.ui.enabled": "false",
            "spark.ui.showConsoleProgress": "false",
            "spark.driver.host": "127.0.0.1",
            "spark.driver.bindAddress": "127.0.0.1",
            "spark.driver.memory": f"{heap}m",
            "spark.driver.extraJavaOptions": java,
            "spark.local.dir": str(scratch),
            "spark.log.level": "ERROR",
            "spark.sql.warehouse.dir": str(request.scratch / "warehouse"),
            "spark.sql.session.timeZone": "UTC",
            "spark.sql.shuffle.partitions": str(2 * max(1, request.cpus)),
            "spark.sql.parquet.outputTimestampType": "TIMESTAMP_MICROS",
        }
        os.environ["PYSPARK_PYTHON"] = sys.executable  # else Python functions run on any python3
        if cluster is not None:
            settings |= clusters.driver(request, cluster, heap)
            os.environ["SPARK_LOCAL_IP"] = clusters.LOCAL_IP
            clusters.start_master(self._pyspark, settings)
        builder = self._sql.SparkSession.builder
        for key, value in settings.items():
            builder = builder.config(key, value)
        session = builder.getOrCreate()
        # What the builder was told must not be told again to every session that user code asks for.
        builder._options.clear()
        for name in ("JAVA_HOME", "SPARK_HOME", "PYSPARK_PYTHON", "SPARK_LOCAL_IP"):
            os.environ.pop(name, None)
        self._watch(session)

    def _watch(self, session: Any) -> None:
        jvm_session = session._jsparkSession
        identity = int(jvm_session.hashCode())
        if identity in self._watched:
            return
        self._watched.add(identity)
        self._gateway_module.ensure_callback_server_started(session.sparkContext._gateway)
        jvm_session.listenerManager().register(_Listener(self))

    def _patch(self) -> None:
        """New sessions are watched too; frames made of the program's own rows are known by their
        attributes.
        """
        engine = self
        session_class: Any = self._sql.SparkSession
        builder_class: Any = session_class.Builder
        plain_get, plain_create, plain_new = (
            builder_class.getOrCreate,
            session_class.createDataFrame,
            session_class.newSession,
        )

        def get_or_create(builder: Any) -> Any:
            session = plain_get(builder)
            with engine.capture.guard("a new session"):
                engine._watch(session)
            return session

        def new_session(session: Any) -> Any:
            made = plain_new(session)
            with engine.capture.guard("a new session"):
                engine._watch(made)
            return made

        def create_data_frame(session: Any, data: Any, *args: Any, **kwargs: Any) -> Any:
            frame = plain_create(session, data, *args, **kwargs)
            with engine.capture.guard("createDataFrame"):
                engine._note_local(frame, is_rdd=hasattr(data, "mapPartitions"))
            return frame

        builder_class.getOrCreate = get_or_create
        session_class.createDataFrame = create_data_frame
        session_class.newSession = new_session

    def _flush(self) -> None:
        context = self._pyspark.SparkContext._active_spark_context
        if context is not None:
            context._jsc.sc().listenerBus().waitUntilEmpty(_FLUSH_MS)

    def _note_local(self, frame: Any, *, is_rdd: bool) -> None:
        plan = json.loads(frame._jdf.queryExecution().analyzed().toJSON())
        attributes = [pair for node in plan if node.get("num-children") == 0 for pair in _outputs(node)]
        if is_rdd:
            self._local.update((identity, "rows of an RDD were not followed") for identity, _ in attributes)
            return
        self._flush()
        with self._lock:
            self._numbers += 1
            hop = f"{LOCAL} {self._numbers}"
        made = self.capture.local([name for _, name in attributes])
        self.capture.hop(Flow(hop, "LOCAL", made.reads, made.columns))
        self._local.update((identity, (hop, name)) for identity, name in attributes)

    # -- what the listener hands over

    def report(self, function: str, execution: Any) -> None:
        """One query that succeeded. Runs on Spark's listener thread."""
        plan = execution.analyzed()
        name = str(plan.getClass().getSimpleName())
        if name == "InsertIntoHadoopFsRelationCommand":
            flow = spark_plan.flow(
                plan.toJSON(), self._leaves(plan), names=plan.outputColumnNames().mkString("\n").split("\n")
            )
            types: Any = importlib.import_module("pyspark.sql.types")
            schema = types.StructType.fromJson(json.loads(plan.query().schema().json()))
            flow = Flow(
                None,
                "WRITE",
                flow.reads,
                flow.columns,
                flow.influences,
                dict(zip(flow.columns, (f.dataType.simpleString() for f in schema.fields), strict=False)),
                flow.doubts,
            )
            self.capture.wrote(plan.outputPath().toString(), flow, replaces=str(plan.mode()) != "Append")
        elif name.endswith("Command"):
            if name not in _QUIET_COMMANDS and str(plan.children().size()) != "0":
                self.capture.gap(f"{name} was not followed")
        elif name in ("AppendData", "OverwriteByExpression", "OverwritePartitionsDynamic"):
            if "noop" not in plan.toString().lower():
                self.capture.gap(f"{name} was not followed")
        elif function.startswith(_TAKES_DATA):
            leaves = self._leaves(plan)
            reads = frozenset(leaf[0] for leaf in leaves.values() if isinstance(leaf, tuple))
            doubts = tuple(sorted({leaf for leaf in leaves.values() if isinstance(leaf, str)}))
            self.capture.held(lambda: Flow(None, "HELD", reads, doubts=doubts))

    def _leaves(self, plan: Any) -> dict[int, Leaf]:
        """The output attributes of every leaf of the plan and of its subqueries."""
        found: dict[int, Leaf] = {}
        plans = [plan, *_items(plan.subqueriesAll())]
        for each in plans:
            for leaf in _items(each.collectLeaves()):
                found.update(self._leaf(leaf))
        return found

    def _leaf(self, leaf: Any) -> dict[int, Leaf]:
        name = str(leaf.getClass().getSimpleName())
        if name in ("CTERelationRef", "OneRowRelation", "UnionLoopRef"):
            return {}
        outputs = [pair for node in json.loads(leaf.toJSON())[:1] for pair in _outputs(node)]
        if name == "LogicalRelation":
            relation = leaf.relation()
            if str(relation.getClass().getSimpleName()) == "HadoopFsRelation":
                places = [
                    self.capture.place(p) for p in relation.location().rootPaths().mkString("\n").split("\n")
                ]
                source = self._one_source(sorted(set(places)), [column for _, column in outputs])
                return {identity: (source, column) for identity, column in outputs}
        if name in ("LocalRelation", "Range", "EmptyRelation"):
            return {identity: self._local.get(identity) for identity, _ in outputs}
        return {identity: self._local.get(identity, f"{name} was not followed") for identity, _ in outputs}

    def _one_source(self, places: list[str], columns: list[str]) -> str:
        if len(places) == 1:
            return places[0]
        source = "files " + ", ".join(places)
        origins = {c: Column(frozenset(Origin(p, c, IDENTITY) for p in places)) for c in columns}
        self.capture.hop(Flow(source, "VIEW", frozenset(places), origins))
        return source


class _Listener:
    """What the JVM sees as an org.apache.spark.sql.util.QueryExecutionListener."""

    def __init__(self, engine: SparkEngine) -> None:
        self._engine = engine

    def onSuccess(self, func_name: str, execution: Any, duration_ns: int) -> None:
        with self._engine.capture.guard("a query of Spark"):
            self._engine.report(str(func_name), execution)
        sys.stderr.flush()

    def onFailure(self, func_name: str, execution: Any, error: Any) -> None:
        """A query that failed wrote nothing that is published."""

    class Java:
        implements = ("org.apache.spark.sql.util.QueryExecutionListener",)


def _outputs(node: dict[str, Any]) -> list[tuple[int, str]]:
    """The attributes that a leaf hands out: exprId and name."""
    value = node.get("output")
    if isinstance(value, str):
        value = json.loads(value) if value.startswith("[") else []
    pairs = []
    for tree in value or []:
        attribute = tree[0] if isinstance(tree, list) else tree
        pairs.append((int(attribute["exprId"]["id"]), str(attribute["name"])))
    return pairs


def _items(sequence: Any) -> list[Any]:
    """A Scala Seq as a list."""
    return [sequence.apply(i) for i in range(sequence.size())]
