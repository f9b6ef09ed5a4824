"""Data engines, one function each, and the few operations that Ibis has no portable word for."""

import atexit
import datetime as dt
import functools
import os
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
SMALL, LARGE = (f"decimal({digits}, {DECIMALS})" for digits in (18, 38))
SMALL_BELOW = 1e11  # SMALL ends at 1e12
PRECISE_DECIMALS = 10  # of numbers that are not money, such as logarithms


@dataclass(frozen=True)
class Engine:
    """Where tables live and are worked out.

    Attributes
    ----------
    name : of the Ibis backend
    connection : the Ibis backend
    keep : works a table out and keeps it in the engine until nothing refers to it
    hash_of : text -> a whole number that two texts hardly ever share, the same on every engine
    """

    name: str
    connection: Any
    keep: Callable[[Any], Any]
    hash_of: Callable[[Any], Any]


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
    return Engine("duckdb", connection, functools.partial(_temporary, connection), _duckdb_hash)


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


def _try_strptime(text: str, date_format: str) -> Any:
    """The moment that a text states in a format of strptime; null where it does not fit."""


try_strptime: Any = ibis.udf.scalar.builtin(  # Ibis has only the one that stops at the first misfit
    _try_strptime, name="try_strptime", signature=((types.string, types.string), types.timestamp)
)

ENGINES: dict[str, Callable[[Any], Engine]] = {"duckdb": _duckdb}

# --- expressions that mean the same on every engine ---


def first_row(table: Any) -> dict[str, Any]:
    """The values of a table's one row, by column."""
    row: dict[str, Any] = table.to_pyarrow().to_pylist()[0]
    return row


def money(amount: Any) -> Any:
    """Amounts as exact decimals, so that a sum does not depend on the order or the number of threads."""
    return amount.cast(LARGE)


def money_type(turnover: float) -> str:
    """The narrowest type of exact decimals that holds any sum of some amounts, which come to so much without signs.

    The customers of a log are summed in two thirds of the time where it is the small one.
    """
    return SMALL if turnover < SMALL_BELOW else LARGE


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
    """The logarithm of a number above 0 to ten decimals, so that sums of it are exact."""
    return precise(value.cast("float64").ln())


def precise(value: Any) -> Any:
    """Numbers of moderate size as decimals, ten places."""
    return value.cast(f"decimal(38, {PRECISE_DECIMALS})")


def precise_total(value: Any, where: Any = None) -> Any:
    """The exact sum of numbers that are not money, to ten decimals, as a float; 0 where there are none."""
    return precise(value).sum(where=where).cast("float64").fill_null(0.0)


def day(date: dt.date) -> Any:
    """A calendar day as a literal of the engine."""
    return ibis.literal(date, type="date")
