"""What became of the customers of each window of a log: won, kept, won back and lost, as counts over counts."""

import datetime as dt
import itertools
from typing import Any

import ibis

from clvmodels.data.engines import exact_total, within_limits
from clvmodels.data.windows import ONE_DAY, complete_until
from clvmodels.foundation.decision_results import BasePeriod
from clvmodels.foundation.errors import DataError
from clvmodels.foundation.records import TransactionLog

MONTHS = {"quarter": 3, "month": 1}
FEWEST_QUARTERS = 4
NEVER = -2  # no window stands beside it
WHOLE = 0.95  # of a window's days: a last window of which the log has fewer is left out

Days = tuple[dt.date, dt.date]


@within_limits()
def base_periods(log: TransactionLog, *, windows: str | None = None) -> list[BasePeriod]:
    """Customers who were active in each calendar quarter or month of the log: new, kept, won back; and who left.

    Parameters
    ----------
    windows : "quarter" or "month"; None: quarters where the log has four of them or more, else months

    Returns
    -------
    list of BasePeriod
        From the window of the log's first day, which begins with that day, to the last one that is whole: in one
        that the log's end cuts off, customers would seem to have left who had no time to come. Values are amounts.

    Raises
    ------
    DataError
        If the windows are none of these.
    """
    if windows is not None and windows not in MONTHS:
        raise DataError(f'windows = "{windows}": expected "quarter" or "month".')
    if windows is None:
        windows = "quarter" if len(_windows(log, MONTHS["quarter"])) >= FEWEST_QUARTERS else "month"
    days = _windows(log, MONTHS[windows])
    if not days:
        return []
    found = {row.pop("place"): row for row in _by_window(log, MONTHS[windows]).to_pyarrow().to_pylist()}
    nobody = dict.fromkeys(next(iter(found.values())), 0)
    rows = [found.get(place, nobody) for place in range(len(days))]
    return [_period(days, rows, place) for place in range(len(days))]


def _windows(log: TransactionLog, months: int) -> list[Days]:
    """First and last days of the windows of so many calendar months that the log covers."""
    start = _month(log.first_date) // months * months
    firsts = [_first_day(month) for month in range(start, _month(complete_until(log)) + 2 * months, months)]
    whole = [(first, later - ONE_DAY) for first, later in itertools.pairwise(firsts)]
    covered = [days for days in whole if _covered(log, days)]
    return [(max(first, log.first_date), last) for first, last in covered]


def _covered(log: TransactionLog, days: Days) -> bool:
    """Whether the log reaches the end of a window, or nearly so."""
    first, last = days
    return (complete_until(log) - first).days + 1 >= WHOLE * ((last - first).days + 1)


def _month(date: dt.date) -> int:
    return date.year * 12 + date.month - 1


def _first_day(month: int) -> dt.date:
    return dt.date(month // 12, month % 12 + 1, 1)


def _by_window(log: TransactionLog, months: int) -> Any:
    """A row a window with purchases: its place, counts of customers and sums of amounts."""
    table = log.table
    start = _month(log.first_date) // months
    month = table.date.year().cast("int64") * 12 + table.date.month() - 1
    place = ((month // months).cast("int64") - start).name("place")
    active = table.group_by("customer_id", place).aggregate(purchases=table.count(), spent=exact_total(table.amount))
    own = ibis.window(group_by="customer_id", order_by="place")
    seen = active.mutate(
        before=active.place.lag().over(own).fill_null(NEVER), after=active.place.lead().over(own).fill_null(NEVER)
    )
    new, kept = seen.before == NEVER, seen.before == seen.place - 1
    back = ~new & ~kept
    stays = seen.after == seen.place + 1
    return seen.group_by("place").aggregate(
        active=seen.count(),
        new=new.sum(),
        kept=kept.sum(),
        won_back=back.sum(),
        stays=stays.sum(),
        repeat_buyers=(~new | (seen.purchases > 1)).sum(),
        value=_amount(seen.spent),
        new_value=_amount(seen.spent, new),
        kept_value=_amount(seen.spent, kept),
        won_back_value=_amount(seen.spent, back),
        leaving_value=_amount(seen.spent, ~stays),
    )


def _amount(spent: Any, where: Any = None) -> Any:
    return spent.sum(where=where).fill_null(0).cast("float64")


def _period(days: list[Days], rows: list[dict[str, Any]], place: int) -> BasePeriod:
    """A window beside the one before it."""
    row, before = rows[place], rows[place - 1] if place else dict.fromkeys(rows[0], 0)
    known = sum(int(earlier["new"]) for earlier in rows[:place])
    return BasePeriod(
        start=days[place][0].isoformat(),
        end=days[place][1].isoformat(),
        active=int(row["active"]),
        new=int(row["new"]),
        kept=int(row["kept"]),
        won_back=int(row["won_back"]),
        left=int(before["active"]) - int(row["kept"]),
        before=int(before["active"]),
        away=known - int(before["active"]),
        repeat_buyers=int(row["repeat_buyers"]),
        value=float(row["value"]),
        new_value=float(row["new_value"]),
        kept_value=float(row["kept_value"]),
        won_back_value=float(row["won_back_value"]),
        left_value=float(before["leaving_value"]),
    )
