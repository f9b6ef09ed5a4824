"""GGom/NBD: a customer's next purchases, drawn exactly.

Given that the customer is alive at T, rate and lifetime are independent: the rate is Gamma(r + x, alpha + T), and
the time u until drop-out has P(lifetime > u) = exp(-s z) on its own scale z. Most customers buy nothing more: that
costs one random number.

References
----------
.. [1] Bemmaor and Glady (2012), doi 10.1287/mnsc.1110.1461. `clvmodels.models.ggom_nbd` has the formulas.
"""

import math
from typing import Any

import numba
from numba import types

from clvmodels.foundation.quadrature import gauss_legendre
from clvmodels.foundation.streams import Stream, log_gamma_aside, uniform
from clvmodels.models.ggom_nbd import LARGEST, NODES, SPENT
from clvmodels.models.kernels.changes import DROPOUT_FACTOR, EVERY_CHANGE, RATE_FACTOR, changed_hazard
from clvmodels.models.kernels.interface import F64, NEXT_PURCHASE, START

AT, WEIGHTS = gauss_legendre(NODES)

X, T_X, AGE, BOUGHT, NOW, DROP_OUT = range(6)  # places in `state`; NOW is on the clock of purchases
CHANGES = EVERY_CHANGE


@numba.njit(F64(F64, F64, F64), cache=True)
def growth(now: Any, b: Any, beta: Any) -> Any:
    """The model's function of that name."""
    return beta * math.exp(-b * now) - math.expm1(-b * now)


@numba.njit(F64(F64, F64, F64), cache=True)
def scale_passed(u: Any, b: Any, g: Any) -> Any:
    """The model's function of that name."""
    return math.log1p(math.expm1(b * u) / g) if b * u < LARGEST else b * u - math.log(g)


@numba.njit(F64(F64, F64), cache=True)
def time_in_scale(z: Any, g: Any) -> Any:
    """b u at z, the reverse."""
    return math.log1p(g * math.expm1(z)) if z < LARGEST else z + math.log(g)


@numba.njit(F64(F64, F64, F64, F64, F64), cache=True)
def chance_to_leave(n: Any, scale: Any, g: Any, s: Any, reach: Any) -> Any:
    """The model's function of that name, with scale = b (alpha + t_x), up to z = reach."""
    bought = scale_passed(scale * math.expm1(min(SPENT / n, 60.0)), 1.0, g)
    reach = min(reach, SPENT / s, bought)
    first = min(reach, max(-math.log(g), 0.0))
    begun = math.log1p(g * math.expm1(first))
    later = g * math.exp(first - begun)
    total = 0.0
    if first > 0.0:
        m = -math.expm1(-scale) / g
        end = math.log1p(first / m)
        for i in range(len(AT)):
            z = m * math.expm1(end * AT[i])
            log_silent = -n * math.log1p(math.log1p(g * math.expm1(z)) / scale)
            total += end * WEIGHTS[i] * (m + z) * s * math.exp(-s * z + log_silent)
    if reach > first:
        m = min(-math.expm1(-scale - begun) / later, 1.0)
        end, before = math.log1p((reach - first) / m), math.exp(-s * first)
        for i in range(len(AT)):
            z = m * math.expm1(end * AT[i])
            time = begun + z + math.log1p((1.0 - later) * math.expm1(-z))
            total += before * end * WEIGHTS[i] * (m + z) * s * math.exp(-s * z - n * math.log1p(time / scale))
    return total


@numba.njit(types.boolean(F64, F64, F64, F64, F64, F64, F64, F64, F64), cache=True)
def is_alive(u: Any, r: Any, alpha: Any, b: Any, s: Any, beta: Any, x: Any, t_x: Any, T: Any) -> Any:
    """Whether u < P(alive at T) = 1 / (1 + exp(hazard) q).

    q lies between the chances to leave before T as if all purchases, or none, were due at T: often that settles it.
    """
    g = growth(t_x, b, beta)
    passed = scale_passed(T - t_x, b, g)
    of_purchases = (r + x) * math.log1p((T - t_x) / (alpha + t_x))
    if u * (1.0 + math.expm1(min(s * passed, LARGEST))) > 1.0:
        return False
    if u * (1.0 + math.expm1(min(s * passed, LARGEST)) * math.exp(min(of_purchases, LARGEST))) < 1.0:
        return True
    q = chance_to_leave(r + x, b * (alpha + t_x), g, s, passed)
    return math.log(u) + of_purchases + s * passed + math.log(q) < math.log1p(-u)


@numba.njit(F64(Stream, F64, F64, F64, F64, F64, F64), cache=True)
def changed_end(stream: Any, b: Any, s: Any, g: Any, end: Any, factor: Any, horizon: Any) -> Any:
    """When a customer leaves who would at `end`, each unit's chance to leave times `factor`; infinite after horizon.

    The hazard up to u is eta (e^(b u) - 1), eta ~ Gamma(s, g), and Gamma(s + 1, g + e^(b end) - 1) given the end.
    """
    if factor == 1.0 or b * end > LARGEST:
        return end
    grown = math.expm1(b * end)
    eta = math.exp(log_gamma_aside(stream, s + 1.0)) / (g + grown)
    to_go, begin = eta * grown, 0.0
    while begin < horizon:
        whole = eta * (math.exp(b * (begin + 1.0)) - math.exp(b * begin))
        changed = changed_hazard(whole, factor)
        if to_go <= changed:  # within the unit, in proportion to the hazard
            return begin + math.log1p(to_go / changed * math.expm1(b)) / b
        to_go -= changed
        begin += 1.0
    return math.inf


@numba.njit(START, cache=True)
def start(_stream: Any, _theta: Any, history: Any, state: Any) -> None:
    """Remember the history; whether the customer is alive is drawn when a purchase depends on it."""
    state[X], state[T_X], state[AGE] = history[0], history[1], history[2]
    state[BOUGHT], state[NOW] = 0.0, 0.0


@numba.njit(NEXT_PURCHASE, cache=True)
def next_purchase(stream: Any, theta: Any, state: Any, horizon: Any) -> Any:
    """Time of the next purchase, counted from T; infinite if there is none up to the horizon."""
    r, alpha, b, s, beta = theta[0], theta[1], theta[2], theta[3], theta[4]
    x, t_x, T, bought, now, pace = state[X], state[T_X], state[AGE], state[BOUGHT], state[NOW], state[RATE_FACTOR]
    # P(wait > w) = ((alpha + T + now) / (alpha + T + now + w))^(r + x + bought)
    now += (alpha + T + now) * math.expm1(-math.log(uniform(stream)) / (r + x + bought))
    if now > horizon * pace:
        return math.inf
    if bought == 0.0:
        if not is_alive(uniform(stream), r, alpha, b, s, beta, x, t_x, T):
            return math.inf
        g = growth(T, b, beta)
        end = time_in_scale(-math.log(uniform(stream)) / s, g) / b
        state[DROP_OUT] = changed_end(stream, b, s, g, end, state[DROPOUT_FACTOR], horizon)
    if now / pace > state[DROP_OUT]:
        return math.inf
    state[BOUGHT], state[NOW] = bought + 1.0, now
    return now / pace
