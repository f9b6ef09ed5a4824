"""Gamma-Gamma: the values of a customer's next purchases, drawn exactly.

A customer's nu is Gamma(q + p x, v + x m), where x purchases of mean m are known, and each purchase is
worth Gamma(p, nu). Both are drawn in logs, so that a small shape gives no rate of 0 by underflow. Where
q + p x <= 1 the mean is infinite, and the draws are ordinary numbers.

References
----------
.. [1] Fader and Hardie (2013), note 025. `clvmodels.models.gamma_gamma` has the formulas.
"""

import math
from typing import Any

import numba

from clvmodels.foundation.streams import log_gamma
from clvmodels.models.kernels.interface import NEXT_AMOUNT, START


@numba.njit(START, cache=True)
def start(stream: Any, theta: Any, history: Any, state: Any) -> None:
    """Draw the customer's log(1 / nu)."""
    p, q, v = theta[0], theta[1], theta[2]
    x, m_x = history[0], history[1]
    state[0] = math.log(v + x * m_x) - log_gamma(stream, q + p * x)


@numba.njit(NEXT_AMOUNT, cache=True)
def next_amount(stream: Any, theta: Any, state: Any) -> Any:
    """Value of the next purchase, in currency."""
    return math.exp(log_gamma(stream, theta[0]) + state[0])
