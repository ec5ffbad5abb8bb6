"""Records the analysed plans that test_spark_plan reads, on real Spark:

    <engines>/spark/bin/python tests/unit/lineage/plans/record.py

Each plan is cut down to the fields that lineage looks at, and its leaves are named `<table>.<column>`.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from pyspark.sql import DataFrame, SparkSession, Window
from pyspark.sql import functions as F

HERE = Path(__file__).parent
DROPPED = {
    "metadata", "nullable", "nonInheritableMetadataKeys", "dataType", "jvmId", "desc", "timeZoneId", "evalMode",
    "resultId", "isStreaming", "sameOrderExpressions", "nullOrdering", "direction", "qualifier", "frameSpecification",
}  # fmt: skip


def main() -> None:
    spark = SparkSession.builder.master("local[1]").config("spark.ui.enabled", "false").getOrCreate()
    folder = Path(__import__("tempfile").mkdtemp())
    spark.createDataFrame([(1, 2, 3.5, "EUR", ["a"])], "id int, cust int, amount double, cur string, items array<string>") \
        .write.parquet(f"{folder}/orders")  # fmt: skip
    spark.createDataFrame([(1, "x", "gold", (1,))], "id int, name string, tier string, meta struct<t:int>") \
        .write.parquet(f"{folder}/customers")  # fmt: skip
    orders, customers = spark.read.parquet(f"{folder}/orders"), spark.read.parquet(f"{folder}/customers")
    orders.createOrReplaceTempView("orders")
    customers.createOrReplaceTempView("customers")
    for name, frame in frames(spark, orders, customers).items():
        plan = frame._jdf.queryExecution().analyzed()
        form = {"plan": cut(json.loads(plan.toJSON())), "leaves": leaves(plan)}
        (HERE / f"{name}.json").write_text(json.dumps(form, separators=(",", ":")) + "\n")


def frames(spark: SparkSession, orders: DataFrame, customers: DataFrame) -> dict[str, DataFrame]:
    by_customer = Window.partitionBy("cust").orderBy("amount")
    other = orders.select(F.col("id").alias("other_id"), F.col("amount").alias("other_amount"))
    return {
        "join_and_window": orders.join(customers, orders.cust == customers.id)
        .filter("tier <> 'x'")
        .select(
            orders.id,
            F.upper("name").alias("who"),
            F.row_number().over(by_customer).alias("rn"),
            F.when(F.col("cur") == "EUR", F.col("amount")).otherwise(0.0).alias("eur"),
        ),
        "aggregate": orders.groupBy("cur").agg(F.sum("amount").alias("total"), F.count("*").alias("n")),
        "union": orders.select("id", "cur").union(customers.select("id", "name")),
        "cte_and_subquery": spark.sql(
            """with big as (select id, cust, amount from orders where amount > 3)
               select b.id, (select max(tier) from customers c where c.id = b.cust) as tier, x.id as again
               from big b join big x on x.cust = b.cust"""
        ),
        "exists": spark.sql(
            "select name from customers c where exists (select 1 from orders o where o.cust = c.id)"
        ),
        "explode": orders.select("id", F.explode("items").alias("item")),
        "self_join": orders.join(other, F.col("id") == F.col("other_id")).select("id", "other_amount"),
        "distinct_rows": orders.dropDuplicates(["cust"]).select("id", "amount"),
        "pivot": orders.groupBy("cust").pivot("cur", ["EUR", "USD"]).sum("amount"),
        "struct_field": customers.select(F.col("meta.t").alias("t")).orderBy("t"),
        "except_": orders.select("id").subtract(customers.select("id")),
        "of_an_rdd": spark.createDataFrame(orders.rdd.map(lambda r: (r.id,)), "id int"),
    }


def cut(value: Any) -> Any:
    if isinstance(value, str) and value[:1] in "[{":
        try:
            value = json.loads(value)
        except ValueError:
            return value
    if isinstance(value, list):
        return [cut(each) for each in value]
    if isinstance(value, dict):
        return {key: cut(each) for key, each in value.items() if key not in DROPPED and each is not None}
    return value


def leaves(plan: Any) -> dict[str, Any]:
    found: dict[str, Any] = {}
    subqueries = plan.subqueriesAll()
    for each in [plan, *(subqueries.apply(i) for i in range(subqueries.size()))]:
        relations = each.collectLeaves()
        for leaf in (relations.apply(i) for i in range(relations.size())):
            if leaf.getClass().getSimpleName() == "LogicalRelation":
                table = leaf.relation().location().rootPaths().mkString("").rsplit("/", 1)[-1]
                output = cut(json.loads(leaf.toJSON())[0]["output"])
                found.update({str(a[0]["exprId"]["id"]): [table, a[0]["name"]] for a in output})
    return found


if __name__ == "__main__":
    main()
