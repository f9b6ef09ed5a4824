"""Windows inside the calibration, for methods that learn from what customers did next."""

import datetime as dt
from dataclasses import replace

import numpy as np

from clvmodels.data.summary import check_calibration, customer_summary, holdout_summary
from clvmodels.foundation.errors import DataError
from clvmodels.foundation.records import CustomerSummary, HoldoutSummary, TransactionLog, Window
from clvmodels.foundation.units import days_per_unit


def training_windows(
    log: TransactionLog,
    window: Window,
    *,
    horizon: float | None = None,
    origins: int = 3,
    logarithms: bool | None = False,
) -> tuple[tuple[CustomerSummary, HoldoutSummary], ...]:
    """Customers at days inside the calibration, and what they did next, still inside it.

    All look the same length of time ahead: the horizon where the calibration is at least twice as long, else half of
    the calibration, so that no window looks further ahead than back. The last one ends with the calibration, each
    earlier one where the next one's look ahead begins, so no outcome is in two; there are as many as leave at least as
    many days before them as they look ahead, up to `origins`.

    Where a window looks less far ahead than the horizon, a method reads a rate from it: purchases and spend a unit of
    time, which it then takes over the whole horizon. Customers who leave in the meantime are not told by that.

    Parameters
    ----------
    log : purchase log; days after the calibration's end change nothing
    window : its `calibration_end`, unit and limits of acquisition are read
    horizon : length of time to forecast, in the window's unit; by default the window's holdout
    origins : most windows
    logarithms : whether the customers have the means of logarithms that some models read, as in `customer_summary`

    Returns
    -------
    tuple of (CustomerSummary, HoldoutSummary)
        The earliest first, each with the customers who had come by its cut

    Raises
    ------
    DataError
        If the calibration is shorter than two days or ends outside the log, the horizon is not above 0, or
        `origins` is below 1.
    """
    ahead = window.holdout_length if horizon is None else horizon
    if not (np.isfinite(ahead) and ahead > 0):
        raise DataError(f"horizon = {ahead}: expected a length of time above 0, in {window.unit}s.")
    if origins < 1:
        raise DataError(f"origins = {origins}: expected at least 1 window.")
    check_calibration(log, window)
    # A log that ends a quiet day before the calibration is cut as the same log with later days.
    log = replace(log, last_date=max(log.last_date, window.calibration_end))
    cuts, days = _cuts(log, window, asked=round(ahead * days_per_unit(window.unit)), origins=origins)
    return tuple(_pair(log, _cut_at(window, cut, days), logarithms) for cut in cuts)


def _cuts(log: TransactionLog, window: Window, *, asked: int, origins: int) -> tuple[list[dt.date], int]:
    """Last days before each window's look ahead, the earliest first, and the length of the look in days."""
    first = max(log.first_date, window.acquired_from or log.first_date)
    last = window.calibration_end
    long = (last - first).days + 1
    if long < 2:
        raise DataError(
            f"the calibration has {max(long, 0)} days from the first purchase ({first}) to its end ({last}): a window "
            "inside it needs at least 2."
        )
    days = max(1, min(asked, long // 2))
    number = min(origins, long // days - 1)
    return [last - dt.timedelta(days=days * back) for back in range(number, 0, -1)], days


def _cut_at(window: Window, cut: dt.date, days: int) -> Window:
    until = window.acquired_until
    return replace(
        window,
        calibration_end=cut,
        holdout_end=cut + dt.timedelta(days=days),
        acquired_until=None if until is None else min(until, cut),
    )


def _pair(log: TransactionLog, window: Window, logarithms: bool | None) -> tuple[CustomerSummary, HoldoutSummary]:
    # What became of customers won later is of the days ahead: nothing here may read them.
    customers = customer_summary(log, window, logarithms=logarithms)
    seen = tuple(line for line in customers.set_aside if line.reason == "no_positive_spend")
    return replace(customers, set_aside=seen), holdout_summary(log, window)
