"""The log over calendar time: acquisition and activity, and repeat purchases of a cohort by period."""

import datetime as dt
import itertools
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import ibis
import numpy as np

from clvmodels.data.anniversaries import first_of_unit, units_of_calendar
from clvmodels.data.engines import day, total
from clvmodels.data.summary import check_calibration, holdout_end
from clvmodels.data.windows import won_in
from clvmodels.foundation.errors import DataError
from clvmodels.foundation.history import PurchaseHistory
from clvmodels.foundation.patterns import FloatArray, IntArray
from clvmodels.foundation.records import TransactionLog, Window
from clvmodels.foundation.results import Period
from clvmodels.foundation.units import days_per_unit


def calendar_history(log: TransactionLog, *, unit: str = "month") -> list[Period]:
    """New customers, repeat purchases and active customers by calendar day, week, month or year.

    Every period from the first purchase to the last is there, those without a purchase as zeros.
    The first and the last may be cut off by the ends of the log.

    Raises
    ------
    DataError
        If the unit is none of these.
    """
    days_per_unit(unit)
    table = _with_first(log)
    new = table.date == table["first"]
    by_period = table.group_by(start=first_of_unit(table.date, unit)).aggregate(
        new_customers=new.sum(),
        first_amount=total(table.amount, where=new),
        repeat_purchases=(~new).sum(),
        repeat_amount=total(table.amount, where=~new),
        active_customers=table.customer_id.nunique(),
    )
    found = {row.pop("start"): row for row in by_period.order_by("start").to_pyarrow().to_pylist()}
    none = dict.fromkeys(next(iter(found.values())), 0)
    return [
        Period(start=start.isoformat(), **found.get(start, none))
        for start in units_of_calendar(min(found), max(found), unit)[:-1]
    ]


def period_ends(log: TransactionLog, window: Window) -> list[dt.date]:
    """Last days of the periods of one unit, from the log's first day to the end of the window.

    Periods are counted from `calibration_end` both ways, so that it is the end of one of them. What
    remains at either end is a shorter period.
    """
    per_unit = days_per_unit(window.unit)
    last = window.calibration_end if window.holdout_end is None else window.holdout_end
    before = int((window.calibration_end - log.first_date).days / per_unit)
    after = int((last - window.calibration_end).days / per_unit)
    steps = (dt.timedelta(days=round(step * per_unit)) for step in range(-before, after + 1))
    ends = [window.calibration_end + step for step in steps]
    return ends if ends[-1] == last else [*ends, last]


def purchases_by_period(log: TransactionLog, window: Window, *, ends: Sequence[dt.date]) -> FloatArray:
    """Repeat purchases in each period of the customers that count in the window, shape (len(ends),).

    Parameters
    ----------
    log, window : purchase log, and the window that says which customers count
    ends : last days of the periods, increasing; the first period begins with the log, each other
        on the day after the one before it (see `period_ends`)

    Raises
    ------
    DataError
        If the ends do not increase, or go beyond the log.
    """
    if not ends or any(late <= early for early, late in itertools.pairwise(ends)):
        raise DataError("ends: expected increasing days, at least one.")
    if window.holdout_end is not None:
        holdout_end(log, window)
    table = _with_first(log)
    repeats = won_in(table, window).filter((table.date > table["first"]) & (table.date <= day(ends[-1])))
    by_day = repeats.group_by("date").aggregate(purchases=repeats.count()).to_pyarrow()
    period = np.searchsorted(np.array(ends, dtype="datetime64[D]"), by_day["date"].to_numpy().astype("datetime64[D]"))
    return np.bincount(period, weights=by_day["purchases"].to_numpy(), minlength=len(ends))


def purchase_history(log: TransactionLog, window: Window, *, periods: str | None = None) -> PurchaseHistory:
    """Repeat purchases by period of the calibration, of the customers that count in the window.

    Periods are counted back from the calibration's end; the first may be shorter. Days of the week and seasons are no
    part of what reads this, so take weeks or months, not days.

    Parameters
    ----------
    log, window : purchase log, and the window, whose calibration alone is read
    periods : "day", "week", "month" or "year"; by default the window's unit

    Raises
    ------
    DataError
        If the unit is none of these, the calibration is outside the log, or there are too few periods.
    """
    check_calibration(log, window)
    seen = replace(window, holdout_end=None, unit=window.unit if periods is None else periods)
    ends = period_ends(log, seen)
    return PurchaseHistory(
        before_end=np.array([(window.calibration_end - end).days for end in ends]),
        purchases=purchases_by_period(log, seen, ends=ends),
        unit=seen.unit,
    )


def repeats_by_half(log: TransactionLog, window: Window) -> tuple[FloatArray, FloatArray]:
    """Repeat purchases in the first and in the second half of each customer's time, shape (N,) each.

    A customer's time is from the first purchase to the end of the calibration; a purchase in its middle is of the
    first half. Customers are those of `customer_summary`, in the same order.

    Raises
    ------
    DataError
        If the calibration is outside the log.
    """
    check_calibration(log, window)
    end = window.calibration_end
    table = _with_first(log)
    seen = won_in(table, window).filter(table.date <= day(end))
    since, until = seen.date.delta(seen["first"], unit="day"), ibis.literal(end).delta(seen.date, unit="day")
    by_customer = seen.group_by("customer_id").aggregate(
        early=((since > 0) & (since <= until)).sum(), late=((since > 0) & (since > until)).sum()
    )
    rows = by_customer.order_by("customer_id").to_pyarrow()
    return rows["early"].to_numpy().astype(np.float64), rows["late"].to_numpy().astype(np.float64)


def first_purchase_days(log: TransactionLog, window: Window) -> tuple[IntArray, IntArray]:
    """Days on which the customers that count in the window were won, since the log's first, and how many, each (D,)."""
    first = log.table.group_by("customer_id").aggregate(first=log.table.date.min())
    won = won_in(first, window)
    by_day = won.group_by("first").aggregate(customers=won.count()).order_by("first").to_pyarrow()
    days = (by_day["first"].to_numpy().astype("datetime64[D]") - np.datetime64(log.first_date, "D")).astype(np.int64)
    return days, by_day["customers"].to_numpy().astype(np.int64)


def _with_first(log: TransactionLog) -> Any:
    """The log's table with the day of each customer's first purchase."""
    return log.table.group_by("customer_id").mutate(first=lambda table: table.date.min())
