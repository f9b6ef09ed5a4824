"""The calendar of a shop: season and campaigns, the same for all customers, period by period.

Time runs in whole days. A purchase of day d stands at the end of that day, so that day d is the interval of
time (d - 1, d]: a customer won on day d is at age 1 at the end of day d + 1.
"""

import datetime as dt
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from clvmodels.foundation.errors import DataError
from clvmodels.foundation.patterns import BoolArray, FloatArray, IntArray
from clvmodels.foundation.units import calendar_units, days_per_unit, first_days
from clvmodels.foundation.whole import is_whole

ROUNDING = 1e-6  # days by which a time may seem to be outside the calendar


@dataclass(frozen=True)
class Calendar:
    """Terms that are constant over consecutive periods of whole days.

    Attributes
    ----------
    start : first day of the first period
    days : length of each period in days, P of them
    terms : name -> value in each period, P of them
    """

    start: dt.date
    days: Sequence[int]
    terms: Mapping[str, Sequence[float]]

    def __post_init__(self) -> None:
        if len(self.days) == 0 or not all(is_whole(length) and length > 0 for length in self.days):
            raise DataError(f"a calendar has periods of whole days, 1 or more; got {list(self.days[:5])}.")
        for name, values in self.terms.items():
            if not name or set(name) & set("[]/"):
                raise DataError(f'calendar term "{name}": expected a name without [, ] and /.')
            if len(values) != len(self.days):
                raise DataError(f'calendar term "{name}" has {len(values)} values for {len(self.days)} periods.')
            if not np.isfinite(values).all():
                raise DataError(f'calendar term "{name}" is not finite in every period.')
        terms = {name: tuple(float(value) for value in values) for name, values in self.terms.items()}
        object.__setattr__(self, "terms", terms)  # plain numbers, as a file holds them
        object.__setattr__(self, "days", tuple(int(length) for length in self.days))

    @property
    def end(self) -> dt.date:
        """Last day of the last period."""
        return self.start + dt.timedelta(days=sum(self.days) - 1)

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the terms."""
        return tuple(self.terms)

    @cached_property
    def edges(self) -> FloatArray:
        """Ends of days that bound the periods, as ordinals; shape (P + 1,)."""
        return self.start.toordinal() - 1 + np.cumsum([0, *self.days], dtype=np.float64)

    @cached_property
    def values(self) -> FloatArray:
        """Values of the terms, shape (P, Q)."""
        return np.array([*self.terms.values()]).reshape(len(self.terms), len(self.days)).T

    def at(self, days: FloatArray) -> FloatArray:
        """Values of the terms on days given as ordinals, shape (N,) to (N, Q).

        Raises
        ------
        DataError
            If a day is outside the calendar.
        """
        days = np.asarray(days, dtype=np.float64)
        if days.size:
            self.require(dt.date.fromordinal(int(days.min())), dt.date.fromordinal(int(np.ceil(days.max()))))
        return np.asarray(self.values[np.searchsorted(self.edges[1:], days)])

    def by_unit(self, unit: str) -> "UnitTerms":
        """Means of the terms over each whole day, week, month or year of the calendar."""
        day = np.timedelta64(1, "D")
        outside = np.array([np.datetime64(self.start) - day, np.datetime64(self.end) + day])
        first, end = calendar_units(outside, unit).astype(np.int64) + np.array([1, 0])
        bounds = first_days(np.arange(first, max(first, end) + 1.0), unit)
        lengths = np.diff(bounds) / day
        days = bounds[0].astype("datetime64[D]").item().toordinal() + np.arange(lengths.sum())
        begins = np.cumsum(lengths).astype(np.int64) - lengths.astype(np.int64)
        sums = np.add.reduceat(self.at(days), begins) if len(days) else np.empty((0, len(self.terms)))
        return UnitTerms(unit, first, sums / lengths[:, None])

    def scale(self, name: str) -> float:
        """The standard deviation of a term over all days; 1 for a term of 0 and 1, and for a constant one."""
        values = np.array(self.terms[name])
        sd = math.sqrt(np.average((values - np.average(values, weights=self.days)) ** 2, weights=self.days))
        return 1.0 if set(self.terms[name]) <= {0.0, 1.0} or sd == 0 else sd

    def covers(self, first: dt.date, last: dt.date) -> bool:
        """Whether both days are within the calendar."""
        return self.start <= first and last <= self.end

    def require(self, first: dt.date, last: dt.date) -> None:
        """Refuse days that the calendar says nothing of.

        Raises
        ------
        DataError
            If one of the two is outside it.
        """
        if not self.covers(first, last):
            raise DataError(
                f"the calendar goes from {self.start} to {self.end}, and {first} to {last} is asked of it: "
                "make a calendar that covers all days from the first purchase to the end of the forecast."
            )

    def some(self, names: tuple[str, ...]) -> "Calendar":
        """The calendar with some of its terms, alike neighbours joined.

        Raises
        ------
        DataError
            If there is no such term.
        """
        for name in names:
            if name not in self.terms:
                known = ", ".join(self.terms) or "none"
                raise DataError(f'calendar term "{name}": the calendar has no such term; there are: {known}.')
        return joined(replace(self, terms={name: self.terms[name] for name in names}))

    def agrees(self, other: "Calendar") -> bool:
        """Whether the other calendar has these terms, with the same values on all days that both cover."""
        if not set(self.names) <= set(other.names):
            return False
        first, last = max(self.start, other.start), min(self.end, other.end)
        if first > last:
            return True
        days = np.arange(first.toordinal(), last.toordinal() + 1.0)
        return bool(np.array_equal(self.at(days), other.some(self.names).at(days)))


def joined(calendar: Calendar) -> Calendar:
    """The same calendar with neighbouring periods of the same values made one."""
    changes: BoolArray = np.any(np.diff(calendar.values, axis=0) != 0, axis=1)
    first = np.flatnonzero(np.concatenate([[True], changes]))
    days = np.add.reduceat(np.array(calendar.days), first)
    terms = {name: tuple(values[int(place)] for place in first) for name, values in calendar.terms.items()}
    return Calendar(calendar.start, days.tolist(), terms)


@dataclass(frozen=True)
class UnitTerms:
    """Means of a calendar's terms over the days of its whole weeks, months or years.

    Attributes
    ----------
    unit : "day", "week", "month" or "year"
    first : number of the first of them, as `calendar_units` has it
    values : ndarray, shape (U, Q)
    """

    unit: str
    first: int
    values: FloatArray

    def places(self, units: FloatArray) -> IntArray:
        """The row of each calendar unit, any shape; of one outside the nearest row."""
        return np.clip(np.asarray(units).astype(np.int64) - self.first, 0, len(self.values) - 1)

    def require(self, units: FloatArray, what: str) -> None:
        """Refuse calendar units that are not wholly within the calendar.

        Parameters
        ----------
        what : that is asked of the calendar, such as "renewals are seen"

        Raises
        ------
        DataError
            If one of them is not.
        """
        if np.size(units) == 0:
            return
        end = self.first + len(self.values)
        asked = np.array([np.min(units), np.max(units), self.first, end])
        if asked[0] < self.first or asked[1] >= end:
            first, last, begin, beyond = first_days(asked, self.unit)
            covers = f"from {begin} on, up to {beyond - np.timedelta64(1, 'D')}" if len(self.values) else "none"
            raise DataError(
                f"{what} from the {self.unit} of {first} to that of {last}, but the whole {self.unit}s that the "
                f"calendar covers are: {covers}. Make a longer calendar, to the end of the last {self.unit} that is "
                "asked for, and fit on it."
            )


@dataclass(frozen=True)
class Timetable:
    """A calendar as a model reads it.

    Attributes
    ----------
    calendar : with the terms that the model reads
    acting : parameter -> names of the terms that act on it
    today : the day that histories end on, and that a new customer is won on
    unit : unit of time
    """

    calendar: Calendar
    acting: Mapping[str, tuple[str, ...]]
    today: dt.date
    unit: str

    def __post_init__(self) -> None:
        days_per_unit(self.unit)
        self.calendar.require(self.today, self.today)

    def require_ahead(self, horizon: Any) -> None:
        """Refuse a forecast beyond the end of the calendar.

        Raises
        ------
        DataError
            If a time after today, in units, is outside it.
        """
        days = float(np.max(horizon, initial=0.0)) * days_per_unit(self.unit)
        if days > (self.calendar.end - self.today).days + ROUNDING:
            raise DataError(
                f"the forecast goes {days:.10g} days beyond {self.today}, but the calendar of the fit ends on "
                f"{self.calendar.end}: make a longer one, calendar(log, window, horizon=...), and fit on it."
            )

    def terms_at(self, parameter: str, days: FloatArray) -> FloatArray:
        """Values of the terms that act on a parameter, on days given as ordinals; shape (N,) to (N, Q)."""
        places = [self.calendar.names.index(name) for name in self.acting.get(parameter, ())]
        return self.calendar.at(days)[:, places]

    def by_unit(self, parameter: str) -> UnitTerms:
        """Means of the terms that act on a parameter over each whole unit of the calendar."""
        return self.calendar.some(self.acting.get(parameter, ())).by_unit(self.unit)

    def coefficients(self, parameter: str) -> tuple[str, ...]:
        """Names of the coefficients of a parameter's terms: "gamma_alpha[christmas]"."""
        return tuple(f"gamma_{parameter}[{name}]" for name in self.acting.get(parameter, ()))
