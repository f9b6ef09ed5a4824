"""Calendar terms from a log's own dates: season of the year, months, Christmas, campaigns."""

import datetime as dt
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import ibis
import numpy as np
import pyarrow as pa

from clvmodels.data.engines import day, precise_total
from clvmodels.data.windows import won_in
from clvmodels.foundation.calendar import Calendar, joined
from clvmodels.foundation.errors import DataError
from clvmodels.foundation.patterns import BoolArray, FloatArray
from clvmodels.foundation.records import IdArray, TransactionLog, Window, as_date
from clvmodels.foundation.units import DAYS_PER_YEAR, days_per_unit
from clvmodels.foundation.whole import is_whole

WEEK = 7
CHRISTMAS = ((11, 27), (12, 24))  # the four weeks up to Christmas Eve
MOST_WAVES = 12

Terms = dict[str, FloatArray]
Days = list[dt.date]


def calendar(
    log: TransactionLog | str | dt.date,
    window: Window,
    *,
    horizon: float = 0.0,
    waves: int = 0,
    seasons: Sequence[str] = (),
    campaigns: Mapping[str, Sequence[tuple[str | dt.date, str | dt.date]]] | None = None,
) -> Calendar:
    """Season and campaign terms from the first day of a log to the end of the window or of a forecast.

    Parameters
    ----------
    log : purchase log; or the first day of the calendar, for contracts
    window : whose ends the calendar is to reach
    horizon : length of a forecast after `calibration_end` that it is to reach too, in the window's unit
    waves : smooth season of the year: sines and cosines of 1, 2, ... waves a year, constant over a week
        ("wave_1_sin", "wave_1_cos", "wave_2_sin", ...)
    seasons : of "christmas" (27 November to 24 December), "quarters" (2 to 4 against the first) and "months"
        (2 to 12 against January); terms are 1 within and 0 outside
    campaigns : name -> (first day, last day) of each time that it ran, both included; 1 within and 0 outside

    Returns
    -------
    Calendar
        For `customer_summary(log, window, calendar=...)` and tables of retention; models of retention read the
        whole weeks, months or years that it covers. Alike neighbouring days are one period.

    Raises
    ------
    DataError
        If a word or a date is wrong, a name is used twice, or a campaign never runs in the calendar.
    """
    first = log.first_date if isinstance(log, TransactionLog) else as_date(log, "the first day of the calendar")
    last = _last_day(window, horizon)
    if last < first:
        raise DataError(f"the calendar is to begin on {first}, after its end on {last}.")
    days = [first + dt.timedelta(days=step) for step in range((last - first).days + 1)]
    terms = _waves(days, waves)
    for word in seasons:
        if word not in SEASONS:
            raise DataError(f'seasons: "{word}" is unknown, expected some of {", ".join(SEASONS)}.')
        terms |= SEASONS[word](days)
    for name, runs in (campaigns or {}).items():
        if name in terms:
            raise DataError(f'campaign "{name}": the calendar has a term of that name already.')
        terms[name] = _campaign(name, runs, days)
    values = {name: tuple(column.tolist()) for name, column in terms.items()}
    return joined(Calendar(first, (1,) * len(days), values))


def _last_day(window: Window, horizon: float) -> dt.date:
    if not (math.isfinite(horizon) and horizon >= 0):
        raise DataError(f"horizon = {horizon}: expected a length of time in the window's unit, 0 or more.")
    forecast = window.calibration_end + dt.timedelta(days=math.ceil(horizon * days_per_unit(window.unit)))
    return max(forecast, window.holdout_end or window.calibration_end)


