"""Pareto/GGG: purchases as regular as each customer's own clock, drop-out at any time, seen or not.

The story. While alive, a customer waits Gamma(k, k lambda) from one purchase to the next: lambda ~ Gamma(r, alpha)
is the rate, k ~ Gamma(t, gamma) the regularity. At k = 1 purchases are a Poisson process, above they tick like a
clock, below they come in bursts. The customer drops out at rate mu ~ Gamma(s, beta). All three are independent. The
first purchase is time 0. x = frequency, t_x = recency, T = age; log_interval is the mean log of the x times between
purchases.

The paper samples lambda, k and mu of each customer. Here lambda and mu are integrated out in closed form and k by
quadrature, with nodes where the customer's own k is likely: a likelihood of six parameters, as any other model has.

Everything rests on the wait W for the next purchase, given k and the past. With R = r + k x, A = alpha + k t_x and
eta = log(k W / A), it is beta prime: a bell in eta with tails e^(k eta) and e^(-R eta),

    e^(k eta) (1 + e^eta)^-(k + R) / B(k, R).

References
----------
.. [1] Platzer and Reutterer (2016), Ticking Away the Moments: Timing Regularity Helps to Better Predict Customer
   Activity, Marketing Science 35(5), doi 10.1287/mksc.2015.0963.
"""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from clvmodels.foundation.model import Draws, Model, Parameter
from clvmodels.foundation.ops import NUMPY_OPS, Ops
from clvmodels.foundation.patterns import FloatArray, IntArray, PurchasePatterns, at_rows
from clvmodels.foundation.quadrature import integral_from_zero, midpoints

HISTORY = ("frequency", "recency", "T", "log_interval")
K_NODES, LEAVING_NODES, WAITING_NODES = 24, 24, 20  # errors of 1e-8, seldom 1e-6: the tests
SPENT = 22.0  # an integrand is cut where its logarithm is that far below its top: e^-22 = 3e-10
MODE_STEPS = 6  # Newton's towards the most likely k, which need not be met: it only places the nodes
LEAST_BEND = 0.2  # keeps a step of Newton's from leaping away
LARGE = 100.0  # from where Stirling's series has all digits
HALF_LOG_TWO_PI = math.log(2 * math.pi) / 2
MOST_REGULAR = 1e8  # waits that differ by 1 in 10,000 are as good as equal
LEAST_TOLD = 1e-3  # of k
NEVER = 1e12  # minus the logarithm of a silence of 0


class Rows(NamedTuple):
    """Parameters and past of customers, all of one shape; silence is T - t_x."""

    t: Any
    gamma: Any
    r: Any
    alpha: Any
    s: Any
    beta: Any
    x: Any
    t_x: Any
    silence: Any
    log_interval: Any

    @classmethod
    def of(cls, parameters: Draws, x: Any, t_x: Any, T: Any, log_interval: Any) -> "Rows":
        """Columns brought to the shape that they have together."""
        columns = [at_rows(parameters[name]) for name in cls._fields[:6]] + [x, t_x, T - t_x, log_interval]
        none = sum(0.0 * column for column in columns)
        return cls(*(column + none for column in columns))


class Wait(NamedTuple):
    """The wait for the next purchase of customers with regularity k: its distribution, and how long it is already.

    `edge` is log(k (T - t_x) / A).
    """

    k: Any
    R: Any
    A: Any
    log_beta: Any
    edge: Any

    @classmethod
    def of(cls, k: Any, rows: Rows, ops: Ops) -> "Wait":
        """The wait at some k, which has more dimensions than the rows."""
        k = least(ops, k, MOST_REGULAR)
        R, A = rows.r + k * rows.x, rows.alpha + k * rows.t_x
        rests = _left_by_stirling(k, ops) + _left_by_stirling(R, ops) - _left_by_stirling(k + R, ops)
        log_beta = rests - k * ops.log1p(R / k) - R * ops.log1p(k / R)
        long = rows.silence > 0
        edge = ops.where(long, ops.log(k / A) + ops.log(ops.where(long, rows.silence, 1.0)), -NEVER)
        return cls(k, R, A, log_beta, edge)


