"""Pareto/GGG: a customer's next purchases, drawn exactly, with the customer's own clock.

Whether the customer is alive at T, and the regularity k given that, come from the model's quadrature over k; the
wait that is not over at T is beta prime given k, the rate lambda is gamma given both, and the time of drop-out is
Lomax, for alive customers independent of all else. From then on waits are Gamma(k, k lambda).

References
----------
.. [1] Platzer and Reutterer (2016), doi 10.1287/mksc.2015.0963. `clvmodels.models.pareto_ggg` has the formulas,
   which the functions of the same names here are for one customer.
"""

import math
from typing import Any

import numba
import numpy as np
from numba import types

from clvmodels.foundation.quadrature import gauss_legendre
from clvmodels.foundation.streams import Stream, log_gamma, uniform
from clvmodels.models.kernels.changes import DROPOUT_FACTOR, EVERY_CHANGE, RATE_FACTOR, changed_lomax_end
from clvmodels.models.kernels.interface import F64, NEXT_PURCHASE, ROW, START
from clvmodels.models.pareto_ggg import (
    HALF_LOG_TWO_PI,
    K_NODES,
    LARGE,
    LEAST_BEND,
    LEAVING_NODES,
    MODE_STEPS,
    MOST_REGULAR,
    NEVER,
    SPENT,
    WAITING_NODES,
)

LEAVING_AT, LEAVING_WEIGHTS = gauss_legendre(LEAVING_NODES)
WAITING_AT, WAITING_WEIGHTS = gauss_legendre(WAITING_NODES)
FIRST_TRY = 0.1  # chance from which a wait is drawn anew until it is long enough

K, RATE, NEXT, DROP_OUT = range(4)  # places in `state`; NEXT is on the clock of purchases
CHANGES = EVERY_CHANGE
X, T_X, AGE, LOG_INTERVAL = range(4)  # places in `history`
T_, GAMMA, R_, ALPHA, S, BETA = range(6)  # places in `theta`


@numba.njit(F64(F64), cache=True)
def left_by_stirling(n: Any) -> Any:
    """log Gamma(n) - n log n + n."""
    if n > LARGE:
        return HALF_LOG_TWO_PI - math.log(n) / 2.0 + (1.0 - 1.0 / (30.0 * n * n)) / (12.0 * n)
    return math.lgamma(n) - n * math.log(n) + n


@numba.njit(F64(F64, ROW, ROW), cache=True)
def log_density(log_k: Any, theta: Any, history: Any) -> Any:
    """Log density of log k with the past, but for a constant."""
    k, x = math.exp(log_k), history[X]
    R, A = theta[R_] + k * x, theta[ALPHA] + k * history[T_X]
    off = log_k - math.log(theta[T_] / theta[GAMMA])
    purchases = 0.0
    if x > 0.0:
        uneven = max(math.log(history[T_X] / x) - history[LOG_INTERVAL], 0.0)
        times = math.log1p(theta[R_] / (k * x)) - math.log1p(theta[ALPHA] / (k * history[T_X])) - uneven
        purchases = x * (k * times - left_by_stirling(k))
    return theta[T_] * (off - math.expm1(off)) + purchases + theta[R_] * math.log(R / A) + left_by_stirling(R)


@numba.njit(F64(F64), cache=True)
def fall(spent: Any) -> Any:
    """The model's function of that name."""
    return spent + min(math.sqrt(2.0 * spent), 1.0)


@numba.njit(F64(F64), cache=True)
def rise(spent: Any) -> Any:
    """The model's function of that name."""
    return math.log1p(spent + math.sqrt(2.0 * spent))


@numba.njit(F64(F64), cache=True)
def in_double_exponential(length: Any) -> Any:
    """The model's function of that name."""
    v = math.log1p(length / 2.0)
    return v - (math.exp(v) + v - 1.0 - length) / (math.exp(v) + 1.0)


