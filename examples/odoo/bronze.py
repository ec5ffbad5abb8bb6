"""What Odoo has said since the last time, as it said it, with when it was read: bronze is a log."""

from pyspark.sql import SparkSession
from pyspark.sql import functions as f

spark = SparkSession.builder.getOrCreate()
changes = spark.read.parquet("inputs/changes")
changes.withColumn("read_at", f.current_timestamp()).write.parquet("outputs/partners")
