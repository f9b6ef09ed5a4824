"""The hiatus rule: a customer who was seen in the last n days is active, others are gone.

References
----------
.. [1] Wuebben, M. & von Wangenheim, F. (2008). Instant customer base analysis: managerial heuristics often "get it
   right". Journal of Marketing 72, 82-93. doi:10.1509/jmkg.72.3.082
"""

import math

import numpy as np

from clvmodels.baselines.method import (
    Baseline,
    Training,
    days_since,
    has_money,
    mean_spend,
    own_rate,
    point_forecasts,
)
from clvmodels.foundation.errors import DataError
from clvmodels.foundation.records import CustomerSummary, Forecast
from clvmodels.foundation.units import days_per_unit


def hiatus_forecasts(customers: CustomerSummary, horizon: float, *, longest: float) -> dict[str, Forecast]:
    """Own rate x horizon of customers whose last purchase is at most `longest` ago; 0 of the others.

    Parameters
    ----------
    longest : longest time since the last purchase of an active customer, in the summary's unit

    Returns
    -------
    dict with "purchases"; "active", 1 or 0; and "spend" (currency), at the mean spend so far, where it is known

    Raises
    ------
    DataError
        If `longest` is not a length of time.
    """
    if not (math.isfinite(longest) and longest >= 0):
        raise DataError(f"longest = {longest}: expected a length of time, in {customers.unit}s.")
    limit = round(longest * days_per_unit(customers.unit), 6)
    active = np.where(days_since(customers) <= limit, 1.0, 0.0)
    means = {"purchases": active * own_rate(customers) * horizon, "active": active}
    if has_money(customers):
        means["spend"] = means["purchases"] * mean_spend(customers)
    return point_forecasts(means, "hiatus", customers=customers, horizon=horizon)


def longest_hiatus(training: Training) -> float:
    """The longest hiatus of an active customer that told best who bought again, in the windows' unit.

    Of the hiatuses seen at the windows' cuts, the one by which the fewest customers are taken wrongly for active (no
    purchase in the window) or for gone (a purchase); of several that do as well, the shortest. All windows count as
    one table. A window shorter than the horizon tells who buys within the window.
    """
    seen = np.concatenate([days_since(customers) for customers, _ in training])
    bought = np.concatenate([outcome.purchases > 0 for _, outcome in training])
    hiatus, place = np.unique(seen, return_inverse=True)
    # Each step to a longer hiatus takes those at it for active: right are the buyers, wrong the others.
    gained = np.bincount(place, weights=np.where(bought, 1.0, -1.0))
    return float(hiatus[np.argmax(np.cumsum(gained))]) / days_per_unit(training[-1][0].unit)


def forecasts(customers: CustomerSummary, horizon: float, training: Training) -> dict[str, Forecast]:
    """The rule with the hiatus that told best in the training windows.

    Returns
    -------
    dict with "purchases"; "active", 1 or 0; and "spend" (currency) where it is known
    """
    return hiatus_forecasts(customers, horizon, longest=longest_hiatus(training))


HIATUS = Baseline(
    name="hiatus",
    rule=forecasts,
    inputs=("frequency", "recency", "T", "monetary_value", "first_amount"),
    choices=1,  # n
    trained=True,
)
