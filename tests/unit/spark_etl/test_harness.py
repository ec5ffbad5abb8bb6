"""The harness on the small engine: user code is undisturbed, tables keep their types, lineage is what happened."""

from __future__ import annotations

import json

import pytest

from runner.model.attempt import Output
from runner.model.errors import Permanent

from .conftest import Bench

SESSION = "from pyspark.sql import SparkSession, functions as F\nspark = SparkSession.builder.getOrCreate()\n"
GOLD = Output("gold", table="top", layer="gold")
ORDERS = '{"id": 1, "amount": 5, "who": "a"}\n{"id": 2, "amount": -3, "who": "b"}\n'


def test_tables_keep_their_types_from_postgres_to_postgres(duckdb: Bench) -> None:
    columns = {
        "flag": "boolean", "big": "bigint", "mid": "integer", "small": "smallint", "dbl": "double precision",
        "flt": "real", "dec": "numeric(12,3)", "txt": "text", "day": "date", "at": "timestamptz",
        "local": "timestamp", "id": "uuid", "doc": "jsonb", "raw": "bytea",
    }  # fmt: skip
    csv = (
        ",".join(columns) + "\n"
        't,9007199254740993,-5,7,0.1,1.5,-12345.678,"a ""q"", and\nline",2024-02-29,2024-02-29 12:00:00.123456+00,'
        '2024-02-29 13:00:00,6b1f8a9e-0000-4000-8000-000000000001,"{""a"": [1, null]}",\\x00ff\n'
        + "," * 7 + '""' + "," * 6 + "\n"
    )  # fmt: skip
    code = SESSION + 'spark.read.parquet("inputs/all").write.parquet("outputs/gold")\n'

    ran = duckdb.run(code, tables={"all": (list(columns.items()), csv)}, outputs=(GOLD,))

    assert ran.code == 0, ran.stderr
    (table,) = ran.collect().tables
    # uuid and jsonb are strings in Spark, and stay so
    expected = {**columns, "id": "text", "doc": "text"}
    assert {c.name: c.type for c in table.columns} == expected
    written = (ran.workspace.root / table.path).read_text()
    header, rest = written.split("\n", 1)
    assert header == ",".join(columns)
    assert rest == (
        'true,9007199254740993,-5,7,0.1,1.5,-12345.678,"a ""q"", and\nline",2024-02-29,'
        "2024-02-29 12:00:00.123456+00,2024-02-29 13:00:00,6b1f8a9e-0000-4000-8000-000000000001,"
        '"{""a"": [1, null]}",\\x00ff\n'
        ',,,,,,,"",,,,,,\n'
    )
    assert table.rows == 2


def test_structs_lists_and_maps_become_jsonb(duckdb: Bench) -> None:
    code = SESSION + (
        "df = spark.sql(\"select 1 as id, named_struct('a', 1) as s, array(1, 2) as l\")\n"
        'df.write.parquet("outputs/gold")\n'
    )

    ran = duckdb.run(code, outputs=(GOLD,))

    (table,) = ran.collect().tables
    assert {c.name: c.type for c in table.columns} == {"id": "integer", "s": "jsonb", "l": "jsonb"}
    assert (ran.workspace.root / table.path).read_text() == 'id,s,l\n1,"{""a"":1}","[1,2]"\n'


def test_a_table_output_may_be_written_in_any_usual_way(duckdb: Bench) -> None:
    writes = {
        "parquet": 'df.write.parquet("outputs/parquet")',
        "partitions": 'df.write.partitionBy("who").parquet("outputs/partitions")',
        "csv": 'df.write.option("header", True).csv("outputs/csv")',
        "json": 'df.write.json("outputs/json")',
        "named": 'df.write.parquet("outputs/named.parquet")',
        "pandas_csv": 'df.toPandas().to_csv("outputs/pandas_csv.csv", index=False)',
        "pandas": 'df.toPandas().to_parquet("outputs/pandas.parquet")',
    }
    code = SESSION + 'df = spark.read.json("inputs/orders")\n' + "\n".join(writes.values())
    outputs = tuple(Output(name, table=name, layer="gold") for name in writes)

    ran = duckdb.run(code, files={"orders": ORDERS}, outputs=outputs)

    assert ran.code == 0, ran.stderr
    columns = {("id", "bigint"), ("amount", "bigint"), ("who", "text")}
    assert {
        t.name: (t.rows, {(c.name, c.type) for c in t.columns}) for t in ran.collect().tables
    } == dict.fromkeys(writes, (2, columns))


