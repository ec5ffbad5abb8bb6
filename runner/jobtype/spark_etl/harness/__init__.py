"""What runs inside the sandbox around the user's PySpark job. There it is called `control_room_harness`.

    __main__   tables in, user code, tables out, lineage; exits as user code did
    request    what the runner asks for            program   user code, run as `python job.py` would
    tables     Postgres' CSV <-> Parquet           capture   the lineage of the attempt, write by write
    engine     the engines behind one form: `duck` (sqlframe on DuckDB, mended), `spark` (real PySpark)
    executor   what runs beside it where the job has many executors; `cluster` is what both have to know

The job is an ordinary one, as it would run on Databricks: `SparkSession.builder.getOrCreate()`, reads below
/job/inputs, writes below /job/outputs (relative paths do as well). Both engines are held against the same
snippets and types (tests/unit/spark_etl/behaviour.py). What the small engine does otherwise:

Refused with a sentence that names the engine spark:
    RDDs (`df.rdd`, SparkContext.parallelize …), mapInPandas, applyInPandas, streaming, writeTo, MERGE INTO,
    Delta, ORC, Avro, `stack()`, JDBC (there is no network: name a table as input or output of the job).
Works, with another result:
    decimals        arithmetic keeps DuckDB's precision; avg of a decimal is a double
    hash(), rand()  other values
    to_json         writes nulls; format_string of a null is null
    SQL casts       `spark.sql("… cast(x as int)")` makes NULL of what it cannot cast (Spark 4: an error)
    timestamp_ntz   is told from timestamp only where it was read from Parquet or cast to
    pandas_udf      is called row by row: right for element-wise functions, slow, wrong for aggregates
    names           of columns without an alias are Spark's for sum(x) and the like, not for longer ones
    saveAsTable     tables live in memory and end with the job; declare a table output to publish one
    partitions      one part file per write; repartition, coalesce, hints, cache levels change nothing
`cache()` and `checkpoint()` materialise at once. Order without ORDER BY may differ, as between two runs.
"""