Chance = Callable[[Wait, Rows, Ops], Any]  # of what came after the last purchase, given k


def log_likelihood(parameters: Draws, patterns: PurchasePatterns, ops: Ops) -> Any:
    """Log likelihood of each pattern, shape (..., K): the density of purchases at their x times, then silence.

    Given k, and with lambda and mu integrated out, it is the density of the times between purchases, survival up to
    t_x, and the chance of silence from then to T::

        k^(k x) / Gamma(k)^x exp((k - 1) x log_interval) Gamma(R) alpha^r / (Gamma(r) A^R)
        (beta / (beta + t_x))^s (P(out before buying, and before T) + P(W > T - t_x))
    """
    x, t_x, T = patterns.frequency.rows, patterns.recency.rows, patterns.T.rows
    rows = Rows.of(parameters, x, t_x, T, patterns.log_interval)
    return log_expectation(silent, rows, ops) - rows.s * ops.log1p(rows.t_x / rows.beta)


def log_expectation(chance: Chance, rows: Rows, ops: Ops) -> Any:
    """Log of the integral over k of its density with the past, times a chance given k.

    In log k = mode + v + 1 - e^-v: the integrand's left tail, e^(slope log k), is spent at a moderate v, so that
    midpoints of equal steps converge as for a normal density.
    """
    mode, low, reach = _nodes_of_k(rows, ops)
    top = log_density(mode, rows, ops)

    def density(v: Any, low: Any, mode: Any, top: Any, *columns: Any) -> Any:
        rows = Rows(*columns)
        shrunk = ops.exp(-low - v)
        log_k = mode + low + v + 1 - shrunk
        weight = (1 + shrunk) * ops.exp(log_density(log_k, rows, ops) - top)
        return weight * chance(Wait.of(ops.exp(log_k), rows, ops), rows, ops)

    total = integral_from_zero(density, reach, low, mode, top, *rows, nodes=K_NODES, rule=midpoints)
    return top + ops.log(total)


def log_density(log_k: Any, rows: Rows, ops: Ops) -> Any:
    """Log density of log k and of the times between purchases, lambda integrated out.

    The gamma functions are taken by what Stirling's formula leaves, so that nothing cancels at large k, t or x.
    """
    k = ops.exp(log_k)
    R, A = rows.r + k * rows.x, rows.alpha + k * rows.t_x
    off = log_k - ops.log(rows.t / rows.gamma)
    prior = rows.t * (off - ops.expm1(off)) - _left_by_stirling(rows.t, ops)
    n, t_x = ops.maximum(rows.x, 1.0), ops.where(rows.x > 0, rows.t_x, 1.0)
    uneven = ops.maximum(ops.log(t_x / n) - rows.log_interval, 0.0)  # but for rounding, which k would multiply, it is
    times = k * (ops.log1p(rows.r / (k * n)) - ops.log1p(rows.alpha / (k * t_x)) - uneven)
    purchases = rows.x * (times - rows.log_interval - _left_by_stirling(k, ops))
    rates = rows.r * (ops.log(rows.alpha * R / A) - 1) + _left_by_stirling(R, ops) - ops.gammaln(rows.r)
    return prior + purchases + rates


def _left_by_stirling(n: Any, ops: Ops) -> Any:
    """log Gamma(n) - n log n + n."""
    large = ops.maximum(n, LARGE)
    series = HALF_LOG_TWO_PI - ops.log(large) / 2 + (1 - 1 / (30 * large * large)) / (12 * large)
    return ops.where(n > LARGE, series, ops.gammaln(n) - n * ops.log(n) + n)


def silent(wait: Wait, rows: Rows, ops: Ops) -> Any:
    """P(no purchase from t_x to T | k, alive at t_x)."""
    return _left_first(wait, rows, ops) + _still_waiting(wait, ops)


