"""MBG/NBD: a customer's next purchases, drawn exactly, with rate and drop-out chance integrated out.

As the BG/NBD's, but a customer who is alive at T has passed x + 1 chances to drop out, so that the
drop-out chance p is Beta(a, b + x + 1), and one without a repeat purchase may have left at time 0.

References
----------
.. [1] Batislam, Denizel and Filiztekin (2007), doi 10.1016/j.ijresmar.2006.12.005. `clvmodels.models.mbg_nbd`
   has the formulas.
"""

import math
from typing import Any

import numba

from clvmodels.foundation.streams import uniform
from clvmodels.models.kernels.interface import NEXT_PURCHASE, START

X, T_X, AGE, BOUGHT, NOW = range(5)  # places in `state`


@numba.njit(START, cache=True)
def start(_stream: Any, _theta: Any, history: Any, state: Any) -> None:
    """Remember the history; whether the customer is alive is drawn when a purchase depends on it."""
    state[X], state[T_X], state[AGE] = history[0], history[1], history[2]
    state[BOUGHT], state[NOW] = 0.0, 0.0


@numba.njit(NEXT_PURCHASE, cache=True)
def next_purchase(stream: Any, theta: Any, state: Any, horizon: Any) -> Any:
    """Time of the next purchase, counted from T; infinite if there is none up to the horizon."""
    r, alpha, a, b = theta[0], theta[1], theta[2], theta[3]
    x, t_x, T, bought, now = state[X], state[T_X], state[AGE], state[BOUGHT], state[NOW]
    # P(wait > w) = ((alpha + T + now) / (alpha + T + now + w))^(r + x + bought)
    now += (alpha + T + now) * math.expm1(-math.log(uniform(stream)) / (r + x + bought))
    if now > horizon:
        return math.inf
    if bought == 0.0:  # alive at T? P(alive) = 1 / (1 + odds)
        odds = a / (b + x) * math.exp((r + x) * math.log1p((T - t_x) / (alpha + t_x)))
        if uniform(stream) * (1.0 + odds) > 1.0:
            return math.inf
    # stayed after the purchase before? E[p] = a / (a + b + x + bought)
    elif uniform(stream) * (a + b + x + bought) < a:
        return math.inf
    state[BOUGHT], state[NOW] = bought + 1.0, now
    return now
