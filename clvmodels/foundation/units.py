"""Units of time and the one conversion between days, units and annual rates."""

import math
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from clvmodels.foundation.errors import DataError

FloatArray = NDArray[np.float64]
TimeUnit = Literal["day", "week", "month", "year"]

DAYS_PER_YEAR = 365.25
DAYS_PER_UNIT: dict[str, float] = {"day": 1.0, "week": 7.0, "month": DAYS_PER_YEAR / 12, "year": DAYS_PER_YEAR}


def days_per_unit(unit: str) -> float:
    """Days in one unit of time: 1, 7, 30.4375 or 365.25.

    Raises
    ------
    DataError
        If the unit is not "day", "week", "month" or "year".
    """
    if unit not in tuple(DAYS_PER_UNIT):  # which a list can be asked for too
        words = ", ".join(f'"{word}"' for word in get_args(TimeUnit))
        raise DataError(f'unit = "{unit}": expected one of {words}.')
    return DAYS_PER_UNIT[unit]


def calendar_units(days: NDArray[np.datetime64], unit: str) -> FloatArray:
    """The calendar unit of each day, shape (N,), numbered in order; weeks begin on Monday.

    Raises
    ------
    DataError
        If the unit is not "day", "week", "month" or "year".
    """
    days_per_unit(unit)
    if unit == "week":
        return np.asarray(
            (days.astype("datetime64[D]").astype(np.int64) + 3) // 7, dtype=np.float64
        )  # from a Monday on
    return days.astype(f"datetime64[{unit[0].upper()}]").astype(np.float64)


def first_days(units: FloatArray, unit: str) -> NDArray[np.datetime64]:
    """The first day of each calendar unit that `calendar_units` numbers so, shape (N,).

    Raises
    ------
    DataError
        If the unit is not "day", "week", "month" or "year".
    """
    days_per_unit(unit)
    whole = np.asarray(units).astype(np.int64)
    if unit == "week":
        return (7 * whole - 3).astype("datetime64[D]")
    return whole.astype(f"datetime64[{unit[0].upper()}]").astype("datetime64[D]")


def discount_per_unit(annual_discount_rate: float, unit: str) -> float:
    """Continuous discount rate per unit of time, ln(1 + annual rate) x days in the unit / 365.25.

    Raises
    ------
    DataError
        If the rate is at or below -1, or not finite.
    """
    if not math.isfinite(annual_discount_rate) or annual_discount_rate <= -1:
        raise DataError(
            f"annual_discount_rate = {annual_discount_rate}: expected a number above -1 (0.10 means 10 % a year)."
        )
    return math.log1p(annual_discount_rate) * days_per_unit(unit) / DAYS_PER_YEAR
