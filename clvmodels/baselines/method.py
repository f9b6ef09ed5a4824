"""What the baselines share: their record, the check of what they are asked, and past spend."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from clvmodels.foundation.errors import DataError
from clvmodels.foundation.patterns import FloatArray
from clvmodels.foundation.records import CustomerSummary, Forecast


@dataclass(frozen=True)
class Baseline:
    """A method without a posterior, to hold a model against.

    Attributes
    ----------
    name : registry name
    forecasts : (customers, horizon) -> quantity -> forecast; the quantities are "purchases" and "spend",
        or "score" where the method only ranks; only the means are filled
    inputs : columns of the customer summary that it reads
    choices : number of choices that its user has to make
    """

    name: str
    forecasts: Callable[[CustomerSummary, float], dict[str, Forecast]]
    inputs: tuple[str, ...]
    choices: int


def check_request(customers: CustomerSummary, horizon: float) -> None:
    """Refuse a horizon that is not a length of time, and counted rows.

    Raises
    ------
    DataError
        If the horizon is not finite and above 0, or if rows stand for several customers.
    """
    if not (math.isfinite(horizon) and horizon > 0):
        raise DataError(f"horizon = {horizon}: expected a length of time above 0, in {customers.unit}s.")
    if customers.n_customers is not None:
        raise DataError("the summary has n_customers: baselines rank customers one by one, so give one row a customer.")


def point_forecast(
    quantity: str, method: str, *, customers: CustomerSummary, horizon: float, mean: FloatArray
) -> Forecast:
    """Forecast without a distribution: sd and quantiles are NaN.

    Parameters
    ----------
    quantity : "purchases", "spend" or "score"
    method : registry name
    mean : ndarray, shape (N,), purchases, currency or unitless score
    """
    nothing = np.full(len(customers), np.nan)
    return Forecast(
        quantity=quantity,
        method=method,
        customer_id=customers.customer_id,
        mean=mean,
        sd=nothing,
        q05=nothing,
        q50=nothing,
        q95=nothing,
        totals=None,
        horizon=horizon,
        unit=customers.unit,
        currency=customers.currency,
    )


def has_money(customers: CustomerSummary) -> bool:
    """Whether the summary knows any spend."""
    return bool(np.isfinite(customers.monetary_value).any() or np.isfinite(customers.first_amount).any())


def past_spend(customers: CustomerSummary) -> FloatArray:
    """Contribution so far: spend of the first purchase + frequency x mean repeat spend.

    Where no first amount is known at all, it is the repeat spend alone. Repeat buyers without a
    monetary_value are those whose repeat purchases came to nothing (free goods): they count with 0.

    Returns
    -------
    ndarray, shape (N,), currency

    Raises
    ------
    DataError
        If no spend is known, or the first amount of some customers only.
    """
    if not has_money(customers):
        raise DataError("the summary knows no spend: ranking by past spend needs monetary_value or first_amount.")
    first = customers.first_amount
    repeat = customers.frequency * np.nan_to_num(customers.monetary_value, nan=0.0)
    if np.isnan(first).all():
        return _same_sums_equal(repeat)
    _refuse_unknown(np.isnan(first), "first_amount", customers)
    return _same_sums_equal(first + repeat)


def mean_spend(customers: CustomerSummary) -> FloatArray:
    """Mean spend a purchase so far, the first included where its amount is known; shape (N,), currency."""
    first_counts = 0.0 if np.isnan(customers.first_amount).all() else 1.0
    purchases = customers.frequency + first_counts
    return past_spend(customers) / np.maximum(purchases, 1.0)


def _same_sums_equal(amount: FloatArray) -> FloatArray:
    # 3 x 1.01 and 3.03 differ in the last bit; ties must be ties on every engine.
    return np.round(amount, 6)


def _refuse_unknown(unknown: NDArray[np.bool_], column: str, customers: CustomerSummary) -> None:
    if unknown.any():
        row = int(np.argmax(unknown))
        raise DataError(
            f"{column} is not known for {int(unknown.sum())} customers (first: customer_id "
            f"{customers.customer_id[row]}, row {row}). Ranking by past spend needs it of everyone: "
            "fill it in or leave these customers out."
        )
