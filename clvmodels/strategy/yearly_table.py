"""Customer lifetime value as a table of discounted cash flows by year."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from clvmodels.foundation.errors import DataError
from clvmodels.foundation.patterns import FloatArray

if TYPE_CHECKING:  # slow to import and only named here
    import pandas as pd


@dataclass(frozen=True)
class DiscountedCashFlow:
    """Value of a customer by year i = 1, 2, ..., each array of shape (years,), in currency.

    Attributes
    ----------
    income, cost : b_i and c_i of a customer who is still there
    still_there : p_i, the chance of it
    discount : 1 / (1 + r)^i
    present_value : p_i (b_i - c_i) / (1 + r)^i
    acquisition_cost : d, spent on winning the customer
    """

    income: FloatArray
    cost: FloatArray
    still_there: FloatArray
    discount: FloatArray
    present_value: FloatArray
    acquisition_cost: float

    @property
    def clv(self) -> float:
        """Sum of the present values, less the cost of winning the customer."""
        return float(self.present_value.sum() - self.acquisition_cost)

    def to_pandas(self) -> "pd.DataFrame":
        """A frame by year: income, cost, still_there, discount, present_value, and cumulative, from -d on."""
        import pandas as pd

        columns = ("income", "cost", "still_there", "discount", "present_value")
        frame = pd.DataFrame({name: getattr(self, name) for name in columns})
        frame["cumulative"] = np.cumsum(self.present_value) - self.acquisition_cost
        return frame.set_index(pd.RangeIndex(1, len(frame) + 1, name="year"))


def discounted_cash_flow(
    income: Sequence[float] | FloatArray,
    cost: Sequence[float] | FloatArray,
    *,
    discount_rate: float,
    retention: float | Sequence[float] | FloatArray = 1.0,
    acquisition_cost: float = 0.0,
) -> DiscountedCashFlow:
    """CLV as a yearly table: sum_i p_i (b_i - c_i) / (1 + r)^i - d, years i = 1, 2, ...

    Parameters
    ----------
    income, cost : b_i and c_i, a number a year, in currency: paid at the end of the year
    discount_rate : r, a year: 0.10 for 10 %
    retention : share of the customers of a year who stay for the next. One number: p_i is its i-th power. Or one
        number a year, that of year i telling who is still there to bring b_i: p_i is the product of the first i
    acquisition_cost : d, spent today

    Raises
    ------
    DataError
        If the years differ in number, or a number cannot be used.
    """
    b, c = _years("income", income), _years("cost", cost)
    if len(b) != len(c):
        raise DataError(f"income has {len(b)} years, cost {len(c)}: give a number a year in each.")
    if not (np.isfinite(discount_rate) and discount_rate > -1):
        raise DataError(f"discount_rate = {discount_rate}: expected a rate a year above -1, such as 0.10.")
    if not np.isfinite(acquisition_cost):
        raise DataError(f"acquisition_cost = {acquisition_cost}: expected an amount.")
    p, discount = _still_there(retention, len(b)), (1.0 + discount_rate) ** -np.arange(1.0, len(b) + 1)
    return DiscountedCashFlow(b, c, p, discount, p * (b - c) * discount, float(acquisition_cost))


def _years(name: str, values: Sequence[float] | FloatArray) -> FloatArray:
    years = np.asarray(values, dtype=np.float64)
    if years.ndim != 1 or len(years) == 0:
        raise DataError(f"{name}: expected a number a year, at least one.")
    if not np.isfinite(years).all():
        raise DataError(f"{name} of year {int(np.argmin(np.isfinite(years))) + 1} is missing or not finite.")
    return years


def _still_there(retention: float | Sequence[float] | FloatArray, years: int) -> FloatArray:
    """p_i, shape (years,): the product of the shares that stayed in each year up to i."""
    each = np.full(years, retention) if np.ndim(retention) == 0 else _years("retention", np.asarray(retention))
    if len(each) != years:
        raise DataError(f"retention has {len(each)} years, income {years}: give one number, or one a year.")
    bad = ~((each >= 0) & (each <= 1))
    if bad.any():
        raise DataError(f"retention = {each[bad][0]:g} in year {int(np.argmax(bad)) + 1}: expected a share, 0 to 1.")
    return np.cumprod(each)
