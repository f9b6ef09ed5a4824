"""Data engines, one function each, and the few operations that Ibis has no portable word for."""

import atexit
import datetime as dt
import functools
import os
import sys
import tempfile
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ibis
import ibis.expr.datatypes as types

from clvmodels.foundation.errors import DataError

MEMORY_PER_THREAD_MB = 300  # beyond it the engine spills to the temporary folder; a log of ten million rows does
DECIMALS = 6  # of amounts: a float of up to 15 digits has them exactly, whatever engine turns it into a decimal
PRECISE_DECIMALS = 10  # of numbers that are not money
LOG_DECIMALS = 8  # of logarithms, whose last digits differ between the engines' mathematical libraries


@dataclass(frozen=True)
class Engine:
    """Where tables live and are worked out.

    Attributes
    ----------
    name : of the Ibis backend
    connection : the Ibis backend
    keep : works a table out and keeps it in the engine until nothing refers to it
    hash_of : text -> a whole number that two texts hardly ever share, the same on every engine
    exact : (number, decimals) -> decimal, rounded half away from 0, the same on every engine
    check_layout : refuses a layout that tables of the engine cannot be read by
    """

    name: str
    connection: Any
    keep: Callable[[Any], Any]
    hash_of: Callable[[Any], Any]
    exact: Callable[[Any, int], Any]
    check_layout: Callable[[Any], None]


def engine_of(table: Any) -> Engine:
    """The engine that a table lives in.

    Raises
    ------
    DataError
        If it is none that a log is worked out in.
    """
    backend = table.get_backend()
    if backend.name not in ENGINES:
        raise DataError(f"a table of {backend.name}: expected one of {', '.join(ENGINES)}.")
    return ENGINES[backend.name](backend)


def materialise(table: Any) -> Any:
    """The table worked out and kept in its engine until nothing refers to it."""
    return engine_of(table).keep(table)


# --- DuckDB ---


@functools.cache
def duckdb() -> Any:
    """The Ibis backend of a DuckDB that lives in this process, with its session in UTC.

    One for the process: a new one costs 0.2 s, which a summary of CDNOW does not.
    """
    connection = ibis.duckdb.connect(
        temp_directory=str(Path(tempfile.gettempdir(), f"clvmodels-duckdb-{os.getpid()}")),
        autoinstall_known_extensions=False,  # nothing is fetched from a network
    )
    threads = connection.raw_sql("SELECT current_setting('threads')").fetchall()[0][0]
    connection.raw_sql(f"SET memory_limit = '{threads * MEMORY_PER_THREAD_MB}MB'")
    connection.raw_sql("SET TimeZone = 'UTC'")
    atexit.register(connection.disconnect)
    return connection


def in_duckdb(frame: Any) -> Any:
    """An Arrow table as a table of our DuckDB, without a copy."""
    connection = duckdb()
    name = ibis.util.gen_name("clvmodels")
    connection.con.register(name, frame)
    table = connection.table(name)
    weakref.finalize(table.op(), connection.con.unregister, name).atexit = False  # the engine ends with the process
    return table


def _duckdb(connection: Any) -> Engine:
    keep = functools.partial(_temporary, connection)
    return Engine("duckdb", connection, keep, _duckdb_hash, _duckdb_exact, check_layout=lambda _: None)


def _temporary(connection: Any, table: Any) -> Any:
    """`Table.cache` does the same, but its clean-up fails with sqlglot 30."""
    name = ibis.util.gen_name("clvmodels")
    made = connection.create_table(name, table, temp=True)
    drop = weakref.finalize(made.op(), connection.raw_sql, f"DROP TABLE IF EXISTS {name}")
    drop.atexit = False
    return made


def _md5_number_lower(text: str) -> Any:
    """The lower half of a text's MD5 as a whole number."""


md5_number_lower: Any = ibis.udf.scalar.builtin(
    _md5_number_lower, name="md5_number_lower", signature=((types.string,), types.uint64)
)


def _duckdb_hash(text: Any) -> Any:
    return md5_number_lower(text).cast("decimal(38, 0)")


def _duckdb_exact(value: Any, decimals: int) -> Any:
    return value.cast(f"decimal(38, {decimals})")


def _try_strptime(text: str, date_format: str) -> Any:
    """The moment that a text states in a format of strptime; null where it does not fit."""


try_strptime: Any = ibis.udf.scalar.builtin(  # Ibis has only the one that stops at the first misfit
    _try_strptime, name="try_strptime", signature=((types.string, types.string), types.timestamp)
)


# --- Spark ---


def _spark(connection: Any) -> Engine:
    from clvmodels.data.spark import spark_engine

    return spark_engine(connection)


ENGINES: dict[str, Callable[[Any], Engine]] = {"duckdb": _duckdb, "pyspark": _spark}

# --- what engines say ---


@contextmanager
def refusals(source: str) -> Iterator[None]:
    """Turns what the engine says of unreadable data into a `DataError` that names the source."""
    from duckdb import Error

    try:
        yield
    except Error as error:
        said = [line.strip() for line in str(error).splitlines() if line.strip(" ^")]
        what = " ".join(line for line in said[:3] if not line.startswith(("LINE ", "Possible Solution")))
        raise DataError(f"{source}: cannot be read. {what} Check the file, its delimiter and its encoding.") from None
    except spark_errors() as error:
        said = str(error).strip().splitlines() or [type(error).__name__]
        raise DataError(f"{source}: Spark stopped. {said[0].strip()} Check the table and the session.") from None


def spark_errors() -> tuple[type[Exception], ...]:
    """Spark's errors where it is in use."""
    named = (("pyspark.errors", "PySparkException"), ("py4j.protocol", "Py4JError"))
    return tuple(getattr(sys.modules[module], name) for module, name in named if module in sys.modules)


# --- expressions that mean the same on every engine ---


def first_row(table: Any) -> dict[str, Any]:
    """The values of a table's one row, by column."""
    row: dict[str, Any] = table.to_pyarrow().to_pylist()[0]
    return row


def money(amount: Any) -> Any:
    """Amounts as exact decimals, so that a sum does not depend on the order or the number of threads."""
    return engine_of(amount).exact(amount, DECIMALS)


def total(amount: Any, where: Any = None) -> Any:
    """The exact sum of amounts as a float; 0 where there are none."""
    return exact_total(amount, where).cast("float64")


def exact_total(amount: Any, where: Any = None) -> Any:
    """The exact sum of amounts as a decimal; 0 where there are none."""
    return money(amount).sum(where=where).fill_null(0)


def exact_log(value: Any) -> Any:
    """The logarithm of a number above 0 to eight decimals, so that sums of it are exact."""
    return engine_of(value).exact(value.cast("float64").ln(), LOG_DECIMALS)


def precise(value: Any) -> Any:
    """Numbers of moderate size as decimals, ten places."""
    return engine_of(value).exact(value, PRECISE_DECIMALS)


def precise_total(value: Any, where: Any = None) -> Any:
    """The exact sum of numbers that are not money, to ten decimals, as a float; 0 where there are none."""
    return precise(value).sum(where=where).cast("float64").fill_null(0.0)


def day(date: dt.date) -> Any:
    """A calendar day as a literal of the engine."""
    return ibis.literal(date, type="date")
