"""Pareto/NBD after Abe: a customer's rates are drawn exactly given the history, and then the next purchases.

The likelihood is a sum of two parts, out before buying again from t_x on, or silent and alive at T and to buy
again. Each is log-concave in (u, v) = (log lambda, log mu), and with its mode and any point at a distance d from it

    log part = linear - d' Q d / 2 - A (e^d_u - 1 - d_u) - B (e^d_v - 1 - d_v) - a convex function of d

Q is the precision of the prior, A and B the expected purchases and drop-outs at the mode. So a normal density
with the prior's precision lies above it, and so does the density of the log of a gamma number in u, which is the
closer of the two where A is large. One of the two parts is chosen by the integrals of what lies above, rates are
drawn from that, and accepted with the ratio (rejection sampling): no integral is needed, and nothing is
approximate, wherever the mode is thought to be. Given the rates the customer is alive with a known chance.

References
----------
.. [1] Abe (2009), doi 10.1287/mksc.1090.0502. `clvmodels.models.pareto_nbd_abe` has the formulas.
"""

import math
from typing import Any

import numba
from numba import types

from clvmodels.foundation.streams import Stream, log_gamma, normal, uniform
from clvmodels.models.kernels.changes import DROPOUT_FACTOR, EVERY_CHANGE, RATE_FACTOR, changed_end
from clvmodels.models.kernels.interface import F64, NEXT_PURCHASE, ROW, START

LOG_LAM, LOG_MU, DROP_OUT, NOW = range(4)  # places in `state`
CHANGES = EVERY_CHANGE
LEAVES, BUYS = -1.0, 1.0  # who comes first
MODE_STEPS = 8  # a mode that is not met costs acceptance, not truth
U, V, BOUGHT, LIVED, TOP, SLOPE_U, SLOPE_V = range(7)  # places in what `_above` says
ABOVE = types.UniTuple(F64, 7)
PRECISION = types.UniTuple(F64, 3)


@numba.njit(F64(F64), cache=True)
def _softplus(x: Any) -> Any:
    """log(1 + e^x)."""
    return max(x, 0.0) + math.log1p(math.exp(-abs(x)))


@numba.njit(F64(F64, F64, F64), cache=True)
def _mode_of_one(centre: Any, variance: Any, time: Any) -> Any:
    """The mode of N(u; centre, variance) exp(-t e^u), nearly."""
    grown = _softplus(centre + math.log(variance * max(time, 1e-300)))
    return centre - grown * (1.0 - math.log1p(grown) / (2.0 + grown))


@numba.njit(PRECISION(ROW), cache=True)
def _precision(theta: Any) -> Any:
    """Q by uu, uv and vv."""
    sigma_lam, sigma_mu, rho = theta[2], theta[3], theta[4]
    free = (1.0 - rho) * (1.0 + rho)
    return 1.0 / (free * sigma_lam**2), -rho / (free * sigma_lam * sigma_mu), 1.0 / (free * sigma_mu**2)


@numba.njit(ABOVE(ROW, F64, F64, F64), cache=True)
def _above(theta: Any, x: Any, time: Any, first: Any) -> Any:
    """The mode of a part, its A, B and log there, and the slopes that are left at it."""
    mean_u, mean_v = math.log(theta[0]), math.log(theta[1])
    uu, uv, vv = _precision(theta)
    u = _mode_of_one(mean_u + theta[2] ** 2 * x, theta[2] ** 2, time)
    v = _mode_of_one(mean_v + theta[4] * theta[3] / theta[2] * (u - mean_u), 1.0 / vv, time)
    step_u, step_v, bought, lived, slope_u, slope_v = 0.0, 0.0, 0.0, 0.0, 0.0, 0.0
    for i in range(MODE_STEPS + 1):
        u, v = u + min(max(step_u, -3.0), 1.5), v + min(max(step_v, -3.0), 1.5)
        bought, lived = time * math.exp(u), time * math.exp(v)
        other = 1.0 / (1.0 + math.exp(first * (u - v)))  # the chance of the one that does not come first
        slope_u = x - bought - uu * (u - mean_u) - uv * (v - mean_v) + first * other
        slope_v = -lived - uv * (u - mean_u) - vv * (v - mean_v) - first * other
        both = other * (1.0 - other)
        a, b, c = uu + bought + both, uv - both, vv + lived + both
        determinant = a * c - b * b
        step_u, step_v = (c * slope_u - b * slope_v) / determinant, (a * slope_v - b * slope_u) / determinant
        if i == MODE_STEPS or abs(step_u) + abs(step_v) < 1e-4:
            break
    squared = uu * (u - mean_u) ** 2 + 2.0 * uv * (u - mean_u) * (v - mean_v) + vv * (v - mean_v) ** 2
    top = x * u - bought - lived - squared / 2.0 - _softplus(-first * (u - v))
    return u, v, bought, lived, top, slope_u, slope_v


