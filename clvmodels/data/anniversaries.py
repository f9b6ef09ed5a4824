"""Units of the calendar: how many are completed between two days, and in which one a day lies.

A renewal falls on an anniversary of the first day: the 15th of each month, or its last day where it has no such day,
so that of 31 January one month on is the last day of February, and two months on is 31 March.
"""

import datetime as dt
from collections.abc import Iterable
from typing import Any

import ibis
import numpy as np
from numpy.typing import NDArray

from clvmodels.foundation.units import days_per_unit

LETTERS = {"day": "D", "week": "W", "month": "M", "year": "Y"}  # of Ibis; weeks begin on Monday
LABELS = {"day": "%Y-%m-%d", "week": "%G-W%V", "month": "%Y-%m", "year": "%Y"}
MONTHS = {"month": 1, "year": 12}


def whole_units(first: Any, last: Any, unit: str) -> Any:
    """Units completed from one day to another; below 0 where the other is earlier."""
    if unit not in MONTHS:
        return (last.delta(first, unit="day") // int(days_per_unit(unit))).cast("int64")
    # Short of the day of the month, unless the month ends before that day.
    short = (last.day() < first.day()) & (days_later(last, 1).day() != 1)
    months = _months(last) - _months(first) - short.cast("int64")
    return (months // MONTHS[unit]).cast("int64")


def anniversary(first: Any, units: Any, unit: str) -> Any:
    """The day a whole number of units after another."""
    if unit not in MONTHS:
        return days_later(first, units * int(days_per_unit(unit)))
    return (first + (units * MONTHS[unit]).as_interval("M")).cast("date")


def days_later(date: Any, days: Any) -> Any:
    """The day so many days after another."""
    days = ibis.literal(days) if isinstance(days, int) else days
    return (date + days.as_interval("D")).cast("date")


def first_of_unit(date: Any, unit: str) -> Any:
    """The first day of the calendar unit that a day lies in; weeks begin on Monday."""
    return date.truncate(LETTERS[unit]).cast("date")


def units_between(first: Any, last: Any, unit: str) -> Any:
    """Calendar units from that of one day to that of another: 0 in the same one."""
    if unit in MONTHS:
        return (_months(last) // MONTHS[unit] - _months(first) // MONTHS[unit]).cast("int64")
    days = first_of_unit(last, unit).delta(first_of_unit(first, unit), unit="day")
    return (days // int(days_per_unit(unit))).cast("int64")


def units_of_calendar(first: dt.date, last: dt.date, unit: str) -> list[dt.date]:
    """First days of the calendar units from that of one day to that of another, and of the one after."""
    if unit not in MONTHS:
        days = int(days_per_unit(unit))
        start = first.toordinal() - (first.weekday() if unit == "week" else 0)
        return [dt.date.fromordinal(ordinal) for ordinal in range(start, last.toordinal() + days + 1, days)]
    step = MONTHS[unit]
    start = (first.year * 12 + first.month - 1) // step * step
    months = range(start, last.year * 12 + last.month + step, step)
    return [dt.date(month // 12, month % 12 + 1, 1) for month in months]


def unit_labels(starts: Iterable[dt.date] | NDArray[np.datetime64], unit: str) -> list[str]:
    """Names of calendar units by their first days: "2024-03-05", "2024-W07" (ISO), "2024-03", "2024"."""
    days = np.asarray(starts, dtype="datetime64[D]").tolist()
    known = {day: day.strftime(LABELS[unit]) for day in dict.fromkeys(days)}
    return [known[day] for day in days]


def _months(date: Any) -> Any:
    return date.year().cast("int64") * 12 + date.month() - 1