def _waves(days: Days, waves: int) -> Terms:
    """Sines and cosines of the year at the middle of each week of the calendar."""
    if not (is_whole(waves) and 0 <= waves <= MOST_WAVES):
        raise DataError(f"waves = {waves}: expected a whole number from 0 to {MOST_WAVES}.")
    ordinals = np.array([date.toordinal() for date in days], dtype=np.float64)
    middle = ordinals[0] + WEEK * ((ordinals - ordinals[0]) // WEEK) + (WEEK - 1) / 2
    terms: Terms = {}
    for wave in range(1, waves + 1):
        angle = 2 * np.pi * wave * middle / DAYS_PER_YEAR
        terms |= {f"wave_{wave}_sin": np.sin(angle), f"wave_{wave}_cos": np.cos(angle)}
    return terms


def _christmas(days: Days) -> Terms:
    return {"christmas": _indicator([CHRISTMAS[0] <= (date.month, date.day) <= CHRISTMAS[1] for date in days])}


def _quarters(days: Days) -> Terms:
    return {f"quarter_{q}": _indicator([(date.month + 2) // 3 == q for date in days]) for q in range(2, 5)}


def _months(days: Days) -> Terms:
    return {f"month_{month}": _indicator([date.month == month for date in days]) for month in range(2, 13)}


SEASONS: dict[str, Callable[[Days], Terms]] = {"christmas": _christmas, "quarters": _quarters, "months": _months}


def _campaign(name: str, runs: Sequence[tuple[str | dt.date, str | dt.date]], days: Days) -> FloatArray:
    inside = np.zeros(len(days), dtype=bool)
    for run in runs:
        if len(run) != 2:
            raise DataError(f'campaign "{name}": expected (first day, last day) of each run, not {run!r}.')
        first, last = (as_date(date, f'campaign "{name}"') for date in run)
        if last < first:
            raise DataError(f'campaign "{name}" ends on {last}, before it begins on {first}.')
        inside |= np.array([first <= date <= last for date in days])
    if not inside.any():
        raise DataError(f'campaign "{name}" does not run between {days[0]} and {days[-1]}, which the calendar covers.')
    return _indicator(inside)


def _indicator(inside: Sequence[bool] | BoolArray) -> FloatArray:
    return np.asarray(inside, dtype=np.float64)


def term_sums(log: TransactionLog, window: Window, known: Calendar, customer_id: IdArray) -> FloatArray:
    """Sum of each term over the days of a customer's repeat purchases in the calibration, shape (N, Q).

    Parameters
    ----------
    customer_id : ndarray of text, shape (N,), in increasing order: all customers that count in the window

    Raises
    ------
    DataError
        If the calendar does not cover the log up to the end of the calibration.
    """
    end = window.calibration_end
    known.require(max(log.first_date, window.acquired_from or log.first_date), end)
    if not known.terms:
        return np.zeros((len(customer_id), 0))
    seen = log.table.filter(log.table.date <= day(end))
    first = won_in(seen.group_by("customer_id").mutate(first=lambda table: table.date.min()), window)
    repeats = first.filter(first.date > first["first"]).join(_by_day(known), "date")
    sums = repeats.group_by("customer_id").aggregate(**{name: precise_total(repeats[name]) for name in _columns(known)})
    found = sums.order_by("customer_id").to_pyarrow()
    values = np.zeros((len(customer_id), len(known.terms)))
    rows = np.searchsorted(customer_id.astype(str), found["customer_id"].to_numpy(zero_copy_only=False).astype(str))
    for place, name in enumerate(_columns(known)):
        values[rows, place] = found[name].to_numpy()
    return values


def _columns(known: Calendar) -> list[str]:
    """Names of the terms as columns of a table, where they cannot be another column's."""
    return [f"term_{place}" for place in range(len(known.terms))]


def _by_day(known: Calendar) -> Any:
    """A table of the engine with a row a day: its date and the values of the terms."""
    ordinals = np.arange(known.start.toordinal(), known.end.toordinal() + 1)
    dates = pa.array([dt.date.fromordinal(int(ordinal)) for ordinal in ordinals], type=pa.date32())
    values = known.at(ordinals.astype(np.float64))
    return ibis.memtable(pa.table({"date": dates, **dict(zip(_columns(known), values.T, strict=True))}))
