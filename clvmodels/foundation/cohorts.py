"""Cohorts by age: how many customers won in one calendar unit are there in a later one, and what they pay."""

import datetime as dt
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from clvmodels.foundation.errors import DataError
from clvmodels.foundation.patterns import BoolArray, FloatArray
from clvmodels.foundation.records import LedgerLine
from clvmodels.foundation.units import calendar_units, days_per_unit, first_days


@dataclass(frozen=True)
class CohortTriangle:
    """Customers by the calendar unit that they were won in (C cohorts) and their age in such units (A ages).

    Age 0 is the unit of the first purchase (or of the contract's beginning), age 1 the next one. A cell whose unit is
    not over on `last_date` is NaN. Where the data begin within the first unit, a note says so.

    Attributes
    ----------
    cohorts : labels in the order of time, such as "1997-01"
    start : ndarray of days, shape (C,), first day of each cohort's unit; each follows the one before
    acquired : ndarray, shape (C,), customers won; 0 in a unit in which nobody was
    active : ndarray, shape (C, A), those with a purchase in the unit of that age, or with a contract that runs on its
        last day (at age 0: all who were won)
    revenue : ndarray, shape (C, A), what they paid in it, in currency; NaN where prices are not known
    unit : "day", "week", "month" or "year", of the calendar; weeks begin on Monday
    currency : code, such as "USD"
    last_date : last day that the data show
    contractual : whether a customer who is gone stays gone, as with contracts, and may not only pause
    notes : what a reader must know, such as cells left out
    """

    cohorts: tuple[str, ...]
    start: NDArray[np.datetime64]
    acquired: FloatArray
    active: FloatArray
    revenue: FloatArray
    unit: str
    currency: str
    last_date: dt.date
    contractual: bool
    notes: tuple[LedgerLine, ...] = field(default=())

    def __post_init__(self) -> None:
        days_per_unit(self.unit)
        if self.active.shape != self.revenue.shape or not len(self.active) == len(self.acquired) == len(self.cohorts):
            raise DataError("active and revenue need a row a cohort and a column an age.")
        with np.errstate(invalid="ignore"):
            more = self.active > self.acquired[:, None]
        if more.any():
            row, age = np.argwhere(more)[0]
            raise DataError(
                f"cohort {self.cohorts[row]}, age {age}: {self.active[row, age]:g} customers are active, of "
                f"{self.acquired[row]:g} won. A customer counts once a unit, in the cohort of the first one."
            )

    @property
    def seen(self) -> BoolArray:
        """Cells that the data show whole, shape (C, A)."""
        return ~np.isnan(self.active)

    @property
    def units(self) -> NDArray[np.datetime64]:
        """First day of the calendar unit of each cell, shape (C, A)."""
        step = calendar_units(self.start, self.unit)[:, None] + np.arange(self.active.shape[1])
        return first_days(step, self.unit)

    def before(self, day: dt.date) -> "CohortTriangle":
        """The triangle as it was before a day: cohorts won by then, and cells of calendar units that were over.

        Raises
        ------
        DataError
            If no unit was.
        """
        over = first_days(calendar_units(self.start, self.unit) + 1, self.unit) <= np.datetime64(day)
        if not over.any():
            raise DataError(f"no {self.unit} of the triangle was over before {day}: it begins on {self.start[0]}.")
        seen = self.units[over] < first_days(calendar_units(np.array([np.datetime64(day)]), self.unit), self.unit)
        ages = int(np.flatnonzero(seen.any(axis=0))[-1]) + 1
        return replace(
            self,
            cohorts=tuple(label for label, won in zip(self.cohorts, over, strict=True) if won),
            start=self.start[over],
            acquired=self.acquired[over],
            active=np.where(seen, self.active[over], np.nan)[:, :ages],
            revenue=np.where(seen, self.revenue[over], np.nan)[:, :ages],
            last_date=min(self.last_date, day - dt.timedelta(days=1)),
        )

    @property
    def retention(self) -> FloatArray:
        """Share of the customers won who are active, shape (C, A); NaN where nobody was won."""
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.where(self.acquired[:, None] > 0, self.active / self.acquired[:, None], np.nan)

    @property
    def revenue_per_active(self) -> FloatArray:
        """Revenue of an active customer, shape (C, A); NaN where nobody is active."""
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.where(self.active > 0, self.revenue / self.active, np.nan)

    @property
    def revenue_per_acquired(self) -> FloatArray:
        """Revenue of a customer won, shape (C, A): retention x revenue of an active one; NaN where nobody was won."""
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.where(self.acquired[:, None] > 0, self.revenue / self.acquired[:, None], np.nan)
