"""Accounts of a log's rows: what became of each, with amounts; every row is in one line, and they add up."""

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from clvmodels.data.engines import exact_total, first_row
from clvmodels.data.refunds import Settled
from clvmodels.data.row_fates import USED
from clvmodels.foundation.errors import DataError
from clvmodels.foundation.records import LedgerLine

COUNTED = (USED, "refund_netted")
SET_ASIDE = (
    "missing_id",
    "other_currency",
    "before_first_day",
    "after_last_day",
    "excluded",
    "zero_amount",
    "duplicate",
    "first_refund",
    "refund_day",
    "refund_dropped",
    "refund_matched",
    "refund_unmatched",
)
SAMPLES = 5


@dataclass(frozen=True)
class Entry:
    """Rows of one fate, their amount to the last decimal, and some of them."""

    fate: str
    rows: int
    amount: Decimal
    sample: tuple[str, ...] = ()


def ledger(entries: Iterable[Entry], *, rows_read: int, gross: Decimal) -> tuple[LedgerLine, ...]:
    """A line a fate, those that count first.

    Raises
    ------
    DataError
        If rows or amounts do not add up to those that were read: a fault of this package.
    """
    by_fate: dict[str, list[Entry]] = {}
    for entry in entries:
        if entry.rows:
            by_fate.setdefault(entry.fate, []).append(entry)
    rows = sum(entry.rows for found in by_fate.values() for entry in found)
    amount = sum((entry.amount for found in by_fate.values() for entry in found), Decimal(0))
    if (rows, amount) != (rows_read, gross):
        raise DataError(
            f"the ledger does not balance: {rows} rows of {amount} are accounted for, {rows_read} rows of {gross} were "
            "read. Either the data changed while they were read, or this is a fault of clvmodels: please report it."
        )
    return tuple(_line(fate, by_fate[fate]) for fate in COUNTED + SET_ASIDE if fate in by_fate)


def continued(earlier: Iterable[LedgerLine], later: Iterable[LedgerLine]) -> tuple[LedgerLine, ...]:
    """The ledger of two parts of a log, of those of each."""
    by_fate: dict[str, list[Entry]] = {}
    for line in (*earlier, *later):
        entry = Entry(line.reason, line.rows, as_decimal(line.amount), line.sample)
        by_fate.setdefault(line.reason, []).append(entry)
    return tuple(_line(fate, by_fate[fate]) for fate in COUNTED + SET_ASIDE if fate in by_fate)


def as_decimal(amount: float) -> Decimal:
    """The decimal that an amount is the nearest float of, where it has up to 15 digits."""
    return Decimal(str(amount))


def entries_by_fate(judged: Any) -> list[Entry]:
    """Rows and amounts by fate of lines that have one; with samples of those not used."""
    sums = judged.group_by("fate").aggregate(rows=judged.count(), amount=exact_total(judged.amount))
    return [
        Entry(found["fate"], found["rows"], found["amount"], _sample_of(judged, found["fate"]))
        for found in sums.to_pyarrow().to_pylist()
    ]


def entries_of_days(settled: Settled, lines: Any) -> list[Entry]:
    """Rows and amounts of days: purchases, refunds netted, and days that refunds have undone.

    Parameters
    ----------
    lines : the rows that were settled
    """
    days = settled.days
    if "refunds" not in days.columns:
        sums = first_row(days.aggregate(rows=days.lines.sum(), amount=days.amount.sum().fill_null(0)))
        return [Entry(USED, sums["rows"] or 0, sums["amount"])]
    undone, netted = days.undone, ~days.undone & (days.refunds > 0)
    sums = first_row(
        days.aggregate(
            used=(days.lines - days.refunds).sum(where=~undone).fill_null(0),
            used_amount=(days.amount - days.refunded).sum(where=~undone).fill_null(0),
            netted=days.refunds.sum(where=netted).fill_null(0),
            netted_amount=days.refunded.sum(where=netted).fill_null(0),
            undone=days.lines.sum(where=undone).fill_null(0),
            undone_amount=days.amount.sum(where=undone).fill_null(0),
        )
    )
    refunds = lines.filter(lines.amount < 0)
    return [
        Entry(USED, sums["used"], sums["used_amount"]),
        Entry("refund_netted", sums["netted"], sums["netted_amount"], sample(_of(refunds, days.filter(netted)))),
        Entry("refund_day", sums["undone"], sums["undone_amount"], sample(_of(lines, days.filter(undone)))),
    ]


def _of(lines: Any, days: Any) -> Any:
    """The rows of some days, of the first that are enough for a sample."""
    return lines.semi_join(days.order_by("date", "customer_id").limit(SAMPLES), ["customer_id", "date"])


def sample(rows: Any) -> tuple[str, ...]:
    """A few rows as text: customer, day and amount."""
    named = rows.select("customer_id", "date", "amount")
    found = named.order_by("date", "customer_id", "amount").limit(SAMPLES).to_pyarrow().to_pylist()
    return tuple(f"{row['customer_id'] or '-'} {row['date']} {row['amount']:.2f}" for row in found)


def _sample_of(judged: Any, fate: str) -> tuple[str, ...]:
    return () if fate == USED else sample(judged.filter(judged.fate == fate))


def _line(fate: str, entries: list[Entry]) -> LedgerLine:
    amount = sum((entry.amount for entry in entries), Decimal(0))
    shown = [text for entry in entries for text in entry.sample][:SAMPLES]
    return LedgerLine(fate, sum(entry.rows for entry in entries), float(amount), tuple(shown))