@numba.njit(F64(F64, F64, F64, F64), cache=True)
def still_waiting(k: Any, R: Any, log_beta: Any, edge: Any) -> Any:
    """P(W > w), edge = log(k w / A)."""
    late = edge > math.log(k / R)
    a, b, own, way = (k, R + 1.0, R, 1.0) if late else (k + 1.0, R, k, -1.0)
    grown = math.exp(edge)
    first = math.exp(k * edge - (k + R) * math.log1p(grown) - log_beta) / own
    slope = way * ((a + b) * (1.0 - 1.0 / (1.0 + grown)) - a)
    far = fall(SPENT / (b if late else a)) + rise(SPENT / (a if late else b))
    far += max(way * (math.log(a / b) - edge), 0.0)
    reach = min(far, SPENT / max(slope, 1e-9))
    shifted = log_beta + math.log(own / (k + R))
    total = 0.0
    for i in range(WAITING_NODES):
        eta = edge + way * reach * WAITING_AT[i]
        total += WAITING_WEIGHTS[i] * math.exp(a * eta - (a + b) * math.log1p(math.exp(eta)) - shifted)
    return first + reach * total if late else 1.0 - first - reach * total


@numba.njit(F64(F64, F64, F64, F64, F64, F64), cache=True)
def left_first(k: Any, R: Any, log_beta: Any, edge: Any, scale: Any, s: Any) -> Any:
    """P(out before buying, and before T); scale = A / k / (beta + t_x)."""
    touch = min(math.log(k / R), edge)
    hazard = s * math.log1p(scale * math.exp(touch))
    share = 1.0 - 1.0 / (1.0 + scale * math.exp(touch))
    pull = s * share / math.expm1(hazard) if hazard > 1e-8 else 1.0
    a, b, n = k + pull, max(R - pull, 1e-3), k + R
    top = min(math.log(a / b), edge)
    end = min(math.log(a / b) + fall(SPENT / b) + rise(SPENT / a), edge)
    slope = a - n * (1.0 - 1.0 / (1.0 + math.exp(top)))
    low = min(fall(SPENT / a) + rise(SPENT / b), (SPENT + n * math.log1p(math.exp(top))) / a)
    reach = in_double_exponential(end - top + min(low, SPENT / max(slope, 1e-9)))
    total = 0.0
    for i in range(LEAVING_NODES):
        v = reach * LEAVING_AT[i]
        grown = math.exp(v)
        eta = end - v + 1.0 - grown
        wait = math.exp(eta)
        bell = math.exp(k * eta - n * math.log1p(wait) - log_beta)
        total += LEAVING_WEIGHTS[i] * (1.0 + grown) * -math.expm1(-s * math.log1p(scale * wait)) * bell
    return reach * total


@numba.njit(types.UniTuple(F64, 3)(ROW, ROW), cache=True)
def most_likely_k(theta: Any, history: Any) -> Any:
    """The model's function of that name."""
    x, t_x = history[X], history[T_X]
    mode = math.log((theta[T_] + x / 2.0) / (theta[GAMMA] + x / 10.0))
    slope = decay = bend = 1.0
    for _ in range(MODE_STEPS):
        k = math.exp(mode)
        R, A = theta[R_] + k * x, theta[ALPHA] + k * t_x
        slope = theta[T_] + x / 2.0 * (1.0 + 1.0 / (6.0 * k + 1.0)) - k * x / R / 2.0 * (1.0 + 1.0 / (6.0 * R + 1.0))
        decay = theta[GAMMA] - x * (1.0 + history[LOG_INTERVAL] + math.log(R / A)) + R * t_x / A
        decay = max(decay, theta[GAMMA])
        bend = max(1.0 - (k * x / R - k * t_x / A) * (x - R * t_x / A) / decay, LEAST_BEND)
        mode += math.log(slope / decay / k) / bend
    return mode, slope * bend, decay