def silent_and_alive(wait: Wait, rows: Rows, ops: Ops) -> Any:
    """P(no purchase from t_x to T, alive at T | k, alive at t_x)."""
    alive = ops.exp(-rows.s * ops.log1p(rows.silence / (rows.beta + rows.t_x)))
    return alive * _still_waiting(wait, ops)


def _still_waiting(wait: Wait, ops: Ops) -> Any:
    """P(W > T - t_x), the integral over the shorter side of the edge.

    One step of the incomplete beta's recurrence makes the side's tail fall by e^eta or faster.
    """
    k, R, _, log_beta, edge = wait
    late = edge > ops.log(k / R)  # later than the most likely wait
    a, b, own = ops.where(late, k, k + 1), ops.where(late, R + 1, R), ops.where(late, R, k)
    first = ops.exp(k * edge - (k + R) * ops.log1p(ops.exp(edge)) - log_beta) / own
    way = ops.where(late, 1.0, -1.0)
    slope = way * ((a + b) * (1 - 1 / (1 + ops.exp(edge))) - a)  # of the integrand's log, away from the edge
    far = ops.where(late, _width(b, a, ops), _width(a, b, ops))
    far = far + ops.maximum(way * (ops.log(a / b) - edge), 0.0)
    reach = least(ops, far, SPENT / ops.maximum(slope, 1e-9))

    def density(y: Any, edge: Any, way: Any, a: Any, n: Any, log_beta: Any) -> Any:
        eta = edge + way * y
        return ops.exp(a * eta - n * ops.log1p(ops.exp(eta)) - log_beta)

    shifted = log_beta + ops.log(own / (k + R))  # log B(a, b)
    rest = first + integral_from_zero(density, reach, edge, way, a, a + b, shifted, nodes=WAITING_NODES)
    return ops.where(late, rest, 1 - rest)


def _left_first(wait: Wait, rows: Rows, ops: Ops) -> Any:
    """P(out before buying, and before T): the integral of P(out before w) over waits w up to T - t_x.

    P(out before w) = 1 - (1 + w / (beta + t_x))^-s grows like w^pull. The integrand's log lies below its tangent,
    which is a bell of the same kind and says where it is spent. In eta = end - v + 1 - e^v.
    """
    k, R, A, log_beta, edge = wait
    scale = A / k / (rows.beta + rows.t_x)  # w / (beta + t_x) = scale e^eta
    touch = least(ops, ops.log(k / R), edge)
    hazard = rows.s * ops.log1p(scale * ops.exp(touch))
    share = 1 - 1 / (1 + scale * ops.exp(touch))
    pull = ops.where(hazard > 1e-8, rows.s * share / ops.expm1(ops.maximum(hazard, 1e-8)), 1.0)
    a, b, n = k + pull, ops.maximum(R - pull, 1e-3), k + R
    top = least(ops, ops.log(a / b), edge)
    end = least(ops, ops.log(a / b) + _width(b, a, ops), edge)
    slope = a - n * (1 - 1 / (1 + ops.exp(top)))
    low = least(ops, _width(a, b, ops), (SPENT + n * ops.log1p(ops.exp(top))) / a)
    low = least(ops, low, SPENT / ops.maximum(slope, 1e-9))

    def density(v: Any, end: Any, k: Any, n: Any, scale: Any, s: Any, log_beta: Any) -> Any:
        grown = ops.exp(v)
        eta = end - v + 1 - grown
        wait = ops.exp(eta)
        out = -ops.expm1(-s * ops.log1p(scale * wait))
        return (1 + grown) * out * ops.exp(k * eta - n * ops.log1p(wait) - log_beta)

    reach = _in_double_exponential(end - top + low, ops)
    return integral_from_zero(density, reach, end, k, n, scale, rows.s, log_beta, nodes=LEAVING_NODES)


