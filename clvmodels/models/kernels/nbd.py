"""NBD: a customer's next purchases, drawn exactly, with the rate integrated out.

After x purchases up to T and k more up to T + now, the rate is Gamma(r + x + k, alpha + T + now). So the
wait for the next purchase is Lomax (a Pareto distribution from 0).

References
----------
.. [1] Ehrenberg (1959), doi 10.2307/2985810. `clvmodels.models.nbd` has the formulas.
"""

import math
from typing import Any

import numba

from clvmodels.foundation.streams import uniform
from clvmodels.models.kernels.changes import RATE_FACTOR
from clvmodels.models.kernels.interface import NEXT_PURCHASE, START

SHAPE, SCALE, NOW = range(3)  # places in `state`; NOW is on the clock of purchases
CHANGES = ("rate",)  # nobody leaves


@numba.njit(START, cache=True)
def start(_stream: Any, theta: Any, history: Any, state: Any) -> None:
    """The distribution of the customer's rate at T."""
    state[SHAPE], state[SCALE], state[NOW] = theta[0] + history[0], theta[1] + history[2], 0.0


@numba.njit(NEXT_PURCHASE, cache=True)
def next_purchase(stream: Any, _theta: Any, state: Any, horizon: Any) -> Any:
    """Time of the next purchase, counted from T; infinite if there is none up to the horizon."""
    # P(wait > w) = (scale / (scale + w))^shape, with scale = alpha + T + now
    wait = (state[SCALE] + state[NOW]) * math.expm1(-math.log(uniform(stream)) / state[SHAPE])
    state[SHAPE] += 1.0
    state[NOW] += wait
    time = state[NOW] / state[RATE_FACTOR]
    return time if time <= horizon else math.inf
