"""Summaries kept in a folder and continued from file to file, without reading the history again.

A folder holds kept.json, which names and digests the files of the last state that was finished: the state of each
customer (customers_N.parquet), the purchases of the last days by part (days_N.parquet), and, where customers older
than the log are left out, those met without a purchase (met_N.parquet). N counts the logs taken in. An update writes
new files beside the old ones and replaces kept.json last, so that a folder is always in the state before or after it.
"""

import datetime as dt
import fcntl
import glob
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import ibis
import msgspec
import pyarrow.parquet as pq

from clvmodels.data.engines import day, duckdb, engine_of, exact_total, first_row, in_duckdb, money, purchase_amount
from clvmodels.data.ledger import as_decimal, continued, sample
from clvmodels.data.occasions import occasions, older_customers, sums_of
from clvmodels.data.row_fates import USED, with_row_fates
from clvmodels.data.states import in_days, joined, logarithms_of, states_of, with_floats
from clvmodels.data.summary import Measures, customers_left_out, summary_of, with_logarithms
from clvmodels.data.windows import QUIET_DAYS, won_in
from clvmodels.foundation.errors import DataError
from clvmodels.foundation.files import digest_of_files, whole
from clvmodels.foundation.kept import KeptPart, KeptSummary
from clvmodels.foundation.records import CustomerSummary, LedgerLine, TransactionLog, Window

RECORD = "kept.json"
VERSION = 1  # of the format of a folder
OWN_FILES = re.compile(r"\.?(customers|days|met)_\d+\.parquet(\.\d+\.partial)?")
BATCH = 200_000  # rows written at a time
REBUILD = "Put it back from a copy, or keep the summary anew: keep_summary of a log of all rows, in another folder."


@dataclass(frozen=True)
class _Part:
    """A log as it is added: its purchases, its account, and the last day on which it has rows that count.

    `older` are customers whose first day has refunds alone, where they are left out, else None.
    """

    log: TransactionLog
    purchases: Any
    ledger: tuple[LedgerLine, ...]
    until: dt.date
    older: Any | None = None


def keep_summary(
    log: TransactionLog, folder: str | Path, *, current_days: int = 365, logarithms: bool | None = None
) -> KeptSummary:
    """Keeps the states of a log's customers in a folder, for `update_summary` to continue with later rows.

    Parameters
    ----------
    log : purchase log, from its first day on
    folder : made if it is not there
    current_days, logarithms : as in `customer_summary`; what is not kept cannot be asked for later

    Raises
    ------
    DataError
        If the folder holds a kept summary or cannot be written, or refunds are matched with earlier purchases, which
        only a reading of all rows can do.

    Notes
    -----
    Rows after a stated `last_day` are set aside and not kept: a later file is to bring them again. Sums of calendar
    terms are not kept, since a calendar can change; they need the log.
    """
    folder = Path(folder)
    if current_days < 1:
        raise DataError(f"current_days = {current_days}: expected at least 1 day.")
    if log.rules.refunds == "match":
        raise DataError(
            'refunds = "match" looks for the purchase of each refund among all earlier rows, which a kept summary '
            'does not have. Read the log with "net", "drop" or "keep".'
        )
    start = KeptSummary(
        until=dt.date.min,
        first_date=log.first_date,
        last_date=log.last_date,
        occasions=0,
        n_customers=0,
        currency=log.currency,
        rules=replace(log.rules, last_day=None),
        logarithms=with_logarithms(log, logarithms),
        current_days=current_days,
        rows_read=0,
        gross=0.0,
        ledger=(),
        parts=(),
        digests={},
    )
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as problem:
        raise DataError(f"{folder} cannot be made ({problem.strerror}).") from None
    with _locked(folder, fcntl.LOCK_EX):
        if (folder / RECORD).exists():
            raise DataError(
                f"{folder} holds a kept summary already: continue it by update_summary, or choose another folder."
            )
        with log.unchanged():
            used = _used_rows(log)
            older = older_customers(used) if log.rules.first_refunds == "drop" else None
            part = _Part(log, log.table, log.ledger, _last_day(log, used), older)
        return _add(start, folder, part)


