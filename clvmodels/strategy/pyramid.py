"""The customer pyramid: four tiers by expected future value."""

import numpy as np
from numpy.typing import NDArray

from clvmodels.foundation.patterns import FloatArray
from clvmodels.foundation.records import IdArray

# Share of customers down to which each tier reaches, best customers first (Curry and Curry 2000).
TIERS = {"platinum": 0.01, "gold": 0.05, "iron": 0.20, "lead": 1.0}


def tiers(value: FloatArray, customer_id: IdArray) -> NDArray[np.str_]:
    """Tier of each customer, shape (N,): the best 1 %, the next 4 %, the next 15 %, and the rest.

    Parameters
    ----------
    value : ndarray, shape (N,), expected future value, currency
    customer_id : ndarray of text, shape (N,); orders customers of equal value

    References
    ----------
    Zeithaml, Rust and Lemon (2001), doi 10.2307/41166104, name the tiers; Curry and Curry (2000), The
    Customer Marketing Method, give the shares.
    """
    best_first = np.lexsort((customer_id.astype(str), -value))
    share = np.empty(len(value))
    share[best_first] = np.arange(1, len(value) + 1) / len(value)
    return np.array(list(TIERS))[np.searchsorted(list(TIERS.values()), share)]