@numba.njit(types.UniTuple(F64, 3)(ROW, ROW), cache=True)
def nodes_of_k(theta: Any, history: Any) -> Any:
    """The model's function of that name."""
    mode, slope, decay = most_likely_k(theta, history)
    x, t_x, silence = history[X], history[T_X], history[AGE] - history[T_X]
    k, shift, having_left = math.exp(mode), 0.0, 0.0
    if x > 0.0:
        missed = max(x * silence / t_x, 1.0)
        stopped = (x + 1.0) * math.log((x + missed) / (x + 1.0)) - math.log(missed)
        shift = math.log1p(stopped / decay)
    if silence > 0.0:
        wait = min(silence, (theta[ALPHA] + k * t_x) / (theta[R_] + k * x))
        hazard = theta[S] * math.log1p(wait / (theta[BETA] + t_x))
        having_left = -math.log(-math.expm1(-max(hazard, 1e-300)))
    spent = SPENT / slope
    low = in_double_exponential(min(fall(spent) + shift, fall(spent + having_left / slope)))
    high = rise(spent)
    v = high / 2.0
    for _ in range(2):
        v -= (v + 1.0 - math.exp(-v) - high) / (1.0 + math.exp(-v))
    return mode, -low, low + v


@numba.njit(types.UniTuple(F64, 4)(F64, ROW, ROW), cache=True)
def wait_at(k: Any, theta: Any, history: Any) -> Any:
    """R, A, log B(k, R) and log(k (T - t_x) / A), of k up to MOST_REGULAR."""
    R, A = theta[R_] + k * history[X], theta[ALPHA] + k * history[T_X]
    silence = history[AGE] - history[T_X]
    edge = math.log(k / A) + math.log(silence) if silence > 0.0 else -NEVER
    rests = left_by_stirling(k) + left_by_stirling(R) - left_by_stirling(k + R)
    return R, A, rests - k * math.log1p(R / k) - R * math.log1p(k / R), edge


@numba.njit(types.UniTuple(F64, 2)(F64, F64, F64, ROW, ROW), cache=True)
def silent_at(v: Any, mode: Any, top: Any, theta: Any, history: Any) -> Any:
    """Density in v of k with the past and a silence up to T, W > T - t_x and out before buying apart; but for e^top."""
    shrunk = math.exp(-v)
    log_k = mode + v + 1.0 - shrunk
    k = min(math.exp(log_k), MOST_REGULAR)
    R, A, log_beta, edge = wait_at(k, theta, history)
    weight = (1.0 + shrunk) * math.exp(log_density(log_k, theta, history) - top)
    left = left_first(k, R, log_beta, edge, A / k / (theta[BETA] + history[T_X]), theta[S])
    return weight * still_waiting(k, R, log_beta, edge), weight * left


@numba.njit(F64(F64, F64, F64, ROW, ROW), cache=True)
def waiting_at(v: Any, mode: Any, top: Any, theta: Any, history: Any) -> Any:
    """The first of the two alone."""
    shrunk = math.exp(-v)
    log_k = mode + v + 1.0 - shrunk
    k = min(math.exp(log_k), MOST_REGULAR)
    R, _, log_beta, edge = wait_at(k, theta, history)
    weight = (1.0 + shrunk) * math.exp(log_density(log_k, theta, history) - top)
    return weight * still_waiting(k, R, log_beta, edge)


@numba.njit(F64(ROW, ROW, ROW), cache=True)
def alive_by_k(theta: Any, history: Any, waiting: Any) -> Any:
    """P(alive at T), having filled `waiting`, one number a node, with the density of k given that, but for a factor."""
    mode, low, reach = nodes_of_k(theta, history)
    nodes = len(waiting)
    top = log_density(mode, theta, history)
    still, left = 0.0, 0.0
    for i in range(nodes):
        waiting[i], out = silent_at(low + reach * (i + 0.5) / nodes, mode, top, theta, history)
        still += waiting[i]
        left += out
    silence = history[AGE] - history[T_X]
    return math.exp(-theta[S] * math.log1p(silence / (theta[BETA] + history[T_X]))) * still / (still + left)


