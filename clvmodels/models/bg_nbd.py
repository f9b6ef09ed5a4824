"""BG/NBD: purchases at a rate that varies over customers, drop-out only right after a purchase.

The story. While alive, a customer buys at rate lambda ~ Gamma(r, alpha). After each repeat purchase
the customer drops out with probability p ~ Beta(a, b), independent of lambda. The first purchase is
time 0 and no chance to drop out. x = frequency, t_x = recency, T = age.

References
----------
.. [1] Fader, Hardie and Lee (2005), "Counting Your Customers" the Easy Way: An Alternative to the
   Pareto/NBD Model, Marketing Science 24(2), doi 10.1287/mksc.1040.0098.
.. [2] Fader and Hardie (2019), A Step-by-Step Derivation of the BG/NBD Model, note 039.
"""

import math
from typing import Any

import numpy as np
from scipy import special

from clvmodels.foundation.model import Draws, Formula, Model, Parameter
from clvmodels.foundation.ops import Ops
from clvmodels.foundation.patterns import FloatArray, IntArray, PurchasePatterns
from clvmodels.foundation.quadrature import NODES, BetaRule, beta_expectation, beta_rule, discounted_without_end
from clvmodels.models import nbd
from clvmodels.models.alive import AliveOrGone

CURVE_NODES = 64  # an error of 1e-7 at all times of a curve (the tests)


def log_likelihood(parameters: Draws, patterns: PurchasePatterns, ops: Ops) -> Any:
    """Log likelihood of each pattern, eq. 6 of [1]_, shape (..., K).

    L = A1 A2 (A3 + [x > 0] A4), with A3 taken out of the bracket, so that 1 + A4 / A3 is left::

        A1 = Gamma(r + x) alpha^r / Gamma(r)    A2 = B(a, b + x) / B(a, b)
        A3 = (alpha + T)^-(r + x)               A4 = a / (b + x - 1) (alpha + t_x)^-(r + x)

    Times are in units of alpha, (alpha + T)^-(r + x) = alpha^-(r + x) (1 + T / alpha)^-(r + x), so that nothing
    cancels where alpha is far above them.
    """
    return alive_or_left(parameters, patterns, ops, log_stayed, log_odds_of_leaving)


def alive_or_left(
    parameters: Draws, patterns: PurchasePatterns, ops: Ops, log_stayed: Formula, log_odds: Formula
) -> Any:
    """Log likelihood of a model in which customers leave right after a purchase.

    Parameters
    ----------
    log_stayed, log_odds : f(a, b, x, ops) -> log A2, and log(A4 / A3) but for the times
    """
    r, alpha, a, b = (parameters[name] for name in ("r", "alpha", "a", "b"))
    x, t_x, T = patterns.frequency, patterns.recency, patterns.T
    shape = x.map(lambda x, r: r + x, r)
    log_age = T.map(lambda T, alpha: ops.log1p(T / alpha), alpha)
    log_last = t_x.map(lambda t_x, alpha: ops.log1p(t_x / alpha), alpha)

    def log_of_frequency(x: FloatArray, r: Any, alpha: Any, a: Any, b: Any) -> Any:  # log A1 A2 alpha^-(r + x)
        return ops.gammaln(r + x) - ops.gammaln(r) - x * ops.log(alpha) + log_stayed(a, b, x, ops)

    odds = x.map(lambda x, a, b: log_odds(a, b, x, ops), a, b)
    of_frequency = x.map(log_of_frequency, r, alpha, a, b)
    return of_frequency - shape * log_age + ops.softplus(odds + shape * (log_age - log_last))


def log_stayed(a: Any, b: Any, x: FloatArray, ops: Ops) -> Any:
    """log A2: staying after x purchases."""
    return ops.betaln(a, b + x) - ops.betaln(a, b)


def log_odds_of_leaving(a: Any, b: Any, x: FloatArray, ops: Ops) -> Any:
    """log(a / (b + x - 1)): odds of leaving right after purchase x against staying; -inf at x = 0."""
    return ops.where(x > 0, ops.log(a / (b + ops.maximum(x, 1.0) - 1)), -math.inf)


