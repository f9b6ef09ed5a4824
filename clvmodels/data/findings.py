"""What a reader should know of the rows that a log uses: nothing of it changes a number."""

import calendar
import datetime as dt
import unicodedata
from collections.abc import Sequence
from typing import Any

import numpy as np

from clvmodels.data.days import OPEN_END
from clvmodels.data.engines import first_row, total
from clvmodels.data.ledger import SAMPLES, sample
from clvmodels.data.occasions import Occasions
from clvmodels.foundation.patterns import IntArray
from clvmodels.foundation.records import Findings, LedgerLine

FOLDED_UP_TO = 1_000_000  # customers, one by one, where some ids have letters beyond ASCII
UNSEEN = ("Cc", "Cf", "Zs", "Zl", "Zp")  # controls, marks of format, blanks
EARLIEST = dt.date(1990, 1, 1)  # purchases before it are seldom real
FAR_DAYS = 365  # nor those so long after all but a thousandth of the others
LARGE_SHARE = 0.01  # of the revenue, in one row
OPENING_DAYS = 30  # a log that begins after its customers meets many of them in its first days:
FEW_DAYS = 120  # (no shorter log can tell)
MANY_TIMES = 1.5  # so many times as fast as afterwards,
FEW_SD = 4  # and by more than chance


def findings(occasions: Occasions, *, mixed_ids: int, unseen: Sequence[str], names: Any | None = None) -> Findings:
    """Number of customers, and notes on rows and customers; a row may be in several notes, most are in none.

    Parameters
    ----------
    names : Ibis table customer_id, written: ids as they are written, where customers go by other names
    """
    table = occasions.table
    first = table.group_by("customer_id").aggregate(first=table.date.min())
    ids = first_row(first.aggregate(ids=first.count()))["ids"]
    written = first.select(written=first.customer_id)
    if names is not None:
        written = names.semi_join(first, "customer_id").select("written")
    won = first.group_by(date=first["first"]).aggregate(customers=first.count())
    daily = table.group_by("date").aggregate(purchases=table.count(), amount=total(table.amount))
    days, purchases = _by_day(daily, "purchases")
    lines = (
        _counted("zero_amount", occasions.counted.filter(occasions.counted.amount == 0)),
        _repeated(occasions),
        _counted("far_date", occasions.counted.filter(_far(occasions.counted.date, days, purchases))),
        LedgerLine("similar_id", ids - _folded_ids(written, ids), 0.0),
        LedgerLine("mixed_id", mixed_ids, 0.0),
        _several_orders(occasions),
        _older(occasions),
        _largest_row(occasions),
        _left_truncated(*_by_day(won, "customers"), last=days[-1]),
        _last_period_cut(occasions.counted, days[0], days[-1]),
        LedgerLine("exclude_unseen", len(unseen), 0.0, tuple(unseen[:SAMPLES])),
    )
    return Findings(ids, tuple(line for line in lines if line.rows))


def _folded_ids(ids: Any, count: int) -> int:
    """Number of ids that differ by more than case, blanks, marks that cannot be seen and Unicode form.

    Parameters
    ----------
    ids : Ibis table with the column written
    """
    plain = ids.written.lower().re_replace(r"\s+", "")
    seen = first_row(ids.aggregate(folded=plain.nunique(), further=ids.written.re_search(r"[^\x00-\x7F]").any()))
    if not seen["further"] or count > FOLDED_UP_TO:
        return int(seen["folded"])
    return len({_fold(text) for text in ids.to_pyarrow()["written"].to_pylist()})


def _fold(text: str) -> str:
    seen = (mark for mark in unicodedata.normalize("NFKC", text) if unicodedata.category(mark) not in UNSEEN)
    return "".join(seen).casefold()


def _by_day(table: Any, column: str) -> tuple[list[dt.date], IntArray]:
    found = table.order_by("date").to_pyarrow()
    return found["date"].to_pylist(), found[column].to_numpy().astype(np.int64)


def _counted(reason: str, rows: Any) -> LedgerLine:
    seen = first_row(rows.aggregate(rows=rows.count(), amount=total(rows.amount)))
    return LedgerLine(reason, seen["rows"], seen["amount"], sample(rows) if seen["rows"] else ())


