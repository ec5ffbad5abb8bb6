"""How many partners there are, and how many of them are companies."""

from pyspark.sql import SparkSession

spark = SparkSession.builder.getOrCreate()
spark.read.parquet("inputs/partners").createOrReplaceTempView("partners")
spark.sql(
    "select active, count(*) as partners, max(write_date) as changed_at from partners group by active"
).write.parquet("outputs/summary")
