"""A job with a mistake in it, to see what its author gets to see: the message, the line, and `on_fail`.

It counts on a column that the data does not have. The check is the author's own, so the message is his, too.
"""

from pyspark.sql import SparkSession
from pyspark.sql import functions as F

spark = SparkSession.builder.appName("flight-weather").getOrCreate()

print("::progress 10 read the flights")
flights = spark.read.json("/job/inputs/flights")

print("::progress 40 look for the weather")
missing = {"origin", "delay", "weather"} - set(flights.columns)
if missing:
    raise ValueError(
        f"flights has no column {', '.join(sorted(missing))}: it has {', '.join(sorted(flights.columns))}"
    )

delays = flights.groupBy("weather").agg(F.avg("delay").alias("average_delay_minutes"))
delays.write.mode("overwrite").parquet("/job/outputs/gold_weather")
