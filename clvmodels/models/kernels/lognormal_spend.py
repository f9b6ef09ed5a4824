"""Lognormal spend: the values of a customer's next purchases, drawn exactly.

The logarithm of a customer's own median is normal given the mean logarithm of the known purchases, and each
purchase is lognormal around it.

References
----------
.. [1] Borle, Singh and Jain (2008), doi 10.1287/mnsc.1070.0746. `clvmodels.models.lognormal_spend` has the formulas.
"""

import math
from typing import Any

import numba

from clvmodels.foundation.streams import normal
from clvmodels.models.kernels.interface import NEXT_AMOUNT, START


@numba.njit(START, cache=True)
def start(stream: Any, theta: Any, history: Any, state: Any) -> None:
    """Draw the customer's log m_i."""
    log_m, sigma, tau = math.log(theta[0]), theta[1], theta[2]
    n, log_mean = history[0], history[1]
    own = n * tau**2 / (n * tau**2 + sigma**2)
    state[0] = own * log_mean + (1.0 - own) * log_m + tau * math.sqrt(1.0 - own) * normal(stream)


@numba.njit(NEXT_AMOUNT, cache=True)
def next_amount(stream: Any, theta: Any, state: Any) -> Any:
    """Value of the next purchase, in currency."""
    return math.exp(state[0] + theta[1] * normal(stream))
