"""Customers slice by slice: summaries in bounded memory, and tables made of each slice written as Parquet in parts."""

import functools
import hashlib
import json
import math
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ibis
import pyarrow.parquet as pq

from clvmodels.data.engines import engine_of, first_row, materialise
from clvmodels.data.summary import Measures, customer_rows, refuse_none, summary_of_rows
from clvmodels.foundation.errors import DataError
from clvmodels.foundation.records import CustomerSummary, TransactionLog, Window
from clvmodels.foundation.whole import require_count

REQUEST = "_clvmodels.json"  # what a folder holds; readers of Parquet leave out names that begin with "_" or "."
DONE = "_SUCCESS"
REMOTE = "://"

OfSlice = Callable[[CustomerSummary], Any]
Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Parts:
    """A table written in parts.

    Attributes
    ----------
    folder : as given
    files : the parts in name order; together they are the table. None are listed where the folder is a store's
    customers : rows of all parts
    """

    folder: str
    files: tuple[Path, ...]
    customers: int


@dataclass(frozen=True)
class Numbered:
    """Customers numbered from 0 in the order of customer_id, kept in their engine.

    Attributes
    ----------
    table : Ibis table of `customer_rows` with their `place`
    measures : how `summary_of_rows` reads them
    customers : how many there are
    rows : how many a slice has, but for the last
    """

    table: Any
    measures: Measures
    customers: int
    rows: int

    @property
    def slices(self) -> range:
        """Numbers of the slices."""
        return range(math.ceil(self.customers / self.rows))

    def slice(self, number: int) -> CustomerSummary:
        """The summary of one slice."""
        first = number * self.rows
        place = self.table.place
        rows = self.table.filter((place >= first) & (place < first + self.rows)).order_by("place").drop("place")
        return summary_of_rows(rows.to_pyarrow(), self.measures)


def summary_batches(
    log: TransactionLog,
    window: Window,
    *,
    rows: int = 100_000,
    current_days: int = 365,
    logarithms: bool | None = None,
) -> Iterator[CustomerSummary]:
    """The customer summary slice by slice, where it is too large for memory; in the order of customer_id.

    Parameters
    ----------
    rows : customers a slice
    log, window, current_days, logarithms : as of `customer_summary`

    Raises
    ------
    DataError
        If the calibration ends before the first purchase or long after the last one, or a number is wrong.

    Notes
    -----
    Customers won after the calibration are in no slice's `set_aside`, and no slice has a calendar. On Spark the
    customers are numbered by one executor and come to this process; `map_customers` leaves them where they are.
    """
    require_count("rows", rows, error=DataError)
    seen, measures = customer_rows(log, window, current_days=current_days, logarithms=logarithms)
    numbered = _numbered(seen, measures, window, rows=rows)
    return (numbered.slice(number) for number in numbered.slices)


def map_customers(
    log: TransactionLog,
    window: Window,
    function: OfSlice,
    folder: str | Path,
    *,
    request: str = "",
    rows: int = 100_000,
    current_days: int = 365,
    logarithms: bool | None = None,
    progress: Progress | None = None,
) -> Parts:
    """What a function makes of each slice of customers, written to a folder as Parquet, a part a slice.

    A part appears whole under its name or not at all, and the file _SUCCESS once all are there. Called again after
    an interruption, it keeps the parts that are whole and makes the others.

    Parameters
    ----------
    function : CustomerSummary -> pyarrow.Table with a row a customer and always the same columns. On Spark it is run
        by the executors, on slices of the session's Arrow batches, and so must be one that pickle takes
    folder : where to write; for Spark also an address of a store that it writes to, such as "s3a://..."
    request : names what the function does, in all that its result depends on
    rows : customers a part, but on Spark
    log, window, current_days, logarithms : as of `customer_summary`
    progress : called with the number of parts written and of all, but on Spark

    Raises
    ------
    DataError
        If the folder holds something else, or as `summary_batches`.
    """
    require_count("rows", rows, error=DataError)
    seen, measures = customer_rows(log, window, current_days=current_days, logarithms=logarithms)
    asked = _digest(log, window, request, (rows, current_days, logarithms))
    if engine_of(log.table).name == "pyspark":
        return _mapped_by_spark(seen, functools.partial(_of_rows, function, measures), folder, asked)
    target = _claimed(Path(folder), asked)
    if not (target / DONE).is_file():
        numbered = _numbered(seen, measures, window, rows=rows)
        for number in numbered.slices:
            _write_part(target / f"part-{number:05d}.parquet", functools.partial(_made, function, numbered, number))
            if progress is not None:
                progress(number + 1, len(numbered.slices))
        (target / DONE).touch()
    return _parts(target)


