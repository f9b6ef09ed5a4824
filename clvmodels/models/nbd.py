"""NBD: purchases at a rate that varies over customers, and nobody ever drops out. The benchmark.

The story. A customer buys at rate lambda ~ Gamma(r, alpha), for ever. The first purchase is time 0.
x = frequency, t_x = recency, T = age; recency says nothing here. The other models of purchases add
drop-out to this one, and use its formulas for the time while a customer is alive.

References
----------
.. [1] Ehrenberg (1959), The Pattern of Consumer Purchases, Applied Statistics 8(1), doi 10.2307/2985810.
.. [2] Schmittlein, Morrison and Colombo (1987), Counting Your Customers: Who Are They and What Will
   They Do Next?, Management Science 33(1), doi 10.1287/mnsc.33.1.1.
"""

from typing import Any

import numpy as np
from scipy import special

from clvmodels.foundation.model import Draws, Model, Parameter
from clvmodels.foundation.ops import Ops
from clvmodels.foundation.patterns import FloatArray, IntArray, PurchasePatterns
from clvmodels.models.alive import AliveOrGone


def log_likelihood(parameters: Draws, patterns: PurchasePatterns, ops: Ops) -> Any:
    """Log likelihood of each pattern, shape (..., K): the density of purchases at their x times.

    L = Gamma(r + x) / Gamma(r) (alpha / (alpha + T))^r (alpha + T)^-x. So it compares with the likelihoods
    of BG/NBD and Pareto/NBD, which it is the limit of; the chance of a count has T^x / x! besides.
    """
    r, alpha = parameters["r"], parameters["alpha"]
    x, T = patterns.frequency, patterns.T
    return (
        x.map(lambda x, r: ops.gammaln(r + x) - ops.gammaln(r), r)
        - T.map(lambda T, r, alpha: r * ops.log1p(T / alpha), r, alpha)
        - x.rows * T.map(lambda T, alpha: ops.log(alpha + T), alpha)
    )


def p_alive(parameters: Draws, frequency: FloatArray, recency: FloatArray, T: FloatArray) -> FloatArray:
    """P(alive at T) = 1. Shape (S, 1) with (K,) gives (S, K)."""
    return np.ones(np.broadcast_shapes(*map(np.shape, (parameters["r"], frequency, recency, T))))


def survival_if_alive(parameters: Draws, frequency: FloatArray, T: FloatArray, horizon: Any) -> FloatArray:
    """P(alive at T + t) = 1."""
    return np.ones(np.broadcast_shapes(*map(np.shape, (parameters["r"], frequency, T, horizon))))


def purchases_if_alive(parameters: Draws, frequency: FloatArray, T: FloatArray, horizon: Any) -> FloatArray:
    """E[purchases in (T, T + t] | x, T] = (r + x) t / (alpha + T)."""
    return np.asarray((parameters["r"] + frequency) / (parameters["alpha"] + T) * horizon)


def purchase_pmf(parameters: Draws, purchases: IntArray, horizon: Any) -> FloatArray:
    """P(X(t) = k) of a new customer: negative binomial."""
    r, alpha = parameters["r"], parameters["alpha"]
    k = np.asarray(purchases, dtype=np.float64)
    counted = special.gammaln(r + k) - special.gammaln(r) - special.gammaln(k + 1)
    return np.asarray(np.exp(counted - r * np.log1p(horizon / alpha) + special.xlogy(k, horizon / (alpha + horizon))))


def chance_of_at_least(parameters: Draws, purchases: IntArray | FloatArray, horizon: Any) -> FloatArray:
    """P(X(t) >= k) of a new customer: a regularised incomplete beta, with 1 at k = 0."""
    k = np.asarray(purchases, dtype=np.float64)
    reached = special.betainc(np.maximum(k, 1.0), parameters["r"], horizon / (parameters["alpha"] + horizon))
    return np.where(k > 0, reached, 1.0)


def pmf_if_alive(
    parameters: Draws, frequency: FloatArray, T: FloatArray, purchases: IntArray, horizon: Any
) -> FloatArray:
    """P(X(T, T + t) = k | x, T): that of a new customer of rate Gamma(r + x, alpha + T)."""
    return purchase_pmf(after(parameters, frequency, T), purchases, horizon)


def after(parameters: Draws, frequency: FloatArray, T: FloatArray) -> dict[str, Any]:
    """The distribution of the rate after x purchases while alive up to T: Gamma(r + x, alpha + T)."""
    return {"r": parameters["r"] + frequency, "alpha": parameters["alpha"] + T}


def dert_if_alive(parameters: Draws, frequency: FloatArray, T: FloatArray, discount: float) -> FloatArray:
    """DERT, (r + x) / (alpha + T) / d; infinite at d <= 0."""
    each = purchases_if_alive(parameters, frequency, T, 1.0)
    return each / discount if discount > 0 else np.full(each.shape, np.inf)


def simulate(rng: np.random.Generator, parameters: Draws, end: FloatArray) -> tuple[IntArray, FloatArray]:
    """Repeat purchases of customers seen from 0 to `end`, told as the story goes."""
    rate = rng.gamma(parameters["r"], 1 / parameters["alpha"], len(end))
    return poisson_purchases(rng, rate, end)


def poisson_purchases(rng: np.random.Generator, rate: FloatArray, end: FloatArray) -> tuple[IntArray, FloatArray]:
    """Purchases at a steady rate from 0 to `end`: Poisson many, each at any time alike."""
    buyer = np.repeat(np.arange(len(end)), rng.poisson(rate * end))
    return buyer, rng.uniform(0.0, end[buyer])


FORMULAS = AliveOrGone(p_alive, survival_if_alive, purchases_if_alive, pmf_if_alive, dert_if_alive)
NBD = Model(
    name="nbd",
    family="purchases",
    parameters=(
        Parameter("r", "number", prior_median=1.0, prior_sd=1.5),
        Parameter("alpha", "time", prior_median=1.0, prior_sd=1.5, covariates=-1),
    ),
    log_likelihood=log_likelihood,
    formulas=FORMULAS.formulas,
    simulate=simulate,
    kernel="nbd",
    reference="Ehrenberg (1959), doi 10.2307/2985810",
)