def update_summary(folder: str | Path, log: TransactionLog) -> KeptSummary:
    """Continues the summary kept in a folder with a log of later rows; the history is not read again.

    A day is counted once, with all its rows: those of the log are to be later than `until`, the last day counted
    so far. An update that is cut short leaves the folder as it was.

    Parameters
    ----------
    folder : of `keep_summary`
    log : purchase log of the new rows alone, read in the same way (units, time zone and start of the day are not
        compared, the rules are). Where the kept rules leave out customers whose
        first day has refunds alone, those of the log are judged by what is known of them, whatever its own word is.

    Raises
    ------
    DataError
        If a row that counts is on or before the last day counted, the currency or a rule is another, or the folder
        cannot be used.
    """
    folder = Path(folder)
    with _locked(folder, fcntl.LOCK_EX):
        kept = _read(folder)
        _check_alike(kept, log)
        with log.unchanged():
            used = _used_rows(log)
            _refuse_late(kept, used, log)
            part = _Part(log, log.table, log.ledger, max(kept.until, _last_day(log, used)))
            if kept.rules.first_refunds == "drop":
                part = _counted_anew(kept, folder, log, part.until)
        return _add(kept, folder, part)


def kept_summary(folder: str | Path, window: Window) -> CustomerSummary:
    """The summary of customers from the states kept in a folder: that of `customer_summary` of all rows together.

    Parameters
    ----------
    folder : of `keep_summary`
    window : its calibration ends on or after the day of the last purchase; its `holdout_end` is not read

    Raises
    ------
    DataError
        If the calibration ends before the last purchase or long after it, no customer was won when they count, or
        the folder cannot be used.
    """
    folder, end = Path(folder), window.calibration_end
    with _locked(folder, fcntl.LOCK_SH):
        kept = _read(folder)
        if not kept.last_date <= end <= kept.last_date + dt.timedelta(days=QUIET_DAYS):
            raise DataError(
                f"calibration_end {end}: the last purchase kept in {folder} is of {kept.last_date}; expected a day "
                f"from then on, at most {QUIET_DAYS} later. An earlier one needs the log itself: customer_summary."
            )
        days_used = min(kept.current_days, (end - kept.first_date).days + 1)
        states = _customers(kept, folder)
        spent = _spent_since(kept, folder, end - dt.timedelta(days=days_used - 1))
        rows = in_days(states, end).left_join(spent, "customer_id")
        rows = rows.mutate(current_amount=rows.current_amount.fill_null(0.0))
        rows = with_floats(rows) if kept.logarithms else rows
        left_out = customers_left_out(states, window)
        measures = Measures(window.unit, kept.currency, end, days_used)
        return summary_of(won_in(rows, window), window, measures, left_out=left_out)


# --- what a log adds ---


def _used_rows(log: TransactionLog) -> Any:
    """The rows that are not set aside whatever the others are."""
    judged = with_row_fates(log.rows, log.rules, log.currency)
    return judged.filter(judged.fate == USED)


def _last_day(log: TransactionLog, used: Any) -> dt.date:
    """The last day that a log is complete for: it may have rows after its last purchase, and says so by `last_day`."""
    latest: dt.date = first_row(used.aggregate(latest=used.date.max()))["latest"]
    return max(latest, log.rules.last_day or latest)


def _check_alike(kept: KeptSummary, log: TransactionLog) -> None:
    if log.currency != kept.currency:
        raise DataError(f"{log.source} is in {log.currency}, the kept summary in {kept.currency}.")
    free = {"last_day"} | ({"first_refunds"} if kept.rules.first_refunds == "drop" else set())
    for name in (field.name for field in fields(kept.rules) if field.name not in free):
        own, other = getattr(kept.rules, name), getattr(log.rules, name)
        if own != other:
            raise DataError(f"{log.source} was read with {name} = {other!r}, the kept summary with {own!r}.")


