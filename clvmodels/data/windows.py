"""Windows over a log: the customers that one counts, and a row of them with rolling origins."""

import calendar
import datetime as dt
import itertools
import math
from collections.abc import Callable
from functools import partial
from typing import Any

from clvmodels.data.engines import day
from clvmodels.foundation.errors import DataError
from clvmodels.foundation.records import TransactionLog, Window, as_date
from clvmodels.foundation.units import days_per_unit
from clvmodels.foundation.whole import is_whole, require_count

LENGTHS = ("unit", "calendar_month")
ONE_DAY = dt.timedelta(days=1)
QUIET_DAYS = 31  # a window may end this long after the last purchase: a small firm can be without one

Later = Callable[..., dt.date]  # (day, length, further length) -> a later day


def won_in(rows: Any, window: Window) -> Any:
    """The rows of customers that count in a window: won by the end of its calibration, and in its time of acquisition.

    Parameters
    ----------
    rows : Ibis table with a column `first`, the day of the customer's first purchase
    """
    until = window.acquired_until or window.calibration_end
    counts = rows["first"] <= day(until)
    if window.acquired_from is not None:
        counts &= rows["first"] >= day(window.acquired_from)
    return rows.filter(counts)


def purchases_of_won(log: TransactionLog, window: Window) -> Any:
    """The log's table of the customers that count in a window, purchases after its calibration too."""
    first = log.table.group_by("customer_id").aggregate(first=log.table.date.min())
    return log.table.semi_join(won_in(first, window), "customer_id")


def complete_until(log: TransactionLog) -> dt.date:
    """The last day of a log's data: that of its last purchase, or the stated one where that is not long after it."""
    stated = log.rules.last_day or log.last_date
    return max(log.last_date, min(stated, log.last_date + dt.timedelta(days=QUIET_DAYS)))


def rolling_windows(
    log: TransactionLog,
    *,
    first_end: str | dt.date,
    step: float,
    holdout: float,
    number: int | None = None,
    unit: str = "week",
    lengths: str = "unit",
    acquired_within: float | None = None,
) -> tuple[Window, ...]:
    """Windows whose calibrations end one step after the other, each with a holdout of the same length.

    Parameters
    ----------
    log : purchase log; every holdout lies within it
    first_end : last day of the first calibration
    step : time from the end of one calibration to that of the next
    holdout : length of each holdout
    number : how many windows; None: as many as the log has days for
    unit : of the windows
    lengths : what `step`, `holdout` and `acquired_within` are counted in. "unit": the unit, to the nearest day.
        "calendar_month": whole months, from a day to the same day of another month or the last that it has; the last
        day of a month goes to the last day of a month
    acquired_within : customers count who were won so long before the end of the calibration or later, so that no
        window has older ones than the others; None: all customers of the log by then

    Returns
    -------
    tuple of Window
        In the order of their calibrations.

    Raises
    ------
    DataError
        If an option is not as said, or a window does not fit into the log.
    """
    _check_lengths(lengths, step=step, holdout=holdout, acquired_within=acquired_within)
    if number is not None:
        require_count("number", number, error=DataError)
    later = _months_later if lengths == "calendar_month" else partial(_units_later, unit)
    last = complete_until(log)
    start = Window(as_date(first_end, "first_end"), unit=unit).calibration_end
    _check_first(log, start, later, step=step, holdout=holdout, within=acquired_within)
    windows: list[Window] = []
    for place in itertools.count():
        end, held_until = later(start, place * step), later(start, place * step, holdout)
        if place == number or held_until > last:
            break
        won_after = None if acquired_within is None else later(start, place * step, -acquired_within)
        windows.append(Window(end, held_until, unit, None if won_after is None else won_after + ONE_DAY))
    if number is not None and len(windows) < number:
        raise DataError(
            f"number = {number}: {len(windows)} windows fit, the last of them with a holdout until "
            f"{windows[-1].holdout_end}; the log ends on {last}."
        )
    return tuple(windows)


def _check_lengths(lengths: str, **values: float | None) -> None:
    if lengths not in LENGTHS:
        raise DataError(f'lengths = "{lengths}": expected one of {", ".join(LENGTHS)}.')
    for name, value in values.items():
        if value is None:
            continue
        if not (math.isfinite(value) and value > 0):
            raise DataError(f"{name} = {value}: expected a length of time above 0.")
        if lengths == "calendar_month" and not is_whole(value):
            raise DataError(f"{name} = {value}: calendar months are whole.")


def _check_first(
    log: TransactionLog, start: dt.date, later: Later, *, step: float, holdout: float, within: float | None
) -> None:
    held_until = later(start, 0, holdout)
    for name, value, end in (("step", step, later(start, step)), ("holdout", holdout, held_until)):
        if end <= start:
            raise DataError(f"{name} = {value}: expected at least a day.")
    if start < log.first_date or held_until > complete_until(log):
        raise DataError(
            f"first_end {start} with a holdout until {held_until} is outside the data: the log goes from "
            f"{log.first_date} to {complete_until(log)}."
        )
    if within is not None and later(start, 0, -within) < log.first_date - ONE_DAY:
        raise DataError(
            f"acquired_within = {within}: customers of the calibration until {start} would be won after "
            f"{later(start, 0, -within)}, and the log begins on {log.first_date}. Begin later, or take a shorter time."
        )


def _units_later(unit: str, date: dt.date, units: float, further: float = 0) -> dt.date:
    """The day so many units after another, and further ones after it: a length is as many days wherever it begins."""
    days = sum(round(length * days_per_unit(unit)) for length in (units, further))
    return dt.date.fromordinal(min(max(date.toordinal() + days, 1), dt.date.max.toordinal()))


def _months_later(date: dt.date, months: float, further: float = 0) -> dt.date:
    """The same day so many months later, or the last that it has; from a month's last day to a month's last day."""
    month = date.year * 12 + date.month - 1 + int(months + further)
    year, month = min(max(month // 12, dt.MINYEAR), dt.MAXYEAR), month % 12 + 1
    longest = calendar.monthrange(year, month)[1]
    at_end = date.day == calendar.monthrange(date.year, date.month)[1]
    return dt.date(year, month, longest if at_end else min(date.day, longest))
