"""Pareto/NBD: purchases at a rate that varies over customers, drop-out at any time, seen or not.

The story. While alive, a customer buys at rate lambda ~ Gamma(r, alpha), and drops out at rate
mu ~ Gamma(s, beta), independent of lambda. The first purchase is time 0. x = frequency, t_x = recency,
T = age.

Every formula rests on one number: q, the chance that a customer who is alive at time y drops out before
the next purchase. The paper's 2F1s are in it, and nowhere else.

References
----------
.. [1] Schmittlein, Morrison and Colombo (1987), Counting Your Customers: Who Are They and What Will
   They Do Next?, Management Science 33(1), doi 10.1287/mnsc.33.1.1.
.. [2] Fader and Hardie (2005), A Note on Deriving the Pareto/NBD Model and Related Expressions, note 009.
.. [3] Fader, Hardie and Lee (2005), RFM and CLV: Using Iso-Value Curves for Customer Base Analysis,
   Journal of Marketing Research 42(4), doi 10.1509/jmkr.2005.42.4.415.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from scipy import special

from clvmodels.foundation.model import Draws, Model, Parameter
from clvmodels.foundation.ops import NUMPY_OPS, Ops
from clvmodels.foundation.patterns import FloatArray, IntArray, Levels, PurchasePatterns, Varying, at_rows
from clvmodels.foundation.quadrature import falling_root, integral_from_zero
from clvmodels.models import nbd
from clvmodels.models.alive import AliveOrGone

NODES = 32  # an error of 5e-9 at scales a million times apart, of 7e-10 at a thousand (the tests)
PMF_NODES, DERT_NODES = 64, 64
SPENT = 30.0  # total hazard after which exp(-30) = 1e-13 of the integral is left
NEAR = 0.05  # the distance z of the two scales below which the series takes over
TERMS = 6  # of the series: the next is below .05^6 = 2e-8 of its part; with more a graph is slow to compile


def log_likelihood(parameters: Draws, patterns: PurchasePatterns, ops: Ops) -> Any:
    """Log likelihood of each pattern, eq. 18 of [2]_ in another order, shape (..., K).

    Silent from t_x to T: either out before buying again, whenever that is, or alive at T and to buy again::

        L = Gamma(r + x) / Gamma(r) (S(t_x) q(t_x) + S(T) (1 - q(T)))
        S(y) = (alpha / (alpha + y))^r (alpha + y)^-x (beta / (beta + y))^s

    No difference of two 2F1 is left, and q is worked out once for each distinct (x, t_x) and (x, T)
    where it can be.
    """
    r, alpha, s, beta = (parameters[name] for name in ("r", "alpha", "s", "beta"))
    x, t_x, T = patterns.frequency, patterns.recency, patterns.T

    def log_alive(y: Any, x: Any, r: Any, alpha: Any, s: Any, beta: Any) -> Any:  # log S(y)
        return -r * ops.log1p(y / alpha) - x * ops.log(alpha + y) - s * ops.log1p(y / beta)

    def left(y: Any, x: Any, r: Any, alpha: Any, s: Any, beta: Any) -> Any:
        q = chance_to_leave_first(r + x, alpha + y, s, beta + y, ops)
        return log_alive(y, x, r, alpha, s, beta) + ops.log(q)

    def stayed(y: Any, x: Any, r: Any, alpha: Any, s: Any, beta: Any) -> Any:
        q = chance_to_leave_first(r + x, alpha + y, s, beta + y, ops)
        return log_alive(y, x, r, alpha, s, beta) + ops.log1p(-q)

    return x.map(lambda x, r: ops.gammaln(r + x) - ops.gammaln(r), r) + ops.logaddexp(
        map_pairs(left, t_x, x, r, alpha, s, beta), map_pairs(stayed, T, x, r, alpha, s, beta)
    )


def map_pairs(f: Callable[..., Any], time: Levels, x: Levels, *parameters: Any) -> Any:
    """Rows of f(time, x, *parameters), worked out once for each distinct pair of time and x; shape (..., K).

    Or row by row, where parameters vary over rows themselves.
    """
    if not any(isinstance(parameter, Varying) for parameter in parameters):
        return time.map(f, Varying(x.values, x.index), *parameters)
    return f(time.rows, x.rows, *map(at_rows, parameters))


def chance_to_leave_first(n: Any, alpha: Any, s: Any, beta: Any, ops: Ops) -> Any:
    """P(drop-out before the next purchase) of one alive, with rates Gamma(n, alpha) and Gamma(s, beta).

    q = int_0^inf s / (beta + u) (beta / (beta + u))^s (alpha / (alpha + u))^n du, u time from now. It is taken
    in log time v = log(1 + u / m), m the lesser scale, by Gauss-Legendre, until the hazard is spent or the
    two scales alpha + u and beta + u are near each other; from there on the series of the 2F1 converges fast.

    Works on NumPy and on a graph; n, alpha and beta have one shape, to which s broadcasts. Relative error
    below 1e-8.
    """
    leaves = beta <= alpha  # which of the two has the lesser scale m
    ratio = ops.where(leaves, beta / alpha, alpha / beta)
    near, far = ops.where(leaves, s, n), ops.where(leaves, n, s)  # hazard of it and of the other, in v
    gap = ops.where(leaves, (alpha - beta) / alpha, (beta - alpha) / beta)
    reach = _least(
        ops,
        ops.log1p(ops.maximum(gap / NEAR - 1, 0.0) / ratio),  # the scales are near each other
        SPENT / (near + far * ratio),  # at the hazard that the integral begins with, and it only grows
        ops.log1p(ops.expm1(_least(ops, SPENT / far, 60.0)) / ratio),  # by the other hazard alone
    )

    def density(v: Any, near: Any, far: Any, ratio: Any, leaves: Any) -> Any:
        growth = ops.exp(v)
        other = 1 + ratio * (growth - 1)  # (M + u) / M
        rate = ops.where(leaves, near, far * ratio * growth / other)  # of drop-out, in v
        return rate * ops.exp(-near * v - far * ops.log(other))

    total = integral_from_zero(density, reach, near, far, ratio, leaves, nodes=NODES)
    other = 1 + ratio * (ops.exp(reach) - 1)
    gap = gap / other
    # s / (n + s) 2F1(1, n; n + s + 1; z), or as the other scale is the lesser one (1 - z) 2F1(1, s + 1; ...)
    rest = ops.where(leaves, near, far * (1 - gap)) / (near + far)
    rest = rest * _series(ops.where(leaves, far, far + 1), near + far + 1, gap)
    return total + ops.exp(-near * reach - far * ops.log(other)) * rest


def _least(ops: Ops, *values: Any) -> Any:
    """The least of some arrays, elementwise."""
    least = values[0]
    for value in values[1:]:
        least = -ops.maximum(-least, -value)
    return least


def _series(b: Any, c: Any, z: Any) -> Any:
    """2F1(1, b; c; z) by its first terms."""
    total = 1.0
    for k in reversed(range(TERMS)):
        total = 1.0 + (b + k) / (c + k) * z * total
    return total


def p_alive(parameters: Draws, frequency: FloatArray, recency: FloatArray, T: FloatArray) -> FloatArray:
    """P(alive at T | x, t_x, T), eq. 11 of [1]_. Shape (S, 1) with (K,) gives (S, K)."""
    return np.asarray(special.expit(-_log_odds_of_having_left(parameters, frequency, recency, T)))


def _log_odds_of_having_left(
    parameters: Draws, frequency: FloatArray, recency: FloatArray, T: FloatArray
) -> FloatArray:
    """log(S(t_x) q(t_x) / S(T) - q(T)): out between t_x and T, against alive at T; -inf at t_x = T."""
    r, alpha, s, beta = (parameters[name] for name in ("r", "alpha", "s", "beta"))
    n = r + np.asarray(frequency, dtype=np.float64)
    hazard = n * np.log1p((T - recency) / (alpha + recency)) + s * np.log1p((T - recency) / (beta + recency))
    first, later = _leaves_first(parameters, frequency, recency), _leaves_first(parameters, frequency, T)
    with np.errstate(divide="ignore"):
        # q(t_x) - q(T) exp(-hazard) is above 0 but for rounding, where t_x is next to T
        return np.asarray(hazard + np.log(np.maximum(first - later * np.exp(-hazard), 0.0)))


def _leaves_first(parameters: Draws, frequency: FloatArray, now: FloatArray) -> FloatArray:
    """q of customers alive at `now` after x purchases, shape that of all arguments together."""
    r, alpha, s, beta = (parameters[name] for name in ("r", "alpha", "s", "beta"))
    n, alpha, s, beta = np.broadcast_arrays(r + frequency, alpha + now, s, beta + now)
    return np.asarray(chance_to_leave_first(n, alpha, s, beta, NUMPY_OPS))


def survival_if_alive(parameters: Draws, frequency: FloatArray, T: FloatArray, horizon: Any) -> FloatArray:
    """P(alive at T + t | alive at T) = ((beta + T) / (beta + T + t))^s."""
    alone = np.zeros(np.shape(frequency))  # of the shape of all arguments: frequency does not enter
    return np.asarray(np.exp(-parameters["s"] * np.log1p(horizon / (parameters["beta"] + T))) + alone)


def purchases_if_alive(parameters: Draws, frequency: FloatArray, T: FloatArray, horizon: Any) -> FloatArray:
    """E[purchases in (T, T + t] | x, alive at T], in eq. 22 of [1]_; recency does not enter.

    (r + x) / (alpha + T) is the mean rate, and E[time alive in (T, T + t]] is
    (beta + T) (1 - ((beta + T) / (beta + T + t))^(s - 1)) / (s - 1), here without the division by 0 at s = 1.
    """
    r, alpha, s, beta = (parameters[name] for name in ("r", "alpha", "s", "beta"))
    u = np.log1p(horizon / (beta + T))
    return np.asarray((r + frequency) / (alpha + T) * (beta + T) * u * special.exprel((1 - s) * u))


def pmf_if_alive(
    parameters: Draws, frequency: FloatArray, T: FloatArray, purchases: IntArray, horizon: Any
) -> FloatArray:
    """P(X(T, T + t) = k | x, alive at T): rates Gamma(r + x, alpha + T) and Gamma(s, beta + T).

    k purchases and alive at the end, or k purchases up to the drop-out at some u before the end::

        P(k in t) (beta / (beta + t))^s + int_0^t P(k in u) s / (beta + u) (beta / (beta + u))^s du
    """
    s = parameters["s"]
    rate, beta = nbd.after(parameters, frequency, T), parameters["beta"] + T
    stayed = nbd.purchase_pmf(rate, purchases, horizon) * np.exp(-s * np.log1p(horizon / beta))
    n, alpha, s, beta, k, t = np.broadcast_arrays(
        rate["r"], rate["alpha"], s, beta, np.asarray(purchases, dtype=np.float64), horizon
    )
    return np.asarray(stayed + _bought_and_left(n, alpha, s, beta, k, t))


def _bought_and_left(
    n: FloatArray, alpha: FloatArray, s: FloatArray, beta: FloatArray, k: FloatArray, t: FloatArray
) -> FloatArray:
    """P(k purchases, then drop-out, all in (0, t]); all arguments of one shape.

    In z = log(u / alpha) the integrand is log-concave: it is taken from where it is e^-40 of its top.
    """
    counted = special.gammaln(n + k) - special.gammaln(n) - special.gammaln(k + 1)
    scale = beta / alpha

    def log_density(z: FloatArray, n: Any, s: Any, k: Any, scale: Any, counted: Any) -> FloatArray:
        of_left = np.log(s / scale) - (s + 1) * np.log1p(np.exp(z) / scale) + z
        return np.asarray(counted + k * special.log_expit(z) + n * special.log_expit(-z) + of_left)

    def slope(z: FloatArray) -> FloatArray:
        return np.asarray(1 + k * special.expit(-z) - n * special.expit(z) - (s + 1) * special.expit(z - np.log(scale)))

    known = (n, s, k, scale, counted)
    end = np.log(np.maximum(t / alpha, 1e-300))
    begin = np.minimum(end, np.minimum(np.log(scale), 0.0) - np.log1p(n + s)) - 45  # left of it all the slope is k + 1
    top = falling_root(slope, begin, end)
    spent = log_density(top, *known) - 40
    first = falling_root(lambda z: spent - log_density(z, *known), begin, top)
    last = falling_root(lambda z: log_density(z, *known) - spent, top, end)
    return np.asarray(
        integral_from_zero(
            lambda y, first, *known: np.exp(log_density(first + y, *known)),
            last - first,
            first,
            *known,
            nodes=PMF_NODES,
        )
    )


def dert_if_alive(parameters: Draws, frequency: FloatArray, T: FloatArray, discount: float) -> FloatArray:
    """DERT of a customer who is alive at T, in eq. 2 of [3]_; at d = 0 finite where s > 1, below 0 infinite.

    The mean rate times int_0^inf exp(-d t) ((beta + T) / (beta + T + t))^s dt, which is the paper's Psi.
    """
    r, alpha, s, beta = (parameters[name] for name in ("r", "alpha", "s", "beta"))
    rate = (r + frequency) / (alpha + T)
    if discount > 0:
        s, beta, rate = np.broadcast_arrays(s, beta + T, rate)
        return np.asarray(rate * _discounted_lifetime(s, beta, discount))
    # E[time alive] = (beta + T) / (s - 1)
    time = np.where(s > 1, (beta + T) / np.where(s > 1, s - 1, 1.0), np.inf)
    return np.asarray(rate * (time if discount == 0 else np.inf))


def _discounted_lifetime(s: FloatArray, beta: FloatArray, discount: float) -> FloatArray:
    """int_0^inf exp(-d t) (beta / (beta + t))^s dt in log time v = log(1 + t / beta), up to where it is spent."""
    w = discount * beta
    reach = np.minimum(np.log1p(40 / w), np.where(s > 1, 40 / (w + np.maximum(s - 1, 0.0)), np.inf))
    in_scales = integral_from_zero(lambda v, s, w: np.exp((1 - s) * v - w * np.expm1(v)), reach, s, w, nodes=DERT_NODES)
    return np.asarray(beta * in_scales)


def simulate(rng: np.random.Generator, parameters: Draws, end: FloatArray) -> tuple[IntArray, FloatArray]:
    """Repeat purchases of customers seen from 0 to `end`, told as the story goes."""
    rate = rng.gamma(parameters["r"], 1 / parameters["alpha"], len(end))
    drop_out = rng.gamma(parameters["s"], 1 / parameters["beta"], len(end))
    with np.errstate(divide="ignore"):  # a rate that underflows to 0 never drops out
        lifetime = rng.exponential(1.0, len(end)) / drop_out
    return nbd.poisson_purchases(rng, rate, np.minimum(end, lifetime))


FORMULAS = AliveOrGone(p_alive, survival_if_alive, purchases_if_alive, pmf_if_alive, dert_if_alive)
PARETO_NBD = Model(
    name="pareto_nbd",
    family="purchases",
    parameters=(
        Parameter("r", "number", prior_median=1.0, prior_sd=1.5),
        Parameter("alpha", "time", prior_median=1.0, prior_sd=1.5, covariates=-1),
        Parameter("s", "number", prior_median=0.5, prior_sd=1.5),
        Parameter("beta", "time", prior_median=1.0, prior_sd=1.5, covariates=-1),
    ),
    log_likelihood=log_likelihood,
    formulas=FORMULAS.formulas,
    simulate=simulate,
    kernel="pareto_nbd",
    limits={"nbd": lambda nbd: {**nbd, "s": 1e-9, "beta": nbd["alpha"]}},
    reference="Schmittlein, Morrison and Colombo (1987), doi 10.1287/mnsc.33.1.1",
)
