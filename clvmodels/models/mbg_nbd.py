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
from clvmodels.models.alive import AliveOrGone


def log_likelihood(parameters: Draws, patterns: PurchasePatterns, ops: Ops) -> Any:
    """Log likelihood of each pattern, [1]_, shape (..., K).

    L = A1 A2 (A3 + A4), with A3 taken out of the bracket, so that 1 + A4 / A3 is left::

        A1 = Gamma(r + x) alpha^r / Gamma(r)    A2 = B(a, b + x + 1) / B(a, b)
        A3 = (alpha + T)^-(r + x)               A4 = a / (b + x) (alpha + t_x)^-(r + x)
    """
    return bg_nbd.alive_or_left(parameters, patterns, ops, log_stayed, log_odds_of_leaving)


def log_stayed(a: Any, b: Any, x: FloatArray, ops: Ops) -> Any:
    """log A2: staying after the first purchase and x more."""
    return ops.betaln(a, b + x + 1) - ops.betaln(a, b)


def log_odds_of_leaving(a: Any, b: Any, x: FloatArray, ops: Ops) -> Any:
    """log(a / (b + x)): odds of leaving right after the last purchase against staying."""
    return ops.log(a) - ops.log(b + x)


def p_alive(parameters: Draws, frequency: FloatArray, recency: FloatArray, T: FloatArray) -> FloatArray:
    """P(alive at T | x, t_x, T) = A3 / (A3 + A4), below 1 also at x = 0. Shape (S, 1) with (K,) gives (S, K)."""
    r, alpha, a, b = (parameters[name] for name in ("r", "alpha", "a", "b"))
    x = np.asarray(frequency, dtype=np.float64)
    silence = np.log1p((T - recency) / (alpha + recency))  # log((alpha + T) / (alpha + t_x))
    return np.asarray(special.expit(np.log((b + x) / a) - (r + x) * silence))


def alive_at_first(parameters: Draws) -> dict[str, Any]:
    """Parameters of the BG/NBD that a customer who did not leave at time 0 follows."""
    return {**parameters, "b": parameters["b"] + 1}


def survival_if_alive(parameters: Draws, frequency: FloatArray, T: FloatArray, horizon: Any) -> FloatArray:
    """P(alive at T + t | x, alive at T)."""
    return bg_nbd.survival_if_alive(alive_at_first(parameters), frequency, T, horizon)


def purchases_if_alive(parameters: Draws, frequency: FloatArray, T: FloatArray, horizon: Any) -> FloatArray:
    """E[purchases in (T, T + t] | x, alive at T]; recency does not enter."""
    return bg_nbd.purchases_if_alive(alive_at_first(parameters), frequency, T, horizon)


def pmf_if_alive(
    parameters: Draws, frequency: FloatArray, T: FloatArray, purchases: IntArray, horizon: Any
) -> FloatArray:
    """P(X(T, T + t) = k | x, alive at T)."""
    return bg_nbd.pmf_if_alive(alive_at_first(parameters), frequency, T, purchases, horizon)


def dert_if_alive(parameters: Draws, frequency: FloatArray, T: FloatArray, discount: float) -> FloatArray:
    """DERT of a customer who is alive at T. At d = 0 it is finite where a > 1; below 0 it is infinite."""
    return bg_nbd.dert_if_alive(alive_at_first(parameters), frequency, T, discount)


def curve_if_alive(parameters: Draws, frequency: FloatArray, T: FloatArray, times: FloatArray) -> FloatArray:
    """E[purchases in (T, T + t] | x, alive at T] at each time t, shape (times, S, K)."""
    return bg_nbd.curve_if_alive(alive_at_first(parameters), frequency, T, times)


def simulate(rng: np.random.Generator, parameters: Draws, end: FloatArray) -> tuple[IntArray, FloatArray]:
    """Repeat purchases of customers seen from 0 to `end`, told as the story goes."""
    rate = rng.gamma(parameters["r"], 1 / parameters["alpha"], len(end))
    drop_out = rng.beta(parameters["a"], parameters["b"], len(end))
    stayed = np.flatnonzero(rng.random(len(end)) >= drop_out)
    return bg_nbd.purchases_until_drop_out(rng, rate, drop_out, end, stayed)


FORMULAS = AliveOrGone(p_alive, survival_if_alive, purchases_if_alive, pmf_if_alive, dert_if_alive, curve_if_alive)
MBG_NBD = Model(
    name="mbg_nbd",
    family="purchases",
    parameters=bg_nbd.BG_NBD.parameters,
    log_likelihood=log_likelihood,
    formulas=FORMULAS.formulas,
    simulate=simulate,
    kernel="mbg_nbd",
    limits=bg_nbd.BG_NBD.limits,
    reference="Batislam, Denizel and Filiztekin (2007), doi 10.1016/j.ijresmar.2006.12.005",
)
