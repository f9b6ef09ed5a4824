"""BG/CNBD-k: a customer's next purchases, drawn exactly, with rate and drop-out chance integrated out.

Given the stage j that the customer is at, the rate after T is lambda ~ Gamma(r + k x + j, alpha + T), and each
stage that passes adds 1 to the shape. So the wait for the next stage is Lomax (a Pareto distribution from 0),
each k-th stage is a purchase, and the chance to survive it is as in the BG/NBD. Most customers buy nothing
more: that costs two or three random numbers.

References
----------
.. [1] Reutterer, Platzer and Schröder (2021), doi 10.1016/j.ijresmar.2020.09.002. `clvmodels.models.bg_cnbd_k`
   has the formulas.
"""

import math
from typing import Any

import numba

from clvmodels.foundation.streams import Stream, uniform
from clvmodels.models.kernels import bg_nbd
from clvmodels.models.kernels.bg_nbd import AGE, BOUGHT, NOW, T_X, X, time_of
from clvmodels.models.kernels.changes import COIN, COINS, EVERY_CHANGE, LEAVING, RATE_FACTOR
from clvmodels.models.kernels.interface import F64, NEXT_PURCHASE, ROW

start = bg_nbd.start
SHAPE, TO_GO, WEIGHT = range(5, 8)  # places in `state`, after those of the BG/NBD
CHANGES = EVERY_CHANGE


@numba.njit(numba.void(Stream, F64, F64, F64, ROW), cache=True)
def draw_stage(stream: Any, r: Any, alpha: Any, k: Any, state: Any) -> None:
    """Draw the stage j at T of a customer who is alive, P(j) ~ (n)_j / j! u^j, and keep what follows from it."""
    n = r + k * state[X]
    u = (state[AGE] - state[T_X]) / (alpha + state[AGE])
    total, last = 1.0, int(k) - 1
    for j in range(last, 0, -1):
        total = 1.0 + total * u * (n + j - 1.0) / j
    j, weight = 0, 1.0
    if last > 0:
        rest = uniform(stream) * total - weight
        while rest > 0.0 and j < last:
            j += 1
            weight *= u * (n + j - 1.0) / j
            rest -= weight
    state[SHAPE], state[TO_GO], state[WEIGHT] = n + j, k - j, total


@numba.njit(F64(Stream, F64, F64, F64, F64, F64, F64, ROW, F64), cache=True)
def tick_by(stream: Any, r: Any, alpha: Any, a: Any, b: Any, k: Any, first_chance: Any, state: Any, reach: Any) -> Any:
    """The clock at the next purchase; customers with `first_chance` purchases or more may not be alive at T."""
    x, t_x, T, bought, now = state[X], state[T_X], state[AGE], state[BOUGHT], state[NOW]
    if bought == 0.0:
        draw_stage(stream, r, alpha, k, state)
    for _ in range(int(state[TO_GO])):
        # P(wait > w) = ((alpha + T + now) / (alpha + T + now + w))^shape
        now += (alpha + T + now) * math.expm1(-math.log(uniform(stream)) / state[SHAPE])
        state[SHAPE] += 1.0
        if now > reach:
            return math.inf
    if bought > 0.0:
        state[COIN] = uniform(stream)
    else:  # alive at T? P(alive) = 1 / (1 + odds)
        if x >= first_chance:
            silence = (r + k * x) * math.log1p((T - t_x) / (alpha + t_x)) - math.log(state[WEIGHT])
            odds = a / (b + x - 1.0) * math.exp(silence)
            if uniform(stream) * (1.0 + odds) > 1.0:
                return math.inf
        state[LEAVING], state[COINS] = a, a + b + x
    state[BOUGHT], state[NOW], state[TO_GO] = bought + 1.0, now, k
    return now


@numba.njit(NEXT_PURCHASE, cache=True)
def tick(stream: Any, theta: Any, state: Any, reach: Any) -> Any:
    """The clock at the next purchase of a customer who never leaves after T; infinite beyond `reach`."""
    return tick_by(stream, theta[0], theta[1], theta[2], theta[3], theta[4], 1.0, state, reach)


@numba.njit(NEXT_PURCHASE, cache=True)
def next_purchase(stream: Any, theta: Any, state: Any, horizon: Any) -> Any:
    """Time of the next purchase, counted from T; infinite if there is none up to the horizon."""
    return time_of(tick(stream, theta, state, horizon * state[RATE_FACTOR]), state)
