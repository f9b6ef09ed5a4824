"""BG/BB: the opportunities at which a customer buys next, drawn exactly.

Given that the customer is alive at n, the chances to buy and to drop out are independent, Beta(alpha + x,
beta + n - x) and Beta(gamma, delta + n). Each is drawn once, and then waits and lifetime are geometric: no
opportunity is walked through. Most customers buy nothing more: that costs the draw of one chance.

References
----------
.. [1] Fader, Hardie and Shang (2010), doi 10.1287/mksc.1100.0580. `clvmodels.models.bg_bb` has the formulas.
"""

import math
from typing import Any

import numba
from numba import types

from clvmodels.foundation.streams import Stream, log_gamma, uniform
from clvmodels.models.kernels.changes import DROPOUT_FACTOR, EVERY_CHANGE, RATE_FACTOR, changed_hazard
from clvmodels.models.kernels.interface import F64, NEXT_PURCHASE, START

X, T_X, AGE, NOW, BUY_HAZARD, LEFT = range(6)  # places in `state`
CHANGES = EVERY_CHANGE  # of the chance to buy at an opportunity, and of that to leave before it


@numba.njit(F64(Stream, F64, F64), cache=True)
def beta_hazard(stream: Any, a: Any, b: Any) -> Any:
    """-log(1 - p) of p ~ Beta(a, b), which loses nothing where p is next to 0."""
    log_odds = log_gamma(stream, a) - log_gamma(stream, b)
    return log_odds + math.log1p(math.exp(-log_odds)) if log_odds > 0.0 else math.log1p(math.exp(log_odds))


@numba.njit(F64(Stream, F64), cache=True)
def failures(stream: Any, hazard: Any) -> Any:
    """How often something does not happen before it does: geometric from 0, of chance 1 - exp(-hazard)."""
    return math.floor(-math.log(uniform(stream)) / hazard) if hazard > 0.0 else math.inf


@numba.njit(types.boolean(F64, F64, F64, F64, F64, F64, F64, F64), cache=True)
def is_alive(u: Any, alpha: Any, beta: Any, gamma: Any, delta: Any, x: Any, t_x: Any, n: Any) -> Any:
    """Whether u < P(alive at n): the odds of having left grow from n back to t_x, until they are too high."""
    odds, growth = 0.0, 1.0
    for i in range(int(n - t_x)):
        m = n - 1.0 - i
        growth *= (alpha + beta + m) / (beta + m - x) * (gamma + delta + m) / (delta + m)
        odds += growth * gamma / (gamma + delta + m)
        if u * (1.0 + odds) > 1.0:
            return False
    return True


@numba.njit(START, cache=True)
def start(stream: Any, theta: Any, history: Any, state: Any) -> None:
    """Draw the customer's chance to buy; the rest is drawn when a purchase depends on it."""
    state[X], state[T_X], state[AGE], state[NOW] = history[0], history[1], history[2], 0.0
    hazard = beta_hazard(stream, theta[0] + history[0], theta[1] + history[2] - history[0])
    state[BUY_HAZARD] = changed_hazard(hazard, state[RATE_FACTOR])
    state[LEFT] = math.nan


@numba.njit(NEXT_PURCHASE, cache=True)
def next_purchase(stream: Any, theta: Any, state: Any, horizon: Any) -> Any:
    """The next opportunity with a purchase, counted from n; infinite if there is none up to the horizon."""
    state[NOW] += 1.0 + failures(stream, state[BUY_HAZARD])
    if state[NOW] > horizon:
        return math.inf
    if math.isnan(state[LEFT]):  # how many more opportunities the customer takes part in
        alpha, beta, gamma, delta = theta[0], theta[1], theta[2], theta[3]
        alive = is_alive(uniform(stream), alpha, beta, gamma, delta, state[X], state[T_X], state[AGE])
        state[LEFT] = 0.0
        if alive:
            hazard = changed_hazard(beta_hazard(stream, gamma, delta + state[AGE]), state[DROPOUT_FACTOR])
            state[LEFT] = failures(stream, hazard)
    return state[NOW] if state[NOW] <= state[LEFT] else math.inf
