"""BG/NBD: a customer's next purchases, drawn exactly, with rate and drop-out chance integrated out.

After x purchases up to T and k more up to T + now, a customer who is still alive has rate
lambda ~ Gamma(r + x + k, alpha + T + now) and drop-out chance p ~ Beta(a, b + x + k). So the wait for
the next purchase is Lomax (a Pareto distribution from 0), and the customer survives purchase k with
probability 1 - E[p | alive before it]. Most customers buy nothing more: that costs one random number.

A rate that is multiplied by f is a clock of purchases that runs f times as fast.

References
----------
.. [1] Fader, Hardie and Lee (2005), doi 10.1287/mksc.1040.0098. `clvmodels.models.bg_nbd` has the formulas.
"""

import math
from typing import Any

import numba
from numba import types

from clvmodels.foundation.streams import Stream, uniform
from clvmodels.models.kernels.changes import (
    COIN,
    COINS,
    DROPOUT_FACTOR,
    EVERY_CHANGE,
    LEAVING,
    RATE_FACTOR,
    leaves_by_urn,
)
from clvmodels.models.kernels.interface import F64, NEXT_PURCHASE, ROW, START

X, T_X, AGE, BOUGHT, NOW = range(5)  # places in `state`; NOW is on the clock of purchases
CHANGES = EVERY_CHANGE


@numba.njit(START, cache=True)
def start(_stream: Any, _theta: Any, history: Any, state: Any) -> None:
    """Remember the history; whether the customer is alive is drawn when a purchase depends on it."""
    state[X], state[T_X], state[AGE] = history[0], history[1], history[2]
    state[BOUGHT], state[NOW] = 0.0, 0.0


@numba.njit(types.boolean(ROW), cache=True)
def left_after_purchase(state: Any) -> Any:
    """Whether the customer left after the purchase before: with chance E[p] = a / (a + b + x + bought - 1)."""
    if state[BOUGHT] == 1.0:  # who was not alive at T does not come so far
        return False
    left, state[LEAVING], state[COINS] = leaves_by_urn(state[COIN], state[LEAVING], state[COINS], state[DROPOUT_FACTOR])
    return left > 0.0


@numba.njit(types.boolean(F64, F64, F64), cache=True)
def is_beyond(u: Any, shape: Any, z: Any) -> Any:
    """Whether u^(-1 / shape) - 1 > z for sure, by bounds of both logarithms: without one, and most often enough.

    -log(u) >= 2 (1 - u) / (1 + u), and log(1 + z) <= z (6 + z) / (6 + 4 z). What is left for rounding keeps every wait
    the one that the logarithm gives.
    """
    z = z * (1.0 + 1e-9) + 1e-12
    return 2.0 * (1.0 - u) * (6.0 + 4.0 * z) > shape * (1.0 + 1e-9) * z * (6.0 + z) * (1.0 + u)


@numba.njit(F64(Stream, F64, F64, F64, F64, F64, ROW, F64), cache=True)
def tick_by(stream: Any, r: Any, alpha: Any, a: Any, b: Any, first_chance: Any, state: Any, reach: Any) -> Any:
    """The clock at the next purchase; customers with `first_chance` purchases or more may not be alive at T."""
    x, t_x, T, bought, now = state[X], state[T_X], state[AGE], state[BOUGHT], state[NOW]
    # P(wait > w) = ((alpha + T + now) / (alpha + T + now + w))^(r + x + bought)
    u = uniform(stream)
    if is_beyond(u, r + x + bought, (reach - now) / (alpha + T + now)):
        return math.inf
    now += (alpha + T + now) * math.expm1(-math.log(u) / (r + x + bought))
    if now > reach:
        return math.inf
    if bought > 0.0:
        state[COIN] = uniform(stream)
    else:  # alive at T? P(alive) = 1 / (1 + odds)
        if x >= first_chance:
            odds = a / (b + x - 1.0) * math.exp((r + x) * math.log1p((T - t_x) / (alpha + t_x)))
            if uniform(stream) * (1.0 + odds) > 1.0:
                return math.inf
        state[LEAVING], state[COINS] = a, a + b + x
    state[BOUGHT], state[NOW] = bought + 1.0, now
    return now


@numba.njit(F64(F64, ROW), cache=True)
def time_of(clock: Any, state: Any) -> Any:
    """Time from T on of a purchase at a clock of purchases; infinite if the customer left before it."""
    if clock == math.inf or left_after_purchase(state):
        return math.inf
    return clock / state[RATE_FACTOR]


@numba.njit(NEXT_PURCHASE, cache=True)
def tick(stream: Any, theta: Any, state: Any, reach: Any) -> Any:
    """The clock at the next purchase of a customer who never leaves after T; infinite beyond `reach`."""
    return tick_by(stream, theta[0], theta[1], theta[2], theta[3], 1.0, state, reach)


@numba.njit(NEXT_PURCHASE, cache=True)
def next_purchase(stream: Any, theta: Any, state: Any, horizon: Any) -> Any:
    """Time of the next purchase, counted from T; infinite if there is none up to the horizon."""
    return time_of(tick(stream, theta, state, horizon * state[RATE_FACTOR]), state)
