"""MBG/NBD: the BG/NBD in which a customer may also drop out right after the first purchase.

The story. While alive, a customer buys at rate lambda ~ Gamma(r, alpha). After each purchase, the first
one at time 0 too, the customer drops out with probability p ~ Beta(a, b), independent of lambda.
x = frequency, t_x = recency, T = age. So customers without a repeat purchase are not surely alive.

A customer who is alive at T has passed x + 1 chances to drop out, where the BG/NBD counts x: from there
on the two models are the same, with b + 1 in place of b.

References
----------
.. [1] Batislam, Denizel and Filiztekin (2007), Empirical validation and comparison of models for customer
   base analysis, International Journal of Research in Marketing 24(3), doi 10.1016/j.ijresmar.2006.12.005.
.. [2] Hoppe and Wagner (2007), Customer Base Analysis: The Case for a Central Variant of the Betageometric/NBD
   Model, Marketing - Journal of Research and Management 3(2).
"""

from typing import Any

import numpy as np
from scipy import special

from clvmodels.foundation.model import Draws, Model
from clvmodels.foundation.ops import Ops
from clvmodels.foundation.patterns import FloatArray, IntArray, PurchasePatterns
from clvmodels.models import bg_nbd


def log_likelihood(parameters: Draws, patterns: PurchasePatterns, ops: Ops) -> Any:
    """Log likelihood of each pattern, [1]_, shape (..., K).

    L = A1 A2 (A3 + A4), with A3 taken out of the bracket, so that 1 + A4 / A3 is left::

        A1 = Gamma(r + x) alpha^r / Gamma(r)    A2 = B(a, b + x + 1) / B(a, b)
        A3 = (alpha + T)^-(r + x)               A4 = a / (b + x) (alpha + t_x)^-(r + x)
    """
    r, alpha, a, b = (parameters[name] for name in ("r", "alpha", "a", "b"))
    x, t_x, T = patterns.frequency, patterns.recency, patterns.T
    log_age = T.map(lambda T, alpha: ops.log(alpha + T), alpha)
    log_last = t_x.map(lambda t_x, alpha: ops.log(alpha + t_x), alpha)
    return (
        x.map(lambda x, r: ops.gammaln(r + x) - ops.gammaln(r), r)  # A1 but alpha^r
        + x.map(lambda x, a, b: ops.betaln(a, b + x + 1) - ops.betaln(a, b), a, b)  # A2
        - T.map(lambda T, r, alpha: r * ops.log1p(T / alpha), r, alpha)  # alpha^r (alpha + T)^-r
        - x.rows * log_age
        + ops.softplus(
            x.map(lambda x, a, b: ops.log(a) - ops.log(b + x), a, b)
            + x.map(lambda x, r: r + x, r) * (log_age - log_last)
        )
    )


def p_alive(parameters: Draws, frequency: FloatArray, recency: FloatArray, T: FloatArray) -> FloatArray:
    """P(alive at T | x, t_x, T) = A3 / (A3 + A4), below 1 also at x = 0. Shape (S, 1) with (K,) gives (S, K)."""
    r, alpha, a, b = (parameters[name] for name in ("r", "alpha", "a", "b"))
    x = np.asarray(frequency, dtype=np.float64)
    silence = np.log1p((T - recency) / (alpha + recency))  # log((alpha + T) / (alpha + t_x))
    return np.asarray(special.expit(np.log((b + x) / a) - (r + x) * silence))


def expected_purchases(
    parameters: Draws, frequency: FloatArray, recency: FloatArray, T: FloatArray, horizon: Any
) -> FloatArray:
    """E[purchases in (T, T + t] | x, t_x, T], as an integral over the drop-out chance p; see `bg_nbd`."""
    return p_alive(parameters, frequency, recency, T) * purchases_if_alive(parameters, frequency, T, horizon)


def purchases_if_alive(parameters: Draws, frequency: FloatArray, T: FloatArray, horizon: Any) -> FloatArray:
    """E[purchases in (T, T + t] | x, alive at T]; recency does not enter."""
    return bg_nbd.purchases_if_alive(_alive_at_first(parameters), frequency, T, horizon)


def _alive_at_first(parameters: Draws) -> dict[str, Any]:
    """Parameters of the BG/NBD that a customer who did not leave at time 0 follows."""
    return {**parameters, "b": parameters["b"] + 1}


def expected_purchases_new(parameters: Draws, horizon: Any) -> FloatArray:
    """E[purchases in (0, t]] of a new customer: the first purchase is not counted."""
    none = np.zeros(np.shape(horizon))
    return expected_purchases(parameters, none, none, none, horizon)


def purchase_pmf(parameters: Draws, purchases: IntArray, horizon: Any) -> FloatArray:
    """P(X(t) = k) of a new customer, who may have left at time 0."""
    none = np.zeros(np.shape(purchases))
    return conditional_purchase_pmf(parameters, none, none, none, purchases, horizon)


def conditional_purchase_pmf(
    parameters: Draws, frequency: FloatArray, recency: FloatArray, T: FloatArray, purchases: IntArray, horizon: Any
) -> FloatArray:
    """P(X(T, T + t) = k | x, t_x, T), all arguments broadcast."""
    alive = p_alive(parameters, frequency, recency, T)
    if_alive = bg_nbd.pmf_if_alive(_alive_at_first(parameters), frequency, T, purchases, horizon)
    return alive * if_alive + np.where(np.asarray(purchases) == 0, 1 - alive, 0.0)


def dert(parameters: Draws, frequency: FloatArray, recency: FloatArray, T: FloatArray, discount: float) -> FloatArray:
    """Discounted expected residual transactions, int_0^inf exp(-d t) dCE(t); infinite as in `bg_nbd`.

    At d = 0 it is finite where a > 1; below 0 it is infinite.
    """
    alive = p_alive(parameters, frequency, recency, T)
    return alive * bg_nbd.dert_if_alive(_alive_at_first(parameters), frequency, T, discount)


def simulate(rng: np.random.Generator, parameters: Draws, end: FloatArray) -> tuple[IntArray, FloatArray]:
    """Repeat purchases of customers seen from 0 to `end`, told as the story goes.

    Parameters
    ----------
    end : ndarray, shape (N,), length of observation of each customer, units of time

    Returns
    -------
    customer, time : ndarrays, shape (E,), the position of the buyer and the time of each purchase
    """
    rate = rng.gamma(parameters["r"], 1 / parameters["alpha"], len(end))
    drop_out = rng.beta(parameters["a"], parameters["b"], len(end))
    stayed = np.flatnonzero(rng.random(len(end)) >= drop_out)
    return bg_nbd.purchases_until_drop_out(rng, rate, drop_out, end, stayed)


MBG_NBD = Model(
    name="mbg_nbd",
    family="purchases",
    parameters=bg_nbd.BG_NBD.parameters,
    log_likelihood=log_likelihood,
    quantities=("p_alive", "expected_purchases", "purchases"),
    formulas={
        "p_alive": p_alive,
        "expected_purchases": expected_purchases,
        "purchases_if_alive": purchases_if_alive,
        "expected_purchases_new": expected_purchases_new,
        "purchase_pmf": purchase_pmf,
        "conditional_purchase_pmf": conditional_purchase_pmf,
        "dert": dert,
    },
    simulate=simulate,
    kernel="mbg_nbd",
    limits=bg_nbd.BG_NBD.limits,
    reference="Batislam, Denizel and Filiztekin (2007), doi 10.1016/j.ijresmar.2006.12.005",
)