def _refuse_late(kept: KeptSummary, used: Any, log: TransactionLog) -> None:
    late = used.filter(used.date <= day(kept.until))
    rows = first_row(late.aggregate(rows=late.count()))["rows"]
    if rows:
        raise DataError(
            f"{log.source}: {rows} rows are on or before {kept.until}, the last day that the kept summary has counted "
            f"(first: {sample(late)[0]}). Leave out what was counted before. Rows that came late need a new start: "
            "keep_summary of a log of all rows."
        )


def _counted_anew(kept: KeptSummary, folder: Path, log: TransactionLog, until: dt.date) -> _Part:
    """The log's rows counted with what is known of their customers: a refund is first only of those not met before."""
    rules = replace(kept.rules, last_day=log.rules.last_day)
    judged = with_row_fates(_here(log.rows), rules, kept.currency)
    known = _customers(kept, folder).select("customer_id").mutate(older=ibis.literal(value=False))
    seen = first_row(judged.aggregate(rows=judged.count(), **sums_of(judged)))
    found = occasions(judged, rules, seen=seen, met=known.union(_met(kept, folder)))
    return _Part(log, found.table, found.ledger, until, found.older)


def _states(purchases: Any, *, logarithms: bool) -> Any:
    states = states_of(purchases)
    if not logarithms:
        return states
    return states.left_join(logarithms_of(purchases), "customer_id").drop("customer_id_right")


def _met_without_purchase(part: _Part) -> Any:
    """Customers of a part with rows that count but no purchase, and whether they are older than the log."""
    met = _used_rows(part.log).select("customer_id").distinct().anti_join(part.purchases, "customer_id")
    older = met.semi_join(part.older, "customer_id").mutate(older=ibis.literal(value=True))
    younger = met.anti_join(part.older, "customer_id").mutate(older=ibis.literal(value=False))
    return _here(older.union(younger))


def _here(table: Any) -> Any:
    """A table in the process's DuckDB, whatever its engine: only of what a part adds."""
    return table if engine_of(table).name == "duckdb" else in_duckdb(table.to_pyarrow())


# --- the folder ---


def _add(kept: KeptSummary, folder: Path, part: _Part) -> KeptSummary:
    """Write the state with a part added: new files first, then the record that names them, then the old ones go."""
    number, bought, log = len(kept.parts) + 1, part.purchases, part.log
    facts = first_row(bought.aggregate(count=bought.count(), first=bought.date.min(), last=bought.date.max()))
    last_date = max(kept.last_date, facts["last"] or kept.last_date)
    horizon = last_date - dt.timedelta(days=kept.current_days)
    recent = {f"days_{place}.parquet" for place, one in enumerate(kept.parts, start=1) if one.last_date > horizon}
    with log.unchanged():
        written = _write_states(kept, folder, part, days_after=horizon)
    added = replace(
        kept,
        until=part.until,
        first_date=min(kept.first_date, facts["first"] or kept.first_date),
        last_date=last_date,
        occasions=kept.occasions + facts["count"],
        n_customers=pq.read_metadata(folder / f"customers_{number}.parquet").num_rows,
        rows_read=kept.rows_read + log.rows_read,
        gross=float(as_decimal(kept.gross) + as_decimal(log.gross)),
        ledger=continued(kept.ledger, part.ledger),
        parts=(*kept.parts, KeptPart(log.source, log.digest, log.rows_read, part.until, last_date)),
        digests={name: digest for name, digest in kept.digests.items() if name in recent} | written,
    )
    with whole(folder / RECORD, error=DataError) as partial:
        partial.write_bytes(msgspec.json.format(msgspec.json.encode({"version": VERSION, "kept": added}), indent=1))
    for old in folder.iterdir():
        if OWN_FILES.fullmatch(old.name) and old.name not in added.digests:
            old.unlink()
    return added


