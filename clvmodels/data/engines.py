"""Data engines, one function each, and the few operations that Ibis has no portable word for."""

import atexit
import datetime as dt
import functools
import os
import tempfile
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import ibis
import ibis.expr.datatypes as types

from clvmodels.foundation.errors import DataError

MEMORY_LIMIT = "4GB"  # beyond it the engine spills to the temporary folder


@functools.cache
def duckdb() -> Any:
    """The Ibis backend of a DuckDB that lives in this process, with its session in UTC.

    One for the process: a new one costs 0.2 s, which a summary of CDNOW does not.
    """
    connection = ibis.duckdb.connect(
        memory_limit=MEMORY_LIMIT,
        temp_directory=str(Path(tempfile.gettempdir(), f"clvmodels-duckdb-{os.getpid()}")),
        autoinstall_known_extensions=False,  # nothing is fetched from a network
    )
    connection.raw_sql("SET TimeZone = 'UTC'")
    atexit.register(connection.disconnect)
    return connection


def materialise(table: Any) -> Any:
    """The table worked out and kept in the engine until nothing refers to it.

    `Table.cache` does the same, but its clean-up fails with sqlglot 30.
    """
    connection = duckdb()
    name = ibis.util.gen_name("clvmodels")
    made = connection.create_table(name, table, temp=True)
    drop = weakref.finalize(made.op(), connection.raw_sql, f"DROP TABLE IF EXISTS {name}")
    drop.atexit = False  # the engine ends with the process
    return made


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


def first_row(table: Any) -> dict[str, Any]:
    """The values of a table's one row, by column."""
    row: dict[str, Any] = table.to_pyarrow().to_pylist()[0]
    return row


def money(amount: Any) -> Any:
    """Amounts as exact decimals, so that a sum does not depend on the order or the number of threads."""
    return amount.cast("decimal(38, 10)")


def total(amount: Any, where: Any = None) -> Any:
    """The exact sum of amounts as a float; 0 where there are none."""
    return money(amount).sum(where=where).cast("float64").fill_null(0.0)


def exact_log(value: Any) -> Any:
    """The logarithm of a number above 0 to ten decimals, so that sums of it are exact."""
    return money(value.cast("float64").ln())


def day(date: dt.date) -> Any:
    """A calendar day as a literal of the engine."""
    return ibis.literal(date, type="date")
