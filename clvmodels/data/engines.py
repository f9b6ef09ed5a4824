"""Data engines, one function each, and the few operations that Ibis has no portable word for."""

import atexit
import datetime as dt
import functools
import math
import os
import re
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

from clvmodels.foundation.errors import DataError, EngineLimitError

MEMORY_PER_THREAD_MB = 210  # beyond it the engine spills to the temporary folder; a log of ten million rows does
ROWS_A_PART = 40_000_000  # that are grouped at a time,
MEMORY_A_PART_MB = 1000  # in so much memory; with half of it DuckDB stops, for all that it can spill
MEMORY = r"([5-9]\d|\d{3,})(\.\d+)? ?M(i?)B|[1-9]\d*(\.\d+)? ?[GT](i?)B"
DECIMALS = 6  # of amounts: a float of up to 15 digits has them exactly, whatever engine turns it into a decimal
SMALL, LARGE = (f"decimal({digits}, {DECIMALS})" for digits in (18, 38))
SMALL_BELOW = 1e11  # SMALL ends at 1e12
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


def materialise_by_customer(lines: Any, work: Callable[[Any], Any], *, rows: int) -> Any:
    """What some work makes of rows, kept; it may do its work on some customers at a time.

    DuckDB cannot group hundreds of millions of rows in little memory, for all that it spills; it can in parts.

    Parameters
    ----------
    rows : number of lines
    """
    engine = engine_of(lines)
    parts = math.ceil(rows / ROWS_A_PART) if engine.name == "duckdb" else 1
    if engine.connection is duckdb() and rows > ROWS_A_PART / 2 and "memory_limit" not in STATED:
        engine.connection.raw_sql(f"SET memory_limit = '{max(MEMORY_A_PART_MB, _first_memory_mb(duckdb()))}MB'")
    if parts <= 1:
        return engine.keep(work(lines))
    part = (lines.customer_id.hash() % parts + parts) % parts  # the hash may be below 0
    first, *others = [engine.keep(work(lines.filter(part == place))) for place in range(parts)]
    return first.union(*others)


# --- DuckDB ---


STATED: set[str] = set()  # settings that a caller has named


@functools.cache
def duckdb() -> Any:
    """The Ibis backend of a DuckDB that lives in this process, with its session in UTC.

    One for the process: a new one costs 0.2 s, which a summary of CDNOW does not.
    """
    connection = ibis.duckdb.connect(
        temp_directory=str(_spill_folder(tempfile.gettempdir())),
        autoinstall_known_extensions=False,  # nothing is fetched from a network
    )
    connection.raw_sql(f"SET memory_limit = '{_first_memory_mb(connection)}MB'")
    connection.raw_sql("SET TimeZone = 'UTC'")
    atexit.register(connection.disconnect)
    return connection


def engine_limits(
    *, memory: str | None = None, threads: int | None = None, folder: str | os.PathLike[str] | None = None
) -> None:
    """Limit what the data engine of this process takes, from now on; what is not named stays as it is.

    Results do not depend on it. What does not fit into the memory is written to the folder for the time being: of a
    log of 200,000,000 rows some 10 GB.

    Parameters
    ----------
    memory : for tables and intermediate results, such as "4GB"; to begin with 210 MB a thread, or 1 GB for a
        log of more than 20,000,000 rows if that is more. Python's own, some
        0.2 GB and the summaries handed over, comes on top.
    threads : that work at a time; to begin with one a processor
    folder : for what does not fit; to begin with the system's for temporary files. It can be changed until it is used.

    Raises
    ------
    DataError
        If a limit cannot be set.
    """
    settings: dict[str, str] = {}
    if memory is not None:
        if not re.fullmatch(MEMORY, str(memory)):
            raise DataError(f'memory = {memory!r}: expected a size of at least 50MB, such as "800MB" or "4GB".')
        settings["memory_limit"] = memory
    if threads is not None:
        if not re.fullmatch(r"[1-9]\d*", str(threads)):
            raise DataError(f"threads = {threads!r}: expected a whole number from 1.")
        settings["threads"] = str(threads)
    if folder is not None:
        if not (Path(folder).is_dir() and os.access(folder, os.W_OK)):
            raise DataError(f'folder = "{folder}": expected a folder that can be written to.')
        settings["temp_directory"] = str(_spill_folder(folder))
    for name, value in settings.items():
        _set(name, value)
        STATED.add(name)


def _first_memory_mb(connection: Any) -> int:
    threads = int(connection.raw_sql("SELECT current_setting('threads')").fetchall()[0][0])
    return threads * MEMORY_PER_THREAD_MB


def _spill_folder(folder: str | os.PathLike[str]) -> Path:
    return Path(folder, f"clvmodels-duckdb-{os.getpid()}")


def _set(name: str, value: str) -> None:
    from duckdb import Error

    try:
        duckdb().con.execute(f"SET {name} = ?", [value])  # of a handful of names, none from outside
    except Error as error:
        what = str(error).splitlines()[0]
        raise DataError(f"{name}: cannot be set to {value}. {what} Set limits before the first log is read.") from None


@contextmanager
def within_limits() -> Iterator[None]:
    """Turns what the engine says when it has no more memory or disk into an `EngineLimitError` with the setting."""
    from duckdb import IOException, OutOfMemoryException

    try:
        yield
    except OutOfMemoryException as error:
        what = str(error).splitlines()[0]
        raise EngineLimitError(
            f"the data engine has not enough memory ({what}). Give it more by clv.engine_limits(memory=...), let "
            "fewer threads work (threads=...), or name a folder with more room for what does not fit (folder=...)."
        ) from None
    except IOException as error:
        if "No space left" not in str(error):
            raise
        raise EngineLimitError(
            "the data engine has no room on the disk for what does not fit into its memory. Name a folder with more by "
            "clv.engine_limits(folder=...), or give it more memory (memory=...)."
        ) from None


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
    with _in_any_order(connection):
        made = connection.create_table(name, table, temp=True)
    drop = weakref.finalize(made.op(), connection.raw_sql, f"DROP TABLE IF EXISTS {name}")
    drop.atexit = False
    return made


@contextmanager
def _in_any_order(connection: Any) -> Iterator[None]:
    """While it lasts, rows may be written as they come: in order, large tables are held back in memory."""
    before = connection.raw_sql("SELECT current_setting('preserve_insertion_order')").fetchall()[0][0]
    connection.raw_sql("SET preserve_insertion_order = false")
    try:
        yield
    finally:
        connection.raw_sql(f"SET preserve_insertion_order = {str(before).lower()}")


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
        with within_limits():
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


def money_type(turnover: float) -> str:
    """The narrowest type of exact decimals that holds any sum of some amounts, which come to so much without signs.

    The customers of a log are summed in two thirds of the time where it is the small one.
    """
    return SMALL if turnover < SMALL_BELOW else LARGE


def narrow_total(amount: Any, exact: str) -> Any:
    """The exact sum of amounts, of a type that `money_type` says holds it."""
    engine = engine_of(amount)
    counted = amount.cast(exact) if engine.name == "duckdb" else engine.exact(amount, DECIMALS)
    return counted.sum().cast(exact)


def purchase_amount(purchases: Any) -> Any:
    """The amounts of a log's purchases as exact decimals."""
    return purchases.exact if "exact" in purchases.columns else money(purchases.amount)


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
