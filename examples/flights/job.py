"""Which airports make their travellers wait, and how far do they fly from there?

An ordinary PySpark job in three layers. It runs unchanged on Databricks, on real Spark and on the small
engine:

    bronze   flights and airports as they came, with the day they were read from
    silver   flights with types, without nonsense, each with the names of its two airports
    gold     per origin airport: how many flights, how late, how far
"""

from pyspark.sql import SparkSession, Window
from pyspark.sql import functions as F

INPUTS, OUTPUTS = "/job/inputs", "/job/outputs"
FEW = 30  # airports with fewer flights than this say nothing

spark = SparkSession.builder.appName("flight-delays").getOrCreate()

print("::progress 5 bronze: take the data in as it is")
flights = spark.read.json(f"{INPUTS}/flights").withColumn("loaded_on", F.current_date())
# escape: quotes inside quotes are doubled in this file, and Spark expects a backslash unless it is told
airports = spark.read.option("header", True).option("escape", '"').csv(f"{INPUTS}/airports")
flights.write.mode("overwrite").parquet(f"{OUTPUTS}/bronze_flights")
airports.write.mode("overwrite").parquet(f"{OUTPUTS}/bronze_airports")

print("::progress 35 silver: types, clean-up, names")
airports = spark.read.parquet(f"{OUTPUTS}/bronze_airports").select(
    F.col("iata"),
    F.col("name").alias("airport"),
    F.col("city"),
    F.col("state"),
    F.col("latitude").cast("double"),
    F.col("longitude").cast("double"),
)
origins = airports.select(
    F.col("iata").alias("origin"), F.col("airport").alias("origin_airport"), "city", "state"
)
destinations = airports.select(
    F.col("iata").alias("destination"), F.col("airport").alias("destination_airport")
)
silver = (
    spark.read.parquet(f"{OUTPUTS}/bronze_flights")
    .withColumn("departed_at", F.to_timestamp("date", "yyyy/MM/dd HH:mm"))
    .withColumn("delay_minutes", F.col("delay").cast("int"))
    .withColumn("distance_miles", F.col("distance").cast("int"))
    .filter(F.col("departed_at").isNotNull() & (F.col("distance_miles") > 0))
    .dropDuplicates(["departed_at", "origin", "destination"])
    .join(origins, "origin", "left")
    .join(destinations, "destination", "left")
    .select(
        "departed_at",
        "origin",
        "origin_airport",
        "city",
        "state",
        "destination",
        "destination_airport",
        "delay_minutes",
        "distance_miles",
        F.when(F.col("delay_minutes") > 15, True).otherwise(False).alias("is_late"),
    )
)
silver.write.mode("overwrite").parquet(f"{OUTPUTS}/silver_flights")

print("::progress 70 gold: answer the question")
spark.read.parquet(f"{OUTPUTS}/silver_flights").createOrReplaceTempView("silver_flights")
delays = spark.sql(
    """
    WITH per_airport AS (
        SELECT origin, origin_airport AS airport, city, state,
               count(*) AS flights,
               round(avg(delay_minutes), 1) AS average_delay_minutes,
               round(avg(CASE WHEN is_late THEN 100e0 ELSE 0e0 END), 1) AS late_percent,
               round(avg(distance_miles), 0) AS average_distance_miles
        FROM silver_flights
        GROUP BY origin, origin_airport, city, state
        HAVING count(*) >= :few
    )
    SELECT * FROM per_airport
    """,
    args={"few": FEW},
)
by_delay = Window.orderBy(F.col("average_delay_minutes").desc(), F.col("origin"))
delays = delays.withColumn("rank", F.row_number().over(by_delay))
delays.write.mode("overwrite").parquet(f"{OUTPUTS}/gold_delays")

print("::progress 90 report")
worst = spark.read.parquet(f"{OUTPUTS}/gold_delays").filter("rank <= 10").orderBy("rank")
worst.coalesce(1).write.mode("overwrite").option("header", True).csv(f"{OUTPUTS}/report")
worst.select("rank", "origin", "city", "average_delay_minutes", "average_distance_miles").show()

routes = silver.groupBy("origin", "destination").agg(
    F.count("*").alias("flights"), F.avg("delay_minutes").alias("average_delay_minutes")
)
routes.coalesce(1).write.mode("overwrite").parquet(f"{OUTPUTS}/routes")
print("::progress 100 done")