def _nodes_of_k(rows: Rows, ops: Ops) -> tuple[Any, Any, Any]:
    """Where log_density is highest, and from which v, over what length, silent k are to be looked for.

    Around its mode it is a log-gamma density, slope log k - decay k, nearly. Long silence takes weight off large k
    (a clock that has stopped), down to the chance of having left.
    """
    mode, slope, decay = _most_likely_k(rows, ops)
    n = ops.maximum(rows.x, 1.0)
    missed = ops.maximum(n * rows.silence / ops.where(rows.x > 0, rows.t_x, 1.0), 1.0)  # in times between purchases
    stopped = (n + 1) * ops.log((n + missed) / (n + 1)) - ops.log(missed)  # P(W > T - t_x) falls as e^(-k stopped)
    shift = ops.where(rows.x > 0, ops.log1p(stopped / decay), 0.0)
    k = ops.exp(mode)
    wait = least(ops, rows.silence, (rows.alpha + k * rows.t_x) / (rows.r + k * rows.x))
    hazard = rows.s * ops.log1p(wait / (rows.beta + rows.t_x))
    having_left = ops.where(rows.silence > 0, -ops.log(-ops.expm1(-ops.maximum(hazard, 1e-300))), 0.0)
    spent = SPENT / slope
    low = _in_double_exponential(least(ops, _fall(spent, ops) + shift, _fall(spent + having_left / slope, ops)), ops)
    high = _rise(spent, ops)
    v = high / 2
    for _ in range(2):  # Newton's towards v + 1 - e^-v = high
        v = v - (v + 1 - ops.exp(-v) - high) / (1 + ops.exp(-v))
    return mode, -low, low + v


def _most_likely_k(rows: Rows, ops: Ops) -> tuple[Any, Any, Any]:
    """Log of the most likely k given the past, the slope of log_density left of it, and its decay right of it.

    The derivative of log_density by log k is slope - decay k, nearly, with a decay that falls with k as far as the
    prior of lambda goes against the purchases.
    """
    x = rows.x
    mode = ops.log((rows.t + x / 2) / (rows.gamma + x / 10))
    slope = decay = bend = 1.0
    for _ in range(MODE_STEPS):
        k = ops.exp(mode)
        R, A = rows.r + k * x, rows.alpha + k * rows.t_x
        # n (log n - digamma(n)) is (1 + 1 / (6 n + 1)) / 2, to 1 %
        slope = rows.t + x / 2 * (1 + 1 / (6 * k + 1)) - k * x / R / 2 * (1 + 1 / (6 * R + 1))
        decay = rows.gamma - x * (1 + rows.log_interval + ops.log(R / A)) + R * rows.t_x / A
        decay = ops.maximum(decay, rows.gamma)  # but for rounding it is
        falls = (k * x / R - k * rows.t_x / A) * (x - R * rows.t_x / A) / decay  # - d log decay / d log k
        bend = ops.maximum(1 - falls, LEAST_BEND)
        mode = mode + ops.log(slope / decay / k) / bend
    return mode, slope * bend, decay


def _width(slope: Any, other: Any, ops: Ops) -> Any:
    """How far from its mode a bell with that slope, and the other on the other side, is spent; not too little."""
    return _fall(SPENT / slope, ops) + _rise(SPENT / other, ops)


def _fall(spent: Any, ops: Ops) -> Any:
    """y with y - 1 + e^-y = spent, or a little more: where a log-gamma density is spent to the left of its mode."""
    return spent + least(ops, (2 * spent) ** 0.5, 1.0)


def _rise(spent: Any, ops: Ops) -> Any:
    """y with e^y - 1 - y = spent, or a little more: the same to the right."""
    return ops.log1p(spent + (2 * spent) ** 0.5)


def _in_double_exponential(length: Any, ops: Ops) -> Any:
    """v with e^v + v - 1 = length, or a little more."""
    v = ops.log1p(length / 2)
    return v - (ops.exp(v) + v - 1 - length) / (ops.exp(v) + 1)


def least(ops: Ops, x: Any, y: Any) -> Any:
    """The lesser of two, elementwise."""
    return -ops.maximum(-x, -y)


