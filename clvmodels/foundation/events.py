"""From single purchases to the columns of a customer summary, for purchases that a story tells."""

from typing import Any

import numpy as np

from clvmodels.foundation.patterns import FloatArray, IntArray


def purchase_columns(buyer: IntArray, time: FloatArray, size: int) -> dict[str, Any]:
    """frequency, recency and log_interval of `size` customers, each shape (size,).

    Parameters
    ----------
    buyer, time : ndarrays, shape (E,), the position of the buyer and the time of each repeat purchase
    """
    frequency = np.bincount(buyer, minlength=size).astype(np.float64)
    recency = np.zeros(size)
    np.maximum.at(recency, buyer, time)
    order = np.lexsort((time, buyer))
    who, when = buyer[order], time[order]
    before = np.where(np.diff(who, prepend=-1) == 0, np.concatenate([[0.0], when[:-1]]), 0.0)
    with np.errstate(divide="ignore"):  # two purchases at one moment
        return {"frequency": frequency, "recency": recency, "log_interval": _mean(np.log(when - before), who, size)}


def spend_columns(buyer: IntArray, amount: FloatArray, size: int) -> dict[str, Any]:
    """monetary_value, paid_purchases, log_amount and log_amount_sd of `size` customers, each shape (size,).

    Parameters
    ----------
    buyer, amount : ndarrays, shape (E,), the position of the buyer and the value of each repeat purchase
    """
    who, paid = buyer[amount > 0], amount[amount > 0]
    with np.errstate(invalid="ignore"):  # amounts beyond the range of floats
        log_amount = _mean(np.log(paid), who, size)
        squares = _mean((np.log(paid) - log_amount[who]) ** 2, who, size)
    return {
        "monetary_value": _mean(amount, buyer, size),
        "paid_purchases": np.bincount(who, minlength=size).astype(np.float64),
        "log_amount": log_amount,
        "log_amount_sd": np.sqrt(squares),
    }


def _mean(values: FloatArray, who: IntArray, size: int) -> FloatArray:
    """Means by customer, shape (size,); NaN where there are none."""
    count = np.bincount(who, minlength=size)
    total = np.bincount(who, weights=values, minlength=size)
    return np.asarray(np.where(count > 0, total / np.maximum(count, 1), np.nan))
