"""Pareto/NBD after Abe: purchase rate and drop-out rate of a customer are lognormal, and may be correlated.

The story. While alive, a customer buys at rate lambda and drops out at rate mu; over customers (log lambda,
log mu) is bivariate normal. The first purchase is time 0. x = frequency, t_x = recency, T = age. The parameters:

    lam, mu               medians of the two rates: exp(beta_0) of the paper; means are exp(sigma^2 / 2) times that
    sigma_lam, sigma_mu   standard deviations of log lambda and log mu, from the diagonal of the paper's Gamma_0
    rho                   the correlation of log lambda and log mu

Covariates act on the medians as in the paper: beta' d is log lam, or log mu, plus gamma' z.

The paper draws each customer's rates by MCMC. Here they are integrated out, by a rule that is right to 1e-7
(`lognormal_rates`), so that this model is fitted, compared and used like any other.

References
----------
.. [1] Abe (2009), "Counting Your Customers" One by One: A Hierarchical Bayes Extension to the Pareto/NBD Model,
   Marketing Science 28(3), doi 10.1287/mksc.1090.0502.
"""

from typing import Any

import numpy as np
from scipy import special

from clvmodels.foundation.model import Draws, Model, Parameter
from clvmodels.foundation.ops import NUMPY_OPS, Ops
from clvmodels.foundation.patterns import FloatArray, IntArray, PurchasePatterns
from clvmodels.foundation.quadrature import integral_from_zero, unspent
from clvmodels.models import nbd
from clvmodels.models.alive import AliveOrGone
from clvmodels.models.lognormal_rates import (
    BUYS_FIRST,
    FAST,
    FINE,
    LEAVES_FIRST,
    LEAVES_NOW,
    LIFETIME,
    ONE,
    ROUGH,
    TIME_ALIVE,
    Factor,
    LogNormalRates,
    Rule,
    log_chance_to_leave_first,
    log_integral,
)
from clvmodels.models.pareto_nbd import map_pairs

NAMES = ("lam", "mu", "sigma_lam", "sigma_mu", "rho")
PMF_NODES = 48
LONGEST_AGO = 60.0  # in log time: nobody who buys k times leaves within exp(-60) of a horizon


def log_likelihood(parameters: Draws, patterns: PurchasePatterns, ops: Ops) -> Any:
    """Log likelihood of each pattern, eq. 3 of [1]_ with both rates integrated out, shape (..., K).

    Silent from t_x to T: out before buying again, whenever that is, or alive at T and to buy again::

        L = E[lambda^x (mu / (lambda + mu) e^-(lambda + mu) t_x + lambda / (lambda + mu) e^-(lambda + mu) T)]

    Each part is worked out once for each distinct (x, t_x) or (x, T) where it can be. Before time has passed
    nothing is known of a customer, and L = 1.
    """
    x, t_x, T = patterns.frequency, patterns.recency, patterns.T
    each = [parameters[name] for name in NAMES]

    def left(time: Any, x: Any, *each: Any) -> Any:
        return log_integral(LogNormalRates(*each), x, time, time, LEAVES_FIRST, ops, rule=FAST)

    def stayed(time: Any, x: Any, *each: Any) -> Any:
        return log_integral(LogNormalRates(*each), x, time, time, BUYS_FIRST, ops, rule=FAST)

    left_at_once = x.map(lambda x, *each: log_chance_to_leave_first(_against(x, each), ops), *each)
    left_later = ops.where(x.rows > 0, map_pairs(left, t_x, x, *each), left_at_once)
    rows = ops.logaddexp(map_pairs(stayed, T, x, *each), left_later)
    return ops.where(T.rows > 0, rows, 0.0)


def _against(x: Any, each: tuple[Any, ...]) -> LogNormalRates:
    """The parameters in the shape in which they broadcast against a column."""
    return LogNormalRates(*(parameter + 0.0 * x for parameter in each))


