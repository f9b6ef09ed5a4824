"""Last period carried forward: each customer does again what the last stretch of time saw."""

import numpy as np

from clvmodels.baselines.method import (
    Baseline,
    Training,
    has_money,
    knows_spend,
    mean_spend,
    own_rate,
    point_forecasts,
    training_length,
)
from clvmodels.foundation.patterns import FloatArray, IntArray
from clvmodels.foundation.records import CustomerSummary, Forecast, IdArray


def forecasts(customers: CustomerSummary, horizon: float, training: Training) -> dict[str, Forecast]:
    """Purchases and spend of the last training window, times horizon / its length.

    Customers who came within that window have no whole period behind them: they go on at their own rate since they
    came, for their mean spend so far.

    Returns
    -------
    dict with "purchases", and "spend" (currency) where it is known
    """
    known, last = training[-1]
    times = horizon / training_length(training)
    row = _rows_of(customers.customer_id, known.customer_id)
    own = own_rate(customers) * horizon
    means = {"purchases": _carried(last.purchases * times, row, newcomers=own)}
    if has_money(customers) and knows_spend(customers, training):
        means["spend"] = _carried(last.amount * times, row, newcomers=own * mean_spend(customers))
    return point_forecasts(means, "last_period", customers=customers, horizon=horizon)


def _rows_of(ids: IdArray, among: IdArray) -> IntArray:
    """Row of each id among others, -1 where it is not one of them, shape (N,)."""
    place = {customer_id: row for row, customer_id in enumerate(among.tolist())}
    return np.array([place.get(customer_id, -1) for customer_id in ids.tolist()])


def _carried(outcome: FloatArray, row: IntArray, *, newcomers: FloatArray) -> FloatArray:
    return np.where(row >= 0, outcome[row], newcomers)


LAST_PERIOD = Baseline(
    name="last_period",
    rule=forecasts,
    inputs=("frequency", "T", "monetary_value", "first_amount"),
    choices=1,  # length of the period
    trained=True,
)