def _write_states(kept: KeptSummary, folder: Path, part: _Part, *, days_after: dt.date) -> dict[str, str]:
    """The files of the state with a part added, with the part's purchases after a day; digests by name."""
    bought = part.purchases
    states = _states(bought, logarithms=kept.logarithms)
    if kept.parts:
        states = joined(_customers(kept, folder), _here(states))
    recent = bought.filter(bought.date > day(days_after)).select(
        "customer_id", "date", amount=money(purchase_amount(bought))
    )
    paths = {name: folder / f"{name}_{len(kept.parts) + 1}.parquet" for name in ("days", "customers", "met")}
    digests = {paths["days"].name: _write(recent, paths["days"])}
    digests[paths["customers"].name] = _write(states, paths["customers"])
    if part.older is not None:
        met = _met_without_purchase(part)
        met = met.union(_met(kept, folder)).distinct() if kept.parts else met
        bought_by_now = _parquet(paths["customers"])
        digests[paths["met"].name] = _write(met.anti_join(bought_by_now, "customer_id"), paths["met"])
    return digests


def _write(table: Any, path: Path) -> str:
    """Write a table as one Parquet file, never all of it in memory; its SHA-256."""
    from duckdb import Error

    with whole(path, error=DataError) as partial:
        if engine_of(table).name == "duckdb":
            try:
                table.to_parquet(partial)
            except Error as error:
                raise DataError(f"{path} could not be written ({error}).") from None
        else:
            batches = table.to_pyarrow_batches(chunk_size=BATCH)
            with pq.ParquetWriter(partial, batches.schema) as writer:
                for batch in batches:
                    writer.write_batch(batch)
    return digest_of_files([path])


@contextmanager
def _locked(folder: Path, kind: int) -> Iterator[None]:
    """The folder held by one writer or by readers, also against other processes; free again when a process ends."""
    try:
        held = os.open(folder, os.O_RDONLY)
    except OSError as problem:
        raise DataError(f"{folder} cannot be opened ({problem.strerror}): expected a folder of keep_summary.") from None
    try:
        _lock(held, kind, folder)
        yield
    finally:
        os.close(held)


def _lock(held: int, kind: int, folder: Path) -> None:
    try:
        fcntl.flock(held, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        raise DataError(f"{folder}: another process works in it now. Try again when it has ended.") from None


def _read(folder: Path) -> KeptSummary:
    path = folder / RECORD
    if not path.is_file():
        raise DataError(f"{folder} holds no kept summary: begin one by keep_summary.")
    try:
        stored = msgspec.json.decode(path.read_bytes())
        if stored["version"] == VERSION:
            return msgspec.convert(stored["kept"], KeptSummary)
    except (msgspec.MsgspecError, TypeError, KeyError, ValueError):
        raise DataError(f"{path} is damaged. {REBUILD}") from None
    raise DataError(f"{path} is of format {stored['version']}, this version reads {VERSION}. {REBUILD}")


def _table(kept: KeptSummary, folder: Path, name: str) -> Any:
    """A file of the folder, seen to be what was written."""
    path = folder / name
    if not path.is_file() or digest_of_files([path]) != kept.digests[name]:
        raise DataError(f"{path} is missing or not as it was written. {REBUILD}")
    return _parquet(path)


def _parquet(path: Path) -> Any:
    return duckdb().read_parquet(glob.escape(str(path)))


def _customers(kept: KeptSummary, folder: Path) -> Any:
    return _table(kept, folder, f"customers_{len(kept.parts)}.parquet")


def _met(kept: KeptSummary, folder: Path) -> Any:
    return _table(kept, folder, f"met_{len(kept.parts)}.parquet")


def _spent_since(kept: KeptSummary, folder: Path, since: dt.date) -> Any:
    """What each customer has spent from a day on. Columns: customer_id, current_amount."""
    parts = [_table(kept, folder, name) for name in sorted(kept.digests) if name.startswith("days_")]
    recent = ibis.union(*parts) if len(parts) > 1 else parts[0]
    recent = recent.filter(recent.date >= day(since))
    return recent.group_by("customer_id").aggregate(current_amount=exact_total(recent.amount).cast("float64"))