def p_alive(parameters: Draws, frequency: FloatArray, recency: FloatArray, T: FloatArray) -> FloatArray:
    """P(alive at T | x, t_x, T), in eq. 5 of [1]_. Shape (S, 1) with (K,) gives (S, K).

    The odds of having left between t_x and T are (left(t_x) - left(T)) / E[lambda^x e^-(lambda + mu) T], with
    left(y) as in the likelihood, and left(y) + stayed(y) = E[lambda^x e^-(lambda + mu) y].
    """
    x, t_x, T = (np.asarray(column, dtype=np.float64) for column in (frequency, recency, T))
    at_once = log_chance_to_leave_first(_against(x, tuple(parameters[name] for name in NAMES)), NUMPY_OPS)
    first = np.where(t_x > 0, _log_mean(parameters, x, t_x, t_x, LEAVES_FIRST, rule=FAST), at_once)
    later = np.where((x > 0) | (T > 0), _log_mean(parameters, x, T, T, LEAVES_FIRST, rule=FAST), at_once)
    stayed = np.logaddexp(later, _log_mean(parameters, x, T, T, BUYS_FIRST, rule=FAST))
    with np.errstate(divide="ignore"):
        # left(t_x) is above left(T) but for rounding, where t_x is next to T
        log_odds = np.log(np.maximum(-np.expm1(later - first), 0.0)) + first - stayed
    return np.asarray(special.expit(-log_odds))


def _log_mean(
    parameters: Draws, x: Any, buying: Any, living: Any, factor: Factor = ONE, *, w: Any = 0.0, rule: Rule = FINE
) -> FloatArray:
    """log E[lambda^x exp(-lambda t - mu t') factor(lambda, mu, w)] over all customers, on NumPy."""
    rates = LogNormalRates(*(np.asarray(parameters[name], dtype=np.float64) for name in NAMES))
    x, buying, living, w = (np.asarray(column, dtype=np.float64) for column in (x, buying, living, w))
    return np.asarray(log_integral(rates, x, buying, living, factor, NUMPY_OPS, w=w, rule=rule))


def survival_if_alive(parameters: Draws, frequency: FloatArray, T: FloatArray, horizon: Any) -> FloatArray:
    """P(alive at T + t | x, alive at T) = E[e^(-mu t) | x, alive at T]; both rates are learnt from x, if correlated."""
    later = _log_mean(parameters, frequency, T, T + horizon)
    return np.asarray(np.exp(later - _log_mean(parameters, frequency, T, T)))


def purchases_if_alive(parameters: Draws, frequency: FloatArray, T: FloatArray, horizon: Any) -> FloatArray:
    """E[purchases in (T, T + t] | x, alive at T] = E[lambda (1 - e^(-mu t)) / mu | x, alive at T]; in eq. 6 of [1]_."""
    x = np.asarray(frequency, dtype=np.float64)
    rate_and_time = _log_mean(parameters, x + 1, T, T, TIME_ALIVE, w=horizon)
    return np.asarray(horizon * np.exp(rate_and_time - _log_mean(parameters, x, T, T)))


def pmf_if_alive(
    parameters: Draws, frequency: FloatArray, T: FloatArray, purchases: IntArray, horizon: Any
) -> FloatArray:
    """P(X(T, T + t) = k | x, alive at T): k purchases and alive at the end, or k purchases up to the drop-out.

    E[(lambda t)^k / k! e^-(lambda + mu) t + int_0^t (lambda y)^k / k! e^-(lambda + mu) y mu dy | x, alive at T]; at
    k = 0 the integral is mu / (lambda + mu) (1 - e^-(lambda + mu) t), and the two parts are those of the likelihood.
    """
    columns = np.broadcast_arrays(frequency, T, purchases, horizon, *(parameters[name] for name in NAMES))
    x, T, k, t, *each = (np.array(column, dtype=np.float64, order="C") for column in columns)
    chance, none = np.empty(x.shape), k == 0
    for where, pmf in ((none, _no_purchase), (~none, _some_purchases)):
        at = {name: column[where] for name, column in zip(NAMES, each, strict=True)}
        log_alive = _log_mean(at, x[where], T[where], T[where])
        chance[where] = pmf(at, x[where], T[where], k[where], t[where], log_alive)
    return chance


def _no_purchase(parameters: Draws, x: FloatArray, T: FloatArray, _k: Any, t: FloatArray, alive: FloatArray) -> Any:
    """P(X(T, T + t) = 0 | x, alive at T): out before buying again, whenever that is, or to buy again after T + t."""
    left = _log_mean(parameters, x, T, T, LEAVES_FIRST)
    rates = LogNormalRates(*(parameters[name] for name in NAMES))
    left = np.where((x > 0) | (T > 0), left, log_chance_to_leave_first(rates, NUMPY_OPS))
    return np.exp(np.logaddexp(left, _log_mean(parameters, x, T + t, T + t, BUYS_FIRST)) - alive)