def _mapped_by_spark(table: Any, function: Callable[[Any], Any], folder: str | Path, asked: str) -> Parts:
    """The same by Spark's executors, which leave parts of an interrupted work behind only on this machine."""
    from clvmodels.data.spark import write_mapped

    if REMOTE in str(folder):
        write_mapped(table, function, str(folder), mode="error")
        written = table.get_backend().read_parquet(str(folder))
        return Parts(str(folder), (), first_row(written.aggregate(rows=written.count()))["rows"])
    target = _claimed(Path(folder), asked)
    if not (target / DONE).is_file():
        for left in target.glob("part-*"):
            left.unlink()
        write_mapped(table, function, target.absolute().as_uri(), mode="append")
    return _parts(target)


def _numbered(seen: Any, measures: Measures, window: Window, *, rows: int) -> Numbered:
    place = ibis.row_number().over(ibis.window(order_by="customer_id"))
    table = materialise(seen.mutate(place=place))
    customers = first_row(table.aggregate(customers=table.count()))["customers"]
    refuse_none(customers, window)
    return Numbered(table, measures, customers, rows)


def _made(function: OfSlice, numbered: Numbered, number: int) -> Any:
    return function(numbered.slice(number))


def _of_rows(function: OfSlice, measures: Measures, rows: Any) -> Any:
    return function(summary_of_rows(rows, measures))


def _digest(log: TransactionLog, window: Window, request: str, arguments: tuple[Any, ...]) -> str:
    """What the parts depend on, as one text."""
    counted = hashlib.sha256(repr((log.digest, log.rules, log.currency, window, request, arguments)).encode())
    return counted.hexdigest()


def _claimed(folder: Path, asked: str) -> Path:
    """The folder, made and marked with the request, or found with its mark.

    Raises
    ------
    DataError
        If it holds another request's parts, or anything that has no mark.
    """
    mark = folder / REQUEST
    if mark.is_file():
        if json.loads(mark.read_text())["request"] != asked:
            raise DataError(
                f"{folder}: holds another forecast, of other data, fits or options. Give another folder, or remove it."
            )
        return folder
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise DataError(f"{folder}: is there already, and not of this kind. Give a folder that is new or empty.")
    folder.mkdir(parents=True, exist_ok=True)
    _put(mark, lambda path: path.write_text(json.dumps({"request": asked})))
    return folder


def _write_part(path: Path, make: Callable[[], Any]) -> None:
    """A part, unless it is there."""
    if not path.is_file():
        table = make()
        _put(path, lambda partial: pq.write_table(table, partial))


def _put(path: Path, write: Callable[[Path], Any]) -> None:
    """A file that appears whole under its name or not at all."""
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        write(partial)
        partial.replace(path)
    except OSError as error:
        raise DataError(f"{path}: cannot be written ({error.strerror or error}).") from None
    finally:
        partial.unlink(missing_ok=True)


def _parts(folder: Path) -> Parts:
    files = tuple(sorted(folder.glob("part-*.parquet")))
    return Parts(str(folder), files, sum(pq.read_metadata(file).num_rows for file in files))