def test_a_table_output_that_is_not_written_says_so(duckdb: Bench) -> None:
    ran = duckdb.run(SESSION, outputs=(GOLD,))

    assert ran.code == 0
    with pytest.raises(Permanent, match="declared the table output gold and wrote nothing to outputs/gold"):
        ran.collect()


def test_lineage_leads_from_layer_to_layer(duckdb: Bench) -> None:
    code = (
        SESSION
        + """
spark.read.json("inputs/orders").write.parquet("outputs/bronze")
silver = spark.read.parquet("outputs/bronze").filter("amount > 0").withColumn("twice", F.col("amount") * 2)
silver.write.parquet("outputs/silver")
spark.read.parquet("outputs/silver").createOrReplaceTempView("s")
spark.sql("create table hop as select who, sum(twice) as total from s group by who")
spark.table("hop").write.parquet("outputs/gold")
"""
    )
    outputs = (
        Output("bronze", table="orders", layer="bronze"),
        Output("silver", table="orders", layer="silver"),
        GOLD,
    )

    ran = duckdb.run(code, files={"orders": ORDERS}, outputs=outputs)

    assert ran.code == 0, ran.stderr
    assert ran.edges() == {
        ("orders", "bronze.orders"),
        ("bronze.orders", "silver.orders"),
        ("silver.orders", "gold.top"),
    }
    assert ran.column_edges("gold.top") == {
        "who": {"silver.orders.who"},
        "total": {"silver.orders.twice"},
    }
    assert ran.column_edges("silver.orders")["twice"] == {"bronze.orders.amount"}
    assert ran.collect().values["lineage"] == {"events": 3, "confidence": "high"}


def test_append_adds_to_what_a_dataset_rests_on_and_overwrite_replaces_it(duckdb: Bench) -> None:
    code = (
        SESSION
        + """
a, b = spark.read.json("inputs/a"), spark.read.json("inputs/b")
a.write.parquet("outputs/gold")
b.write.mode("append").parquet("outputs/gold")
a.write.parquet("outputs/other")
b.write.mode("overwrite").parquet("outputs/other")
"""
    )
    outputs = (GOLD, Output("other", table="other", layer="gold"))

    ran = duckdb.run(code, files={"a": ORDERS, "b": ORDERS}, outputs=outputs)

    assert ran.code == 0, ran.stderr
    assert ran.edges() == {("a", "gold.top"), ("b", "gold.top"), ("b", "gold.other")}


def test_a_file_that_the_program_writes_itself_is_known_with_low_confidence(duckdb: Bench) -> None:
    code = (
        SESSION
        + """
import json
lines = open("inputs/orders").read().splitlines()
with open("outputs/count.json", "w") as file:
    json.dump(len(lines), file)
"""
    )

    ran = duckdb.run(code, files={"orders": ORDERS})

    assert ran.edges() == {("orders", "runs/9/count.json")}
    assert ran.confidence("runs/9/count.json") == "low"


def test_rows_that_went_through_the_program_are_doubtful_and_fresh_ones_are_not(duckdb: Bench) -> None:
    code = (
        SESSION
        + """
spark.createDataFrame([(1,)], ["one"]).write.parquet("outputs/fresh")
rows = spark.read.json("inputs/orders").collect()
spark.createDataFrame([(r.id * 2,) for r in rows], ["id"]).write.parquet("outputs/held")
"""
    )

    ran = duckdb.run(code, files={"orders": ORDERS})

    assert ran.edges() == {("orders", "runs/9/held.parquet")}
    assert ran.confidence("runs/9/fresh.parquet") == "high"
    assert ran.confidence("runs/9/held.parquet") == "low"


def test_a_udf_is_followed_through_its_arguments(duckdb: Bench) -> None:
    code = (
        SESSION
        + """
shout = F.udf(lambda text: text.upper() + "!", "string")
spark.read.json("inputs/orders").select(shout("who").alias("loud")).write.parquet("outputs/gold")
"""
    )

    ran = duckdb.run(code, files={"orders": ORDERS}, outputs=(GOLD,))

    assert ran.code == 0, ran.stderr
    assert ran.column_edges("gold.top") == {"loud": {"orders.who"}}


def test_capture_that_breaks_costs_confidence_and_never_the_job(duckdb: Bench) -> None:
    # What user code can reach of the harness it may break; so break it from there.
    code = (
        SESSION
        + """
import sys
script = sys.modules["runner.lineage.script"]
script.qualify = lambda *a, **k: 1 / 0
sys.modules["runner.lineage.sql"].query = lambda *a, **k: 1 / 0
spark.read.json("inputs/orders").write.parquet("outputs/gold")
"""
    )

    ran = duckdb.run(code, files={"orders": ORDERS}, outputs=(GOLD,))

    assert ran.code == 0
    assert "lineage: not captured: the write to outputs/gold: ZeroDivisionError" in ran.stderr
    assert ran.collect().tables[0].rows == 2
    assert ran.confidence("gold.top") == "low"


