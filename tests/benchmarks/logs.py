"""Purchase logs of 10,000,000 to 200,000,000 rows: from files to customer summaries and patterns, by us and by peers.

Logs are made up once, outside the clock and in bounded memory, under .cache, and removed afterwards: a tenth as many
customers as rows, most with few purchases and few with many; customers won over the first year, purchases until the
end of the second; a row in ten on the day of the one before, some of them refunds; ids as text, amounts with two
decimals.
"""

import datetime as dt
import resource
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet

import clvmodels as clv

FIRST_DAY = np.datetime64("2023-01-01")
LAST_DAY = "2024-12-31"
WINDOW = clv.Window(dt.date.fromisoformat(LAST_DAY))
DAYS = 731
PART = 5_000_000  # rows of a file
BLOCK = 500_000  # rows made up at a time: a row group
ROWS_PER_CUSTOMER = 10
SAME_DAY = 0.1  # share of rows
PEERS = ("lifetimes", "pymc-marketing")
SCHEMA = pa.schema([("customer_id", pa.string()), ("date", pa.date32()), ("amount", pa.float64())])


@dataclass(frozen=True)
class LogTask:
    """What is measured of a log, and by whom.

    Attributes
    ----------
    what : for the table
    rows : of the log
    form : "parquet" or "csv"
    work : of WORK
    peers : that do the same
    refunded : share of rows below 0
    seconds, megabytes : at most, or None
    """

    what: str
    rows: int
    form: str
    work: str
    peers: tuple[str, ...] = ()
    refunded: float = 0.01
    seconds: float | None = None
    megabytes: float | None = None


TEN, FIFTY, MOST = 10_000_000, 50_000_000, 200_000_000
LOG_TASKS = {
    "log_10m": LogTask("10,000,000 rows of Parquet to summary", TEN, "parquet", "summary", PEERS, 0.0),
    "compress_10m": LogTask("the same to counted patterns", TEN, "parquet", "compress", (), 0.0),
    "refunds_10m": LogTask("10,000,000 rows, 1 % refunds, to summary", TEN, "parquet", "summary", PEERS),
    "findings_10m": LogTask("the same to summary and findings", TEN, "parquet", "findings"),
    "csv_10m": LogTask("10,000,000 rows of CSV, 1 % refunds, to summary", TEN, "csv", "summary"),
    "log_50m": LogTask("50,000,000 rows to summary", FIFTY, "parquet", "summary", (), 0.01, 60, 4_000),
    "log_200m": LogTask("200,000,000 rows to counted patterns", MOST, "parquet", "compress", (), 0.01, None, 8_000),
}
TIMES_LESS_CPU, SHARE_OF_MEMORY = 4, 1 / 3  # wanted beside each peer


def write_log_here(folder: Path, rows: int, form: str, refunded: float) -> dict[str, float]:
    """Write a log of so many rows into files of a folder."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for place, first in enumerate(range(0, rows, PART)):
        path = folder / f"part-{place:03d}.{form}"
        starts = range(first, min(first + PART, rows), BLOCK)
        blocks = (_rows(np.random.default_rng(start), min(BLOCK, rows - start), rows, refunded) for start in starts)
        kind = pa.csv.CSVWriter if form == "csv" else pa.parquet.ParquetWriter
        with kind(path, SCHEMA) as writer:
            for block in blocks:
                writer.write_table(block)
    return {"rows": rows, "bytes": sum(path.stat().st_size for path in folder.iterdir())}


def _rows(rng: np.random.Generator, size: int, rows: int, refunded: float) -> pa.Table:
    """Rows in no order; a customer's number tells the day on which it was won and how much it buys."""
    customer = (rows // ROWS_PER_CUSTOMER * rng.random(size) ** 1.5).astype(np.int64)
    won = customer * 2_654_435_761 % 366
    day = won + ((DAYS - won) * rng.random(size)).astype(np.int64)
    again = np.flatnonzero(rng.random(size - 1) < SAME_DAY) + 1
    customer[again], day[again] = customer[again - 1], day[again - 1]
    amount = np.round(np.exp(rng.normal(3.0, 0.8, size)) + 0.5, 2)
    amount[rng.random(size) < refunded] *= -1
    text = pa.array(customer).cast(pa.string())
    ids = pa.compute.binary_join_element_wise("C", pa.compute.utf8_lpad(text, width=9, padding="0"), "")
    return pa.table([ids, pa.array(FIRST_DAY + day), pa.array(amount)], schema=SCHEMA)


def _summary(log: clv.TransactionLog) -> int:
    return len(clv.customer_summary(log, WINDOW))


def _compress(log: clv.TransactionLog) -> int:
    from clvmodels.data import compress_log

    return int(compress_log(log, WINDOW).n_customers.sum())


def _findings(log: clv.TransactionLog) -> int:
    _summary(log)
    return log.n_customers


WORK: dict[str, Callable[[clv.TransactionLog], int]] = {
    "summary": _summary,
    "compress": _compress,
    "findings": _findings,
}


def log_here(files: str, work: str) -> dict[str, float]:
    """Seconds and this process's peak memory from files to the work's result; imports are not timed."""
    clv.read_transactions, clv.customer_summary  # noqa: B018
    began, cpu = time.perf_counter(), time.process_time()
    log = clv.read_transactions(files)
    read, read_cpu = time.perf_counter(), time.process_time()
    customers = WORK[work](log)
    return {
        "rows": log.rows_read,
        "customers": customers,
        "read": read - began,
        "read_cpu": read_cpu - cpu,
        "wall": time.perf_counter() - began,
        "cpu": time.process_time() - cpu,
        "megabytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }
