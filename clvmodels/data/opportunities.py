"""Customers as those see them who count opportunities: in each unit of time a purchase or none.

The units are counted from the end of the calibration both ways, so that the last day of the calibration is the
last of an opportunity. A log is turned into one whose days are opportunities, and that is summarised as any other.
"""

import datetime as dt
from dataclasses import replace
from typing import Any

from clvmodels.data.engines import day, total
from clvmodels.data.summary import customer_summary, holdout_end, holdout_summary
from clvmodels.data.windows import purchases_of_won
from clvmodels.foundation.errors import DataError
from clvmodels.foundation.records import CustomerSummary, HoldoutSummary, TransactionLog, Window
from clvmodels.foundation.units import days_per_unit


def opportunity_summary(log: TransactionLog, window: Window, *, current_days: int = 365) -> CustomerSummary:
    """Opportunities with a purchase of each customer that counts in a window's calibration, for models that count them.

    An opportunity is a unit of the window's, counted back from `calibration_end`: frequency is the number of later
    opportunities with a purchase, recency the number of the last one, and T that of the last of all, each counted
    from the opportunity of the first purchase. What a customer spends in one of them is one purchase. With the unit
    "day" this is `customer_summary`.

    Parameters
    ----------
    log : purchase log
    window : all but its `holdout_end` is read
    current_days : as in `customer_summary`; the current value is worked out by days

    Returns
    -------
    CustomerSummary
        As of `customer_summary`, with whole recency and T.

    Raises
    ------
    DataError
        If the calibration ends before the first purchase or long after the last one.
    """
    by_day = customer_summary(log, replace(window, unit="day"), current_days=current_days)
    if window.unit == "day":
        return by_day
    counted = customer_summary(_in_opportunities(log, window), Window(window.calibration_end, unit="day"))
    unpaid = tuple(line for line in counted.set_aside if line.reason == "no_positive_spend")
    left_out = tuple(line for line in by_day.set_aside if line.reason != "no_positive_spend")
    return replace(counted, unit=window.unit, current_value=by_day.current_value, set_aside=unpaid + left_out)


def opportunity_holdout(log: TransactionLog, window: Window) -> HoldoutSummary:
    """Opportunities of the holdout with a purchase, and spend, of each customer of the calibration.

    Raises
    ------
    DataError
        If the window has no holdout, the log ends before it does, or it holds no whole number of opportunities to
        within a day.
    """
    end = holdout_end(log, window)
    days, per_unit = (end - window.calibration_end).days, days_per_unit(window.unit)
    opportunities = round(days / per_unit)
    if opportunities < 1 or abs(days - opportunities * per_unit) >= 1:
        whole = max(1, int(days / per_unit))
        fitting = window.calibration_end + dt.timedelta(days=round(whole * per_unit))
        raise DataError(
            f"holdout_end {end} is {days / per_unit:.2f} times a {window.unit} after calibration_end "
            f"{window.calibration_end}: opportunities are whole. {whole} of them end on {fitting}."
        )
    by_opportunity = Window(window.calibration_end, _days_later(window.calibration_end, opportunities), "day")
    # A month's last opportunity can reach a day beyond the holdout, which is not of it.
    held = replace(log, table=log.table.filter(log.table.date <= day(end)))
    return replace(holdout_summary(_in_opportunities(held, window), by_opportunity), window=window)


def _in_opportunities(log: TransactionLog, window: Window) -> TransactionLog:
    """The log of the customers that count, one day for one opportunity, the end of the calibration for the last."""
    end, per_unit = window.calibration_end, days_per_unit(window.unit)
    table = purchases_of_won(log, window)
    days = table.date.delta(day(end), unit="day")
    ahead = (days > 0).ifelse(((days - 1) / per_unit).floor() + 1, -((-days) / per_unit).floor())
    by_opportunity = table.mutate(date=(day(end) + ahead.cast("int64").as_interval("D")).cast("date"))
    table = by_opportunity.group_by("customer_id", "date").aggregate(amount=total(by_opportunity.amount))
    return replace(
        log,
        table=table,
        first_date=_days_later(end, _ahead((log.first_date - end).days, per_unit)),
        last_date=_days_later(end, _ahead((log.last_date - end).days, per_unit)),
    )


def _ahead(days: int, per_unit: float) -> int:
    """The opportunity of a day so many days after the end of the calibration: 0 is the last one up to it."""
    return int((days - 1) // per_unit) + 1 if days > 0 else -int(-days // per_unit)


def _days_later(date: dt.date, days: Any) -> dt.date:
    return date + dt.timedelta(days=int(days))