@numba.njit(types.UniTuple(F64, 2)(ROW, ABOVE), cache=True)
def _rising(theta: Any, above: Any) -> Any:
    """The slope by u of what lies above a part, v integrated out, and the log of its integral."""
    _, uv, vv = _precision(theta)
    bought, slope_v, variance = above[BOUGHT], above[SLOPE_V], theta[2] ** 2
    slope = above[SLOPE_U] - slope_v * uv / vv
    total = above[TOP] + slope_v**2 / (2.0 * vv)
    if bought * variance > 1.0 and bought + slope > 0.0:  # the gamma number's is the closer one
        shape = bought + slope
        return slope, total + bought + math.lgamma(shape) - shape * math.log(bought)
    return slope, total + 0.5 * math.log(2.0 * math.pi * variance) + slope**2 * variance / 2.0


@numba.njit(types.boolean(Stream, ROW, ABOVE, F64, F64, ROW), cache=True)
def _proposed(stream: Any, theta: Any, above: Any, slope: Any, first: Any, state: Any) -> Any:
    """Draw rates from what lies above a part, and say whether they are accepted."""
    _, uv, vv = _precision(theta)
    bought, lived, sigma = above[BOUGHT], above[LIVED], theta[2]
    if bought * sigma**2 > 1.0 and bought + slope > 0.0:
        du = log_gamma(stream, bought + slope) - math.log(bought)
        log_ratio = -0.5 * (du / sigma) ** 2
    else:
        du = sigma * normal(stream) + slope * sigma**2
        log_ratio = -bought * (math.expm1(du) - du) if du < 700.0 else -math.inf
    dv = (above[SLOPE_V] - uv * du + math.sqrt(vv) * normal(stream)) / vv
    u, v = above[U] + du, above[V] + dv
    at_mode, here = -first * (above[U] - above[V]), -first * (u - v)
    log_ratio -= _softplus(here) - _softplus(at_mode) - (here - at_mode) / (1.0 + math.exp(-at_mode))
    log_ratio -= lived * (math.expm1(dv) - dv) if dv < 700.0 else math.inf
    state[LOG_LAM], state[LOG_MU] = u, v
    return math.log(uniform(stream)) < log_ratio


@numba.njit(START, cache=True)
def start(stream: Any, theta: Any, history: Any, state: Any) -> None:
    """Draw log lambda, log mu, whether the customer is alive, and the time of drop-out (0 for one who has left)."""
    x, t_x, T = history[0], history[1], history[2]
    left, stayed = _above(theta, x, t_x, LEAVES), _above(theta, x, T, BUYS)
    slope_left, log_left = _rising(theta, left)
    slope_stayed, log_stayed = _rising(theta, stayed)
    chance = 1.0 / (1.0 + math.exp(min(log_stayed - log_left, 700.0)))
    while True:
        if uniform(stream) < chance:
            accepted = _proposed(stream, theta, left, slope_left, LEAVES, state)
        else:
            accepted = _proposed(stream, theta, stayed, slope_stayed, BUYS, state)
        if accepted:
            break
    lam, mu = math.exp(state[LOG_LAM]), math.exp(state[LOG_MU])
    silent = (lam + mu) * (T - t_x)  # P(alive) = 1 / (1 + mu / (lambda + mu) (e^silent - 1))
    alive = silent < 700.0 and uniform(stream) * (lam + mu + mu * math.expm1(silent)) < lam + mu
    end = -math.log(uniform(stream)) * math.exp(-state[LOG_MU]) if alive else 0.0
    state[DROP_OUT] = changed_end(end, mu, state[DROPOUT_FACTOR])
    state[NOW] = 0.0


@numba.njit(NEXT_PURCHASE, cache=True)
def next_purchase(stream: Any, _theta: Any, state: Any, horizon: Any) -> Any:
    """Time of the next purchase, counted from T; infinite if there is none up to the horizon."""
    if state[NOW] >= state[DROP_OUT]:
        return math.inf
    state[NOW] -= math.log(uniform(stream)) * math.exp(-state[LOG_LAM]) / state[RATE_FACTOR]
    return state[NOW] if state[NOW] <= min(state[DROP_OUT], horizon) else math.inf