@numba.njit(F64(Stream, ROW, ROW, ROW), cache=True)
def draw_k(stream: Any, theta: Any, history: Any, waiting: Any) -> Any:
    """k of a customer alive at T, by rejection from steps between the nodes.

    A log-concave density lies below the line through the two nodes before a step. So no step is higher than the
    higher of its two ends, but for those at the highest node, which may be as much higher as the node on the other
    side is lower.
    """
    mode, low, reach = nodes_of_k(theta, history)
    nodes = len(waiting)
    top = log_density(mode, theta, history)
    highest: Any = max(1, min(np.argmax(waiting), nodes - 2))
    height = np.empty(nodes - 1)
    for i in range(nodes - 1):
        height[i] = max(waiting[i], waiting[i + 1])
    height[highest - 1] *= max(waiting[highest] / waiting[highest + 1], 1.0)
    height[highest] *= max(waiting[highest] / waiting[highest - 1], 1.0)
    total = height.sum()
    while True:
        i, rung = 0, uniform(stream) * total
        while i < nodes - 2 and rung > height[i]:
            rung -= height[i]
            i += 1
        v = low + reach * (i + 0.5 + uniform(stream)) / nodes
        if uniform(stream) * height[i] < waiting_at(v, mode, top, theta, history):
            return min(math.exp(mode + v + 1.0 - math.exp(-v)), MOST_REGULAR)


@numba.njit(F64(Stream, F64, F64, F64, F64), cache=True)
def draw_wait(stream: Any, k: Any, R: Any, log_beta: Any, edge: Any) -> Any:
    """log(k W / A) of a wait beyond the edge: by trial, or far out by rejection from the tangent's exponential."""
    if edge <= math.log(k / R) or still_waiting(k, R, log_beta, edge) > FIRST_TRY:
        while True:
            eta = log_gamma(stream, k) - log_gamma(stream, R)
            if eta > edge:
                return eta
    slope = (k + R) * (1.0 - 1.0 / (1.0 + math.exp(edge))) - k
    while True:
        beyond = -math.log(uniform(stream)) / slope
        # the log density beyond the edge, less its tangent
        grown = math.log1p((1.0 - 1.0 / (1.0 + math.exp(edge))) * math.expm1(beyond))
        if math.log(uniform(stream)) < (k + slope) * beyond - (k + R) * grown:
            return edge + beyond


@numba.njit(START, cache=True)
def start(stream: Any, theta: Any, history: Any, state: Any) -> None:
    """Draw whether the customer is alive, and then the clock, the rate, the next purchase and the drop-out."""
    waiting = np.empty(K_NODES)
    if uniform(stream) > alive_by_k(theta, history, waiting):
        state[NEXT] = math.inf
        return
    k = draw_k(stream, theta, history, waiting)
    R, A, log_beta, edge = wait_at(k, theta, history)
    eta = draw_wait(stream, k, R, log_beta, edge)
    state[K] = k
    state[RATE] = math.exp(log_gamma(stream, R + k)) / (A * (1.0 + math.exp(eta)))
    state[NEXT] = A / k * math.exp(eta) - (history[AGE] - history[T_X])
    scale = theta[BETA] + history[AGE]
    end = scale * math.expm1(-math.log(uniform(stream)) / theta[S])
    state[DROP_OUT] = changed_lomax_end(stream, theta[S], scale, end, state[DROPOUT_FACTOR])


@numba.njit(NEXT_PURCHASE, cache=True)
def next_purchase(stream: Any, _theta: Any, state: Any, horizon: Any) -> Any:
    """Time of the next purchase, counted from T; infinite if there is none up to the horizon."""
    now = state[NEXT] / state[RATE_FACTOR]
    if now > horizon or now > state[DROP_OUT]:
        return math.inf
    state[NEXT] += math.exp(log_gamma(stream, state[K])) / (state[K] * state[RATE])
    return now
