"""Spark as an engine: what it needs beyond Ibis so that its numbers are DuckDB's to the last digit."""

import functools
import hashlib
import weakref
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import ibis
import ibis.expr.datatypes as types
import pyarrow as pa

from clvmodels.data.engines import Engine, materialise, refusals, spark_errors
from clvmodels.data.layout import Layout
from clvmodels.foundation.errors import DataError

SESSION = {
    "spark.sql.session.timeZone": "UTC",
    "spark.sql.ansi.enabled": "true",  # a number that does not fit stops the work, where it would be NULL
    "spark.sql.execution.arrow.pyspark.enabled": "true",
}
WHOLE = types.Decimal(27, 0)  # with ten decimals and a carry, the 38 digits that a decimal has
MANY = Decimal(1024)  # which floats beyond 2^63 are multiples of
OLDEST = 4
PACKAGE = Path(__file__).parents[1]
_ENGINES: dict[int, Engine] = {}  # by the id of their connection, which they hold
ORDINARY = {"date_format": None, "decimal": ".", "thousands": None, "written_in": None, "time_zone": None}


def spark_engine(connection: Any) -> Engine:
    """Spark with its session in UTC and rows handed over as Arrow; set up once for each connection.

    Raises
    ------
    DataError
        If the session is older than Spark 4.
    """
    if id(connection) not in _ENGINES:  # connections to different sessions may be equal
        _ENGINES[id(connection)] = _set_up(connection)
    return _ENGINES[id(connection)]


def _set_up(connection: Any) -> Engine:
    session = connection.raw_sql("SELECT 1").sparkSession
    if int(session.version.split(".")[0]) < OLDEST:
        raise DataError(f"Spark {session.version}: expected Spark {OLDEST} or later.")
    for name, value in SESSION.items():
        session.conf.set(name, value)
    return Engine("pyspark", connection, functools.partial(_kept, connection), _hash, _exact, refuse_writing)


def refuse_writing(layout: Layout) -> None:
    """Refuse options on how texts are written, which Spark reads by rules of its own.

    Raises
    ------
    DataError
        If one is given.
    """
    given = [name for name, usual in ORDINARY.items() if getattr(layout, name) != usual]
    if layout.day_starts:
        given.append("day_starts")
    if given:
        raise DataError(
            f"{', '.join(given)}: not for a table of Spark, whose columns are read as they are. Convert them in Spark "
            "first, dates by to_date(...) or to_timestamp(...), numbers by cast(... as double), and leave this out."
        )


def table_of_frame(frame: Any) -> Any:
    """A frame of PySpark as an Ibis table, by a view that is dropped when nothing refers to it."""
    return _named(ibis.pyspark.connect(frame.sparkSession), frame)


def _kept(connection: Any, table: Any) -> Any:
    """A frame that Spark keeps in memory, or on disk where there is none left, under a name of its own.

    It is a checkpoint, so that Spark forgets how it came about: plans of tables kept one on the other took minutes.
    """
    return _named(connection, connection.raw_sql(connection.compile(table)).localCheckpoint())


def _named(connection: Any, frame: Any) -> Any:
    name = ibis.util.gen_name("clvmodels")
    frame.createOrReplaceTempView(name)
    made = connection.table(name)
    weakref.finalize(made.op(), _drop, frame, name).atexit = False  # Spark drops it when the session ends
    return made


def _drop(frame: Any, name: str) -> None:
    ended: tuple[type[Exception], ...] = (*spark_errors(), OSError, AttributeError)
    try:
        frame.sparkSession.catalog.dropTempView(name)  # the rows go with the last reference to them
    except ended:  # the session, and its tables with it
        return


def _conv(number: str, from_base: int, to_base: int) -> Any:
    """A whole number written in another base."""


conv: Any = ibis.udf.scalar.builtin(
    _conv, name="conv", signature=((types.string, types.int32, types.int32), types.string)
)


def _hash(text: Any) -> Any:
    """DuckDB's md5_number_lower: the last eight bytes of the MD5, the lowest first."""
    digits = text.hexdigest("md5")
    lowest_first = ibis.literal("").join([digits.substr(place, 2) for place in range(30, 14, -2)])
    return conv(lowest_first, 16, 10).cast("decimal(38, 0)")


def _exact(value: Any, decimals: int) -> Any:
    """A number as a decimal, rounded as DuckDB does: the float times a power of ten, half away from 0.

    Spark's own cast rounds the number's shortest text, which differs where that is half way between two decimals.
    """
    wanted = f"decimal(38, {decimals})"
    if not value.type().is_floating():
        return value.cast(wanted)
    whole = spark_round(value * float(10**decimals))
    few = whole.try_cast("int64").cast(WHOLE)
    many = (whole / float(MANY)).cast("int64").cast("decimal(20, 0)") * ibis.literal(MANY, type="decimal(4, 0)")
    unit = ibis.literal(Decimal(1).scaleb(-decimals), type=f"decimal({decimals}, {decimals})")
    return _times(decimals)(few.fill_null(many.cast(WHOLE)), unit).cast(wanted)


def _round(value: float) -> Any:
    """The nearest whole number, half away from 0, as a float; Ibis's own is an integer that may be too small."""


spark_round: Any = ibis.udf.scalar.builtin(_round, name="round", signature=((types.float64,), types.float64))


def _try_multiply(whole: Decimal, unit: Decimal) -> Any:
    """A product with all the decimals of its factors, as Spark has it and Ibis has not."""


@functools.cache
def _times(decimals: int) -> Any:
    factors = (WHOLE, types.Decimal(decimals, decimals))
    product = types.Decimal(WHOLE.precision + 1 + decimals, decimals)
    return ibis.udf.scalar.builtin(_try_multiply, name="try_multiply", signature=(factors, product))


# --- tables made by the executors ---


def write_mapped(table: Any, function: Callable[[Any], Any], folder: str, *, mode: str) -> None:
    """What a function makes of each Arrow batch of a table, written as Parquet by the executors.

    Parameters
    ----------
    function : Arrow table -> Arrow table; first tried here on one row, which tells the columns and its errors
    folder : an address of a store that Spark writes to
    mode : of Spark's writer where there is such a folder: "error" or "append"

    Raises
    ------
    DataError
        If Spark stops, or an executor has another clvmodels.
    """
    from pyspark.sql.pandas.types import from_arrow_schema

    here = package_digest()
    with refusals(folder):
        kept = materialise(table)
        columns = function(kept.limit(1).to_pyarrow()).schema.remove_metadata()
        connection = table.get_backend()

        def of_batches(batches: Iterator[Any]) -> Iterator[Any]:
            require_package(here)
            for batch in batches:
                if batch.num_rows:
                    made = function(pa.Table.from_batches([batch]))
                    yield from made.replace_schema_metadata().cast(columns).to_batches()

        frame = connection.raw_sql(connection.compile(kept))
        made = frame.mapInArrow(of_batches, from_arrow_schema(columns))
        made.write.mode(mode).parquet(folder)


def require_package(digest: str) -> None:
    """Refuse to work in an executor whose clvmodels is not the driver's.

    Raises
    ------
    DataError
        If it is another.
    """
    if package_digest() != digest:
        raise DataError(
            f"the executor has another clvmodels (in {PACKAGE}) than the driver: install the same version for both."
        )


@functools.cache
def package_digest() -> str:
    """SHA-256 of this package's Python files."""
    digest = hashlib.sha256()
    for path in sorted(PACKAGE.rglob("*.py")):
        digest.update(str(path.relative_to(PACKAGE)).encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()