def _some_purchases(
    parameters: Draws, x: FloatArray, T: FloatArray, k: FloatArray, t: FloatArray, log_alive: FloatArray
) -> FloatArray:
    """P(X(T, T + t) = k | x, alive at T), k above 0; all arguments of one shape.

    In z = log y, y the time of drop-out, the integrand is log-concave: it is taken where it is above e^-30 of its top.
    """
    each = [parameters[name] for name in NAMES]
    counted = special.gammaln(k + 1) + log_alive

    def log_density(z: FloatArray, x: Any, T: Any, k: Any, counted: Any, *each: Any, rule: Rule = FAST) -> FloatArray:
        then = T + np.exp(z)
        left = _log_mean(dict(zip(NAMES, each, strict=True)), x + k, then, then, LEAVES_NOW, rule=rule)
        return np.asarray(left + (k + 1) * z - counted)

    known = (x, T, k, counted, *each)
    end = np.log(np.maximum(t, 1e-300))
    first, last = unspent(
        lambda z: log_density(z, *(column[..., None] for column in known), rule=ROUGH),
        end - LONGEST_AGO,
        end,
        spent=30.0,
    )
    left = integral_from_zero(
        lambda y, first, *known: np.exp(log_density(first + y, *known)), last - first, first, *known, nodes=PMF_NODES
    )
    stayed = np.exp(_log_mean(parameters, x + k, T + t, T + t) + k * end - counted)
    return np.asarray(stayed + left)


def dert_if_alive(parameters: Draws, frequency: FloatArray, T: FloatArray, discount: float) -> FloatArray:
    """DERT of a customer who is alive at T, E[lambda / (mu + d) | x, alive at T]; finite at d = 0, infinite below."""
    x = np.asarray(frequency, dtype=np.float64)
    alive = _log_mean(parameters, x, T, T)
    if discount < 0:
        return np.full(alive.shape, np.inf)
    return np.asarray(np.exp(_log_mean(parameters, x + 1, T, T, LIFETIME, w=discount) - alive))


def simulate(rng: np.random.Generator, parameters: Draws, end: FloatArray) -> tuple[IntArray, FloatArray]:
    """Repeat purchases of customers seen from 0 to `end`, told as the story goes.

    Parameters
    ----------
    parameters : floats, or each customer's own, shape (N,)
    end : ndarray, shape (N,), length of observation of each customer, units of time

    Returns
    -------
    customer, time : ndarrays, shape (E,), the position of the buyer and the time of each purchase
    """
    lam, mu = drawn_rates(rng, parameters, len(end))
    with np.errstate(divide="ignore"):  # a rate that underflows to 0 never drops out
        lifetime = rng.exponential(1.0, len(end)) / mu
    return nbd.poisson_purchases(rng, lam, np.minimum(end, lifetime))


def drawn_rates(rng: np.random.Generator, parameters: Draws, size: int) -> tuple[FloatArray, FloatArray]:
    """Purchase rate and drop-out rate of `size` customers, each shape (size,)."""
    lam, mu, sigma_lam, sigma_mu, rho = (parameters[name] for name in NAMES)
    first, second = rng.normal(size=(2, size))
    return lam * np.exp(sigma_lam * first), mu * np.exp(sigma_mu * (rho * first + np.sqrt(1 - rho**2) * second))


FORMULAS = AliveOrGone(p_alive, survival_if_alive, purchases_if_alive, pmf_if_alive, dert_if_alive)
PARETO_NBD_ABE = Model(
    name="pareto_nbd_abe",
    family="purchases",
    parameters=(
        Parameter("lam", "rate", prior_median=1.0, prior_sd=1.5, covariates=1),
        Parameter("mu", "rate", prior_median=0.5, prior_sd=1.5, covariates=1),
        Parameter("sigma_lam", "number", prior_median=1.2, prior_sd=0.7),
        Parameter("sigma_mu", "number", prior_median=1.5, prior_sd=0.7),
        Parameter("rho", "number", prior_median=0.0, prior_sd=1.5, support="correlation"),
    ),
    log_likelihood=log_likelihood,
    formulas=FORMULAS.formulas,
    simulate=simulate,
    kernel="pareto_nbd_abe",
    methods=("mle", "laplace"),  # the graph of the integrals takes longer to compile than any fit
    reference="Abe (2009), doi 10.1287/mksc.1090.0502",
)
