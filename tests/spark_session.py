"""A small local Spark for tests, for those who have Java and PySpark."""

import os
import shutil
import sys
from contextlib import contextmanager
from pathlib import Path

SETTINGS = {
    "spark.ui.enabled": "false",
    "spark.driver.memory": "2g",
    "spark.driver.host": "127.0.0.1",
    "spark.sql.shuffle.partitions": "2",
    "spark.default.parallelism": "2",
    "spark.sql.adaptive.enabled": "false",
    "spark.sql.session.timeZone": "UTC",
    "spark.sql.execution.arrow.maxRecordsPerBatch": "500",  # several slices a partition
    # To compile each of many small queries takes longer than to run it.
    "spark.sql.codegen.wholeStage": "false",
    "spark.sql.codegen.factoryMode": "NO_CODEGEN",
}


def why_not():
    """Why there is no Spark here, or None."""
    if shutil.which("java") is None:
        return "Spark needs Java, and there is none on the path"
    try:
        import pyspark  # noqa: F401
    except ImportError:
        return "Spark needs PySpark: uv pip install -r requirements/spark.lock"
    return None


@contextmanager
def local_spark(folder):
    """An Ibis backend of a Spark session on two threads, stopped afterwards."""
    here = {
        "PYSPARK_PYTHON": sys.executable,
        "SPARK_LOCAL_IP": "127.0.0.1",
        "PYTHONPATH": str(Path(__file__).parents[1]),  # executors import the package that is tested
    }
    before = {name: os.environ.get(name) for name in here}
    os.environ.update(here)
    try:
        import ibis
        from pyspark.sql import SparkSession

        builder = SparkSession.builder.master("local[2]").config("spark.sql.warehouse.dir", str(folder))
        for name, value in SETTINGS.items():
            builder = builder.config(name, value)
        session = builder.getOrCreate()
        session.sparkContext.setLogLevel("ERROR")
        try:
            yield ibis.pyspark.connect(session)
        finally:
            session.stop()
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