def _on_busy_days(occasions: Occasions) -> Any:
    """The rows of customers' days that have more than one."""
    busy = occasions.table.filter(occasions.table.lines > 1)
    return occasions.counted.semi_join(busy, ["customer_id", "date"])


def _repeated(occasions: Occasions) -> LedgerLine:
    """Rows that say again what another says in every column that is read, beyond the first of each."""
    rows = _on_busy_days(occasions)
    again = rows.group_by([name for name in rows.columns if name != "fate"]).aggregate(extra=rows.count() - 1)
    again = again.filter(again.extra > 0)
    seen = first_row(again.aggregate(rows=again.extra.sum(), amount=total(again.amount * again.extra)))
    return LedgerLine("repeated_line", seen["rows"] or 0, seen["amount"], sample(again) if seen["rows"] else ())


def _several_orders(occasions: Occasions) -> LedgerLine:
    """Days of a customer with several orders, which count as one purchase; where orders are known."""
    if "order" not in occasions.counted.columns:
        return LedgerLine("several_orders", 0, 0.0)
    rows = _on_busy_days(occasions)
    by_day = rows.group_by("customer_id", "date").aggregate(orders=rows.order.nunique(), amount=total(rows.amount))
    several = by_day.filter(by_day.orders > 1)
    seen = first_row(several.aggregate(rows=several.count(), amount=total(several.amount)))
    return LedgerLine("several_orders", seen["rows"], seen["amount"], sample(several) if seen["rows"] else ())


def _far(date: Any, days: Sequence[dt.date], purchases: IntArray) -> Any:
    place = int(np.searchsorted(np.cumsum(purchases), 0.999 * purchases.sum()))
    latest = min(days[place].toordinal() + FAR_DAYS, OPEN_END.toordinal() - 1)
    return (date < EARLIEST) | (date > dt.date.fromordinal(latest))


def _older(occasions: Occasions) -> LedgerLine:
    """Customers whose first row is a refund."""
    if occasions.older is None:
        return LedgerLine("first_row_refund", 0, 0.0)
    kept = occasions.older.semi_join(occasions.table, "customer_id")
    ids = kept.order_by("customer_id").limit(SAMPLES).to_pyarrow()["customer_id"].to_pylist()
    return LedgerLine("first_row_refund", first_row(kept.aggregate(rows=kept.count()))["rows"], 0.0, tuple(ids))


def _largest_row(occasions: Occasions) -> LedgerLine:
    """A row that is a large share of the revenue by itself."""
    rows = occasions.counted
    revenue = first_row(occasions.table.aggregate(amount=total(occasions.table.amount)))["amount"]
    large = rows.filter(rows.amount > max(LARGE_SHARE * revenue, 0.0))
    few = first_row(rows.aggregate(rows=rows.count()))["rows"] < 1 / LARGE_SHARE  # any row is a large share of few
    return LedgerLine("largest_row", 0, 0.0) if few else _counted("largest_row", large)


def _left_truncated(days: Sequence[dt.date], customers: IntArray, *, last: dt.date) -> LedgerLine:
    """Customers first seen as the log begins, where they are far more than later: many are older than the log."""
    since = np.array([(day - days[0]).days for day in days])
    length = (last - days[0]).days + 1
    opening = int(customers[since < OPENING_DAYS].sum())
    after = int(customers[(since >= OPENING_DAYS) & (since < 3 * OPENING_DAYS)].sum())
    expected = max(after / 2, 1.0)
    many = opening > MANY_TIMES * expected and opening - expected > FEW_SD * np.sqrt(expected + expected / 2)
    return LedgerLine("left_truncated", opening if many and length >= FEW_DAYS else 0, 0.0)


def _last_period_cut(rows: Any, first: dt.date, last: dt.date) -> LedgerLine:
    """Rows of a last month that the log does not reach the end of, where it has whole months before."""
    whole = last.day == calendar.monthrange(last.year, last.month)[1]
    if whole or (last - first).days < 2 * OPENING_DAYS:
        return LedgerLine("last_period_cut", 0, 0.0)
    found = _counted("last_period_cut", rows.filter(rows.date >= last.replace(day=1)))
    return LedgerLine(found.reason, found.rows, found.amount, (last.isoformat(),))