def p_alive(
    parameters: Draws, frequency: FloatArray, recency: FloatArray, T: FloatArray, log_interval: FloatArray
) -> FloatArray:
    """P(alive at T | x, t_x, T, log_interval). Shape (S, 1) with (K,) gives (S, K)."""
    rows = Rows.of(parameters, frequency, recency, T, log_interval)
    with np.errstate(divide="ignore"):  # log 0 = -inf after the silence of hundreds of times between purchases
        alive = log_expectation(silent_and_alive, rows, NUMPY_OPS)
    return np.asarray(np.exp(alive - log_expectation(silent, rows, NUMPY_OPS)))


def p_alive_after(
    parameters: Draws,
    frequency: FloatArray,
    recency: FloatArray,
    T: FloatArray,
    log_interval: FloatArray,
    horizon: Any,
) -> FloatArray:
    """P(alive at T + t | the past): alive at T, and still so a time t later without being seen."""
    alive = p_alive(parameters, frequency, recency, T, log_interval)
    return np.asarray(alive * np.exp(-parameters["s"] * np.log1p(horizon / (parameters["beta"] + T))))


def simulate(rng: np.random.Generator, parameters: Draws, end: FloatArray) -> tuple[IntArray, FloatArray]:
    """Repeat purchases of customers seen from 0 to `end`, told as the story goes.

    Parameters
    ----------
    end : ndarray, shape (N,), length of observation of each customer, units of time

    Returns
    -------
    customer, time : ndarrays, shape (E,), the position of the buyer and the time of each purchase

    Notes
    -----
    In a burst (k of .1 and less) a wait may be below the resolution of floats: then it is the least that there is.
    A k below 1e-3, a burst of thousands of purchases at one moment, is told as 1e-3.
    """
    size = len(end)
    regularity = np.maximum(rng.gamma(parameters["t"], 1 / parameters["gamma"], size), LEAST_TOLD)
    rate = rng.gamma(parameters["r"], 1 / parameters["alpha"], size)
    drop_out = rng.gamma(parameters["s"], 1 / parameters["beta"], size)
    with np.errstate(divide="ignore"):  # a rate that underflows to 0 never drops out
        last = np.minimum(end, rng.exponential(1.0, size) / drop_out)
    now, active = np.zeros(size), np.arange(size)
    buyers, times = [active[:0]], [now[:0]]
    while len(active):
        with np.errstate(divide="ignore", invalid="ignore"):  # nor does a rate of 0 ever buy
            wait = rng.gamma(regularity[active]) / (regularity[active] * rate[active])
        now[active] = np.maximum(now[active] + wait, np.nextafter(now[active], np.inf))
        active = active[now[active] <= last[active]]
        buyers.append(active)
        times.append(now[active])
    return np.concatenate(buyers), np.concatenate(times)


PARETO_GGG = Model(
    name="pareto_ggg",
    family="purchases",
    parameters=(
        Parameter("t", "number", prior_median=3.0, prior_sd=1.0),
        Parameter("gamma", "number", prior_median=3.0, prior_sd=1.0),
        Parameter("r", "number", prior_median=1.0, prior_sd=1.5),
        Parameter("alpha", "time", prior_median=1.0, prior_sd=1.5, covariates=-1),
        Parameter("s", "number", prior_median=0.5, prior_sd=1.5),
        Parameter("beta", "time", prior_median=1.0, prior_sd=1.5, covariates=-1),
    ),
    log_likelihood=log_likelihood,
    history=HISTORY,
    reads=("log_interval",),
    formulas={"p_alive": p_alive, "p_alive_after": p_alive_after},
    simulate=simulate,
    kernel="pareto_ggg",
    methods=("mle", "laplace"),
    limits={"pareto_nbd": lambda pareto_nbd: {"t": 1e12, "gamma": 1e12, **pareto_nbd}},
    reference="Platzer and Reutterer (2016), doi 10.1287/mksc.2015.0963",
)
