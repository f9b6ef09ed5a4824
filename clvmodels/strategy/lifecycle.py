"""Stage of the relation with each customer: exploration, build-up, stability, decline."""

import numpy as np
from numpy.typing import NDArray

from clvmodels.foundation.patterns import FloatArray

ALIVE_LIMIT = 0.5
BUY_LIMIT = 0.05
STEADY_REPEATS = 3


def stages(frequency: FloatArray, p_alive: FloatArray, p_buy: FloatArray) -> NDArray[np.str_]:
    """Most plausible stage of each customer, shape (N,).

    In this order: decline, if more likely gone than active, or if the chance to buy within the horizon
    is below 5 %; exploration without a repeat purchase; build-up with one or two; stability with more.

    Parameters
    ----------
    frequency : ndarray, shape (N,), repeat purchases
    p_alive : ndarray, shape (N,), probability of being active
    p_buy : ndarray, shape (N,), probability of at least one purchase within the horizon
    """
    declining = (p_alive < ALIVE_LIMIT) | (p_buy < BUY_LIMIT)
    return np.select(
        [declining, frequency == 0, frequency < STEADY_REPEATS],
        ["decline", "exploration", "build_up"],
        default="stability",
    )