@pytest.mark.parametrize(
    ("end", "code"),
    [
        ("raise SystemExit(3)", 3),
        ("raise ValueError('no')", 1),
        ("import os; os._exit(7)", 7),
        ("import os, signal; os.kill(os.getpid(), signal.SIGTERM)", -15),
    ],
)
def test_the_exit_code_is_that_of_user_code(duckdb: Bench, end: str, code: int) -> None:
    assert duckdb.run(end).code == code


def test_a_traceback_shows_user_code_only_with_its_causes(duckdb: Bench) -> None:
    ran = duckdb.run(
        {
            "job.py": "import helpers\ntry:\n    helpers.work()\nexcept KeyError as e:\n    raise ValueError('bad') from e\n",
            "helpers.py": "def work():\n    return {}['a']\n",
        }
    )

    assert "helpers.py" in ran.stderr
    assert "KeyError: 'a'" in ran.stderr
    assert ran.stderr.rstrip().endswith("ValueError: bad")
    assert "control_room_harness" not in ran.stderr
    assert "runpy" not in ran.stderr


def test_a_module_of_the_job_may_have_the_name_of_one_of_ours(duckdb: Bench) -> None:
    ran = duckdb.run(
        {
            "job.py": SESSION + "import runner, json\nspark.sql('select 1 as a').write.parquet('outputs/x')\n"
            "print(runner.MINE)\n",
            "runner.py": "MINE = 'mine'\n",
        }
    )

    assert (ran.code, ran.stdout) == (0, "mine\n")
    assert [e["outputs"][0]["name"] for e in ran.events()] == ["outputs/x"]


def test_threads_and_exit_handlers_end_before_the_job_does(duckdb: Bench) -> None:
    code = """
import atexit, threading, time
atexit.register(lambda: print("handler"))
def late():
    time.sleep(0.2)
    print("thread")
threading.Thread(target=late).start()
print("end of file")
"""

    assert duckdb.run(code).stdout == "end of file\nthread\nhandler\n"


def test_a_failed_job_says_so_in_its_events_and_publishes_none(duckdb: Bench) -> None:
    code = (
        SESSION + 'spark.read.json("inputs/orders").write.parquet("outputs/gold")\nraise ValueError("late")\n'
    )

    ran = duckdb.run(code, files={"orders": ORDERS}, outputs=(GOLD,))

    assert {e["eventType"] for e in ran.events()} == {"FAIL"}
    assert ran.collect().lineage == ()


def test_a_table_input_that_cannot_be_read_is_told_from_a_failed_job(duckdb: Bench) -> None:
    ran = duckdb.run("print('never')", tables={"t": ([("a", "bigint")], "a\nnot a number\n")})

    assert (ran.code, ran.stdout) == (70, "")
    with pytest.raises(Permanent, match="the input t could not be turned into Parquet"):
        ran.collect()


def test_hidden_columns_of_a_hostile_input_stay_text(duckdb: Bench) -> None:
    """Names and values of table inputs are data to the harness, whatever SQL they spell."""
    name = 'a"); DROP TABLE x; --'
    code = SESSION + 'spark.read.parquet("inputs/t").write.parquet("outputs/gold")\n'

    ran = duckdb.run(
        code,
        tables={"t": ([(name, "text")], f'"{name.replace(chr(34), chr(34) * 2)}"\n"\'; --"\n')},
        outputs=(GOLD,),
    )

    assert ran.code == 0, ran.stderr
    (table,) = ran.collect().tables
    assert [c.name for c in table.columns] == [name]


def test_progress_is_not_kept_back(duckdb: Bench) -> None:
    """Lines reach the runner while the job runs, not when it ends."""
    code = "import sys, os\nprint('::progress 10 half')\nos._exit(0)\n"  # no flush ever happens

    assert duckdb.run(code).stdout == "::progress 10 half\n"


def test_the_schema_of_an_event_is_that_of_the_published_table(duckdb: Bench) -> None:
    code = SESSION + 'spark.read.json("inputs/orders").write.parquet("outputs/gold")\n'

    ran = duckdb.run(code, files={"orders": ORDERS}, outputs=(GOLD,))

    (event,) = ran.collect().lineage
    assert event["outputs"][0]["facets"]["schema"]["fields"] == [
        {"name": "amount", "type": "bigint"},
        {"name": "id", "type": "bigint"},
        {"name": "who", "type": "text"},
    ]
    assert json.loads(json.dumps(event)) == event