def p_alive(parameters: Draws, frequency: FloatArray, recency: FloatArray, T: FloatArray) -> FloatArray:
    """P(alive at T | x, t_x, T) = A3 / (A3 + A4); 1 at x = 0. Shape (S, 1) with (K,) gives (S, K)."""
    r, alpha, a, b = (parameters[name] for name in ("r", "alpha", "a", "b"))
    x = np.asarray(frequency, dtype=np.float64)
    silence = np.log1p((T - recency) / (alpha + recency))  # log((alpha + T) / (alpha + t_x))
    odds_of_leaving = np.where(x > 0, a / (b + np.maximum(x, 1.0) - 1), 0.0)
    with np.errstate(divide="ignore"):  # log 0 = -inf at x = 0: surely alive
        return np.asarray(special.expit(-(np.log(odds_of_leaving) + (r + x) * silence)))


def survival_if_alive(parameters: Draws, frequency: FloatArray, T: FloatArray, horizon: Any) -> FloatArray:
    """P(alive at T + t | x, alive at T) = E[(1 + p t / (alpha + T))^-(r + x)], p ~ Beta(a, b + x).

    Purchases that are the last come at rate lambda p.
    """
    r, alpha, a, b = (parameters[name] for name in ("r", "alpha", "a", "b"))
    n, tau = r + np.asarray(frequency, dtype=np.float64), horizon / (alpha + T)
    n, tau = np.broadcast_arrays(n, tau)
    return beta_expectation(
        a,
        b + frequency,
        lambda p: np.exp(-n[..., None] * np.log1p(p * tau[..., None])),
        at_zero=np.ones(n.shape),
        bend=-np.log(np.maximum(n * tau, 1e-300)),
    )


def purchases_if_alive(parameters: Draws, frequency: FloatArray, T: FloatArray, horizon: Any) -> FloatArray:
    """E[purchases in (T, T + t] | x, alive at T], in eq. 10 of [1]_, as an integral over the drop-out chance p.

    E[(1 - (1 + p t / (alpha + T))^-(r + x)) / p], p ~ Beta(a, b + x). The paper's 2F1 is this integral; the
    integral is smooth through a = 1 and does not overflow.
    """
    n, age = _shape_and_scale(parameters, frequency, T)
    n, tau = np.broadcast_arrays(n, horizon / age)
    return _mean_bought(_drop_out_rule(parameters, frequency, n * tau, nodes=NODES), n, tau)


