"""SparkSession: what sqlframe lacks of it.

`sparkContext` (setLogLevel, appName …), `version`, `conf` and `builder.config` for any key,
`getActiveSession()`, `newSession()`, `stop()` (which leaves the connection open: tables and lineage are
still to be read), and the catalog's methods for caches and views.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from . import errors

if TYPE_CHECKING:
    from . import DuckEngine

#: The release of Spark whose behaviour the engine is held against.
SPARK_VERSION = "4.3.0"


class SparkContext:
    """The part of SparkContext that means something without a cluster."""

    applicationId = "local-duckdb"
    defaultParallelism = 1
    master = "local[*]"
    uiWebUrl = None
    version = SPARK_VERSION

    def __init__(self, conf: Conf) -> None:
        self._conf = conf

    @property
    def appName(self) -> str:
        return str(self._conf.get("spark.app.name", "job"))

    def getConf(self) -> Conf:
        return self._conf

    def setLogLevel(self, level: str) -> None:
        """Nothing to log here."""

    def setJobDescription(self, text: str) -> None:
        """There is nobody to show it to."""

    def setJobGroup(self, group: str, description: str, interruptOnCancel: bool = False) -> None:
        """Nothing to cancel by it."""

    def setLocalProperty(self, key: str, value: str) -> None:
        """Nothing to tune by it."""

    def stop(self) -> None:
        """The session lives as long as the job."""

    def __getattr__(self, name: str) -> Any:
        raise NotImplementedError(
            f"SparkContext.{name} (RDDs) needs real Spark: submit the job with engine spark"
        )


class Conf:
    """spark.conf: keeps whatever it is given; only the time zone means something to DuckDB."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection
        self._values: dict[str, str] = {}

    def get(self, key: str, default: Any = None) -> Any:
        if key == "spark.sql.session.timeZone":
            return self._connection.execute("SELECT current_setting('TimeZone')").fetchone()[0]
        return self._values.get(key, default)

    def set(self, key: str, value: Any) -> Conf:
        if key == "spark.sql.session.timeZone":
            self._connection.execute("SET SESSION TimeZone = ?", [str(value)])
        self._values[key] = str(value).lower() if isinstance(value, bool) else str(value)
        return self

    def unset(self, key: str) -> None:
        self._values.pop(key, None)

    def isModifiable(self, key: str) -> bool:
        return bool(key)

    def getAll(self) -> list[tuple[str, str]]:
        return sorted(self._values.items())


def install(engine: DuckEngine) -> Conf:
    """Put the methods onto sqlframe's session; the session's settings are returned for the other patches."""
    cls = engine.sql.SparkSession
    conf = Conf(engine.connection)
    plain_execute = cls._execute

    def execute(self: Any, text: str) -> None:
        with errors.translated():
            plain_execute(self, text)

    def config(self: Any, key: Any = None, value: Any = None, conf_: Any = None, *, map: Any = None) -> Any:
        for name, each in {**({key: value} if key is not None else {}), **(map or {})}.items():
            conf.set(str(name), each)
        return self

    def app_name(self: Any, name: str) -> Any:
        conf.set("spark.app.name", name)
        return self

    def active(*_: Any) -> Any:
        return cls.builder.getOrCreate()

    def itself(self: Any) -> Any:
        return self

    def nothing(self: Any, *_: Any, **__: Any) -> None:
        """Caches, file listings, the connection: DuckDB's own business."""

    cls._execute = execute
    cls.stop = nothing
    cls.conf = conf
    cls.sparkContext = SparkContext(conf)
    cls.version = SPARK_VERSION
    cls.newSession = cls.__enter__ = itself
    cls.__exit__ = cls.addArtifact = cls.addArtifacts = nothing
    cls.getActiveSession = cls.active = staticmethod(active)
    builder = cls.Builder
    builder.config = config
    builder.appName = app_name
    builder.create = builder.getOrCreate
    _mend_catalog()
    return conf


def _mend_catalog() -> None:
    catalog: Any = importlib.import_module("sqlframe.duckdb.catalog").DuckDBCatalog

    def drop_view(self: Any, viewName: str) -> bool:
        return self.session.temp_views.pop(viewName.lower(), None) is not None

    def drop_global_view(self: Any, viewName: str) -> bool:
        return drop_view(self, f"global_temp_{viewName}")

    def nothing(self: Any, *_: Any, **__: Any) -> None:
        """There is nothing to refresh."""

    catalog.dropTempView = drop_view
    catalog.dropGlobalTempView = drop_global_view
    catalog.cacheTable = catalog.uncacheTable = catalog.clearCache = nothing
    catalog.refreshTable = catalog.refreshByPath = catalog.recoverPartitions = nothing
