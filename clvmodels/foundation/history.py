"""Repeat purchases of a base by period of the calibration, as the checks and effects of calendar time read them."""

from dataclasses import dataclass

import numpy as np

from clvmodels.foundation.errors import DataError
from clvmodels.foundation.patterns import FloatArray, IntArray
from clvmodels.foundation.units import days_per_unit

LEAST_PERIODS = 8  # of a history: fewer say nothing of how demand moves


@dataclass(frozen=True)
class PurchaseHistory:
    """Repeat purchases of the customers of a window, by period of its calibration.

    Attributes
    ----------
    before_end : ndarray of int, shape (P,), days from the end of each period to the end of the calibration: falling,
        the last one 0. The first period begins with the first purchase of all
    purchases : ndarray, shape (P,), repeat purchases in each
    unit : length of the periods: "day", "week", "month" or "year"
    """

    before_end: IntArray
    purchases: FloatArray
    unit: str

    def __post_init__(self) -> None:
        days_per_unit(self.unit)
        if self.before_end.ndim != 1 or self.before_end.shape != self.purchases.shape:
            raise DataError(
                f"before_end has shape {self.before_end.shape}, purchases {self.purchases.shape}: expected a number a "
                "period in each."
            )
        if len(self.before_end) < LEAST_PERIODS:
            raise DataError(
                f"the history has {len(self.before_end)} periods of a {self.unit}: expected {LEAST_PERIODS} or more, "
                "so take shorter periods or a longer calibration."
            )
        if self.before_end[-1] != 0 or (np.diff(self.before_end) >= 0).any():
            raise DataError("before_end does not fall to 0: the last period ends with the calibration.")
        if not (np.isfinite(self.purchases).all() and (self.purchases >= 0).all()):
            raise DataError("purchases of a period are missing or below 0: give 0 where there were none.")

    def __len__(self) -> int:
        """Number of periods."""
        return len(self.before_end)