def _shape_and_scale(parameters: Draws, frequency: FloatArray, T: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Those of the gamma distribution of the rate at T, r + x and alpha + T, of one shape."""
    n = parameters["r"] + np.asarray(frequency, dtype=np.float64)
    shape, scale = np.broadcast_arrays(n, parameters["alpha"] + T)
    return shape, scale


def _drop_out_rule(parameters: Draws, frequency: FloatArray, mean_purchases: FloatArray, *, nodes: int) -> BetaRule:
    """The rule for expectations over p ~ Beta(a, b + x) of what turns from p n tau to 1 as p n tau passes 1."""
    bend = -np.log(np.maximum(mean_purchases, 1e-300))
    return beta_rule(parameters["a"], parameters["b"] + frequency, bend=bend, nodes=nodes)


def _mean_bought(rule: BetaRule, n: FloatArray, tau: FloatArray) -> FloatArray:
    """E[(1 - (1 + p tau)^-n) / p]."""
    bought = -np.expm1(-n[..., None] * np.log1p(rule.p * tau[..., None])) / rule.p
    return rule.mean(bought, at_zero=n * tau)


def pmf_if_alive(
    parameters: Draws, frequency: FloatArray, T: FloatArray, purchases: IntArray, horizon: Any
) -> FloatArray:
    """P(X(T, T + t) = k | x, alive at T): rate Gamma(r + x, alpha + T), drop-out chance Beta(a, b + x).

    k purchases and none of them the last, or the k-th was the last (at least k purchases of a customer
    who never leaves).
    """
    rate = nbd.after(parameters, frequency, T)
    a, b = parameters["a"], parameters["b"] + frequency
    k = np.asarray(purchases, dtype=np.float64)
    last = np.maximum(k, 1.0)
    stayed = np.exp(special.betaln(a, b + k) - special.betaln(a, b)) * nbd.purchase_pmf(rate, purchases, horizon)
    left = np.exp(special.betaln(a + 1, b + last - 1) - special.betaln(a, b))
    return np.asarray(stayed + np.where(k > 0, left * nbd.chance_of_at_least(rate, purchases, horizon), 0.0))


def dert_if_alive(parameters: Draws, frequency: FloatArray, T: FloatArray, discount: float) -> FloatArray:
    """DERT of a customer who is alive at T. At d = 0 it is finite where a > 1; below 0 it is infinite."""
    a, b = parameters["a"], parameters["b"]
    n, age = _shape_and_scale(parameters, frequency, T)
    if discount > 0:
        rule = _drop_out_rule(parameters, frequency, n / age / discount, nodes=NODES)
        return discounted_without_end(lambda t: _mean_bought(rule, n, t / age), discount, bend=age / n)
    # E[1 / p] purchases until drop-out, p ~ Beta(a, b + x)
    last = np.where(a > 1, (a + b + frequency - 1) / np.where(a > 1, a - 1, 1.0), np.inf)
    without_end = last if discount == 0 else np.full_like(last, np.inf)
    return np.broadcast_to(without_end, np.broadcast_shapes(without_end.shape, age.shape)).copy()


def curve_if_alive(parameters: Draws, frequency: FloatArray, T: FloatArray, times: FloatArray) -> FloatArray:
    """E[purchases in (T, T + t] | x, alive at T] at each time t, shape (times, S, K).

    The weights of the expectation over p are worked out once for all of them.
    """
    n, age = _shape_and_scale(parameters, frequency, T)
    rule = _drop_out_rule(parameters, frequency, n / age * times[-1] / 10, nodes=CURVE_NODES)
    return np.stack([_mean_bought(rule, n, t / age) for t in times])


def simulate(rng: np.random.Generator, parameters: Draws, end: FloatArray) -> tuple[IntArray, FloatArray]:
    """Repeat purchases of customers seen from 0 to `end`, told as the story goes."""
    rate = rng.gamma(parameters["r"], 1 / parameters["alpha"], len(end))
    drop_out = rng.beta(parameters["a"], parameters["b"], len(end))
    return purchases_until_drop_out(rng, rate, drop_out, end, np.arange(len(end)))


def purchases_until_drop_out(
    rng: np.random.Generator,
    rate: FloatArray,
    drop_out: FloatArray,
    end: FloatArray,
    active: IntArray,
    *,
    stages: FloatArray | None = None,
) -> tuple[IntArray, FloatArray]:
    """Purchases from 0 to `end` of those customers who are `active` at 0, each the last with chance drop_out.

    Parameters
    ----------
    stages : ndarray, shape (N,), that a customer passes, at `rate`, for each purchase; 1 if not given
    """
    stages = np.ones(len(end)) if stages is None else stages
    now = np.zeros(len(end))
    buyers, times = [active[:0]], [now[:0]]
    while len(active):
        with np.errstate(divide="ignore"):  # a rate that underflows to 0 never buys
            now[active] += rng.standard_gamma(stages[active]) / rate[active]
        active = active[now[active] <= end[active]]
        buyers.append(active)
        times.append(now[active])
        active = active[rng.random(len(active)) >= drop_out[active]]
    return np.concatenate(buyers), np.concatenate(times)


FORMULAS = AliveOrGone(p_alive, survival_if_alive, purchases_if_alive, pmf_if_alive, dert_if_alive, curve_if_alive)
BG_NBD = Model(
    name="bg_nbd",
    family="purchases",
    parameters=(
        Parameter("r", "number", prior_median=1.0, prior_sd=1.5),
        Parameter("alpha", "time", prior_median=1.0, prior_sd=1.5, covariates=-1),
        Parameter("a", "number", prior_median=1.0, prior_sd=1.5, covariates=1),
        Parameter("b", "number", prior_median=2.0, prior_sd=1.5, covariates=1),
    ),
    log_likelihood=log_likelihood,
    formulas=FORMULAS.formulas,
    simulate=simulate,
    kernel="bg_nbd",
    limits={"nbd": lambda nbd: {**nbd, "a": 1e-9, "b": 1.0}},
    reference="Fader, Hardie and Lee (2005), doi 10.1287/mksc.1040.0098",
)
