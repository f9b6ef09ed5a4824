"""ABC: customers in order of what they spent so far; few carry most of the value (80/20)."""

import numpy as np
from numpy.typing import NDArray

from clvmodels.baselines.method import Baseline, past_spend, point_forecasts
from clvmodels.foundation.errors import DataError
from clvmodels.foundation.records import CustomerSummary, Forecast


def abc_classes(customers: CustomerSummary, *, a: float = 0.80, b: float = 0.95) -> NDArray[np.str_]:
    """Classes "A", "B" and "C" by cumulative share of past spend.

    A are the fewest customers that carry the share `a` of past spend, B the next up to the share `b`,
    C the rest. Customers who spent the same are in the same class, so the order of rows does not matter.

    Parameters
    ----------
    customers : N customers
    a, b : cumulative shares, 0 < a < b < 1

    Returns
    -------
    ndarray of text, shape (N,)

    Raises
    ------
    DataError
        If the shares are out of order, or spend is not known.
    """
    if not 0 < a < b < 1:
        raise DataError(f"ABC cuts a = {a}, b = {b}: expected 0 < a < b < 1, such as 0.80 and 0.95.")
    spend = past_spend(customers)
    amounts, level = np.unique(spend, return_inverse=True)
    of_level = np.bincount(level, weights=spend, minlength=len(amounts))
    spent_by_better = of_level.sum() - np.cumsum(of_level)
    # In whole currency units the last bit of a sum must not move a class: 1e-9 of the total.
    before = (spent_by_better / max(spend.sum(), np.finfo(float).tiny) + 1e-9)[level]
    return np.where((before < a) & (spend > 0), "A", np.where((before < b) & (spend > 0), "B", "C"))


def forecasts(customers: CustomerSummary, horizon: float) -> dict[str, Forecast]:
    """Ranking by past spend.

    The score is the spend itself, not the class: so its normalised Gini on the CDNOW sample (39 weeks
    against the next 39, holdout spend) is .680, where three classes with ties averaged give .514.

    Returns
    -------
    dict with "score" : past spend, in currency, read as a rank

    Raises
    ------
    DataError
        If spend is not known.
    """
    return point_forecasts({"score": past_spend(customers)}, "abc", customers=customers, horizon=horizon)


ABC = Baseline(
    name="abc",
    rule=forecasts,
    inputs=("frequency", "monetary_value", "first_amount"),
    choices=2,  # the two cuts
)
