"""Pareto/NBD: a customer's next purchases, drawn exactly.

Given that the customer is alive at T, rate and drop-out rate are independent, Gamma(r + x, alpha + T) and
Gamma(s, beta + T). So the time of drop-out and the wait for the next purchase are Lomax (a Pareto
distribution from 0). Most customers buy nothing more: that costs one random number.

References
----------
.. [1] Schmittlein, Morrison and Colombo (1987), doi 10.1287/mnsc.33.1.1. `clvmodels.models.pareto_nbd` has
   the formulas, and the integral q with what it is for.
"""

import math
from typing import Any

import numba
from numba import types

from clvmodels.foundation.quadrature import gauss_legendre
from clvmodels.foundation.streams import uniform
from clvmodels.models.kernels.changes import DROPOUT_FACTOR, EVERY_CHANGE, RATE_FACTOR, changed_lomax_end
from clvmodels.models.kernels.interface import NEXT_PURCHASE, START
from clvmodels.models.pareto_nbd import NEAR, NODES, SPENT, TERMS

AT, WEIGHTS = gauss_legendre(NODES)
F64 = types.float64

X, T_X, AGE, BOUGHT, NOW, DROP_OUT = range(6)  # places in `state`; NOW is on the clock of purchases
CHANGES = EVERY_CHANGE


@numba.njit(F64(F64, F64, F64, F64), cache=True)
def chance_to_leave_first(n: Any, alpha: Any, s: Any, beta: Any) -> Any:
    """The model's function of that name, for one customer."""
    leaves = beta <= alpha
    near, far, ratio = (s, n, beta / alpha) if leaves else (n, s, alpha / beta)
    gap = 1.0 - ratio
    reach, total = 0.0, 0.0
    if gap > NEAR:
        reach = min(math.log1p((gap / NEAR - 1.0) / ratio), SPENT / (near + far * ratio))
        reach = min(reach, math.log1p(math.expm1(min(SPENT / far, 60.0)) / ratio))
        for i in range(len(AT)):
            growth = math.exp(reach * AT[i])
            other = 1.0 + ratio * (growth - 1.0)
            rate = near if leaves else far * ratio * growth / other
            total += WEIGHTS[i] * rate * math.exp(-near * reach * AT[i] - far * math.log(other))
    other = 1.0 + ratio * math.expm1(reach)
    gap /= other
    rest = (near if leaves else far * (1.0 - gap)) / (near + far)
    first = far if leaves else far + 1.0
    series = 1.0
    for k in range(TERMS - 1, -1, -1):
        series = 1.0 + (first + k) / (near + far + 1.0 + k) * gap * series
    return reach * total + math.exp(-near * reach - far * math.log(other)) * rest * series


@numba.njit(types.boolean(F64, F64, F64, F64, F64, F64, F64, F64), cache=True)
def is_alive(u: Any, r: Any, alpha: Any, s: Any, beta: Any, x: Any, t_x: Any, T: Any) -> Any:
    """Whether u < P(alive at T).

    q lies between its value if the hazards stayed as they are and s / (n + s), where they end up: most
    often that settles the matter without an integral.
    """
    n = r + x
    hazard = n * math.log1p((T - t_x) / (alpha + t_x)) + s * math.log1p((T - t_x) / (beta + t_x))
    if hazard > 700.0:
        return False
    first = s * (alpha + t_x) / (n * (beta + t_x) + s * (alpha + t_x))
    later = s * (alpha + T) / (n * (beta + T) + s * (alpha + T))
    last = s / (n + s)
    grown = math.exp(hazard)
    if u * (1.0 + grown * max(first, last) - min(later, last)) < 1.0:
        return True
    if u * (1.0 + grown * min(first, last) - max(later, last)) > 1.0:
        return False
    first = chance_to_leave_first(n, alpha + t_x, s, beta + t_x)
    later = chance_to_leave_first(n, alpha + T, s, beta + T)
    return u * (1.0 + max(grown * first - later, 0.0)) < 1.0


@numba.njit(START, cache=True)
def start(_stream: Any, _theta: Any, history: Any, state: Any) -> None:
    """Remember the history; whether the customer is alive is drawn when a purchase depends on it."""
    state[X], state[T_X], state[AGE] = history[0], history[1], history[2]
    state[BOUGHT], state[NOW] = 0.0, 0.0


@numba.njit(NEXT_PURCHASE, cache=True)
def next_purchase(stream: Any, theta: Any, state: Any, horizon: Any) -> Any:
    """Time of the next purchase, counted from T; infinite if there is none up to the horizon."""
    r, alpha, s, beta = theta[0], theta[1], theta[2], theta[3]
    x, t_x, T, bought, now, pace = state[X], state[T_X], state[AGE], state[BOUGHT], state[NOW], state[RATE_FACTOR]
    # P(wait > w) = ((alpha + T + now) / (alpha + T + now + w))^(r + x + bought)
    now += (alpha + T + now) * math.expm1(-math.log(uniform(stream)) / (r + x + bought))
    if now > horizon * pace:
        return math.inf
    if bought == 0.0:
        if not is_alive(uniform(stream), r, alpha, s, beta, x, t_x, T):
            return math.inf
        end = (beta + T) * math.expm1(-math.log(uniform(stream)) / s)
        state[DROP_OUT] = changed_lomax_end(stream, s, beta + T, end, state[DROPOUT_FACTOR])
    if now / pace > state[DROP_OUT]:
        return math.inf
    state[BOUGHT], state[NOW] = bought + 1.0, now
    return now / pace
