"""BG/CNBD-k: the BG/NBD with regular timing, times between purchases Erlang-k in place of exponential.

The story. While alive, a customer passes stages at rate lambda ~ Gamma(r, alpha), and each k-th stage is a
purchase: at k = 1 this is the BG/NBD, and the larger k, the more regular is the timing. After each repeat
purchase the customer drops out with probability p ~ Beta(a, b), independent of lambda. x = frequency,
t_x = recency, T = age. k is the same whole number for all, and chosen by the data.

Recency says also how long the customer has been silent, and so how far the next purchase is: it matters even
if the customer is alive. `stages` has what a customer who is alive does.

References
----------
.. [1] Reutterer, Platzer and Schröder (2021), Leveraging purchase regularity for predicting customer behavior
   the easy way, International Journal of Research in Marketing 38(1), doi 10.1016/j.ijresmar.2020.09.002.
.. [2] Platzer (2008), Stochastic models of noncontractual consumer relationships, master thesis, Vienna
   University of Economics and Business Administration.
"""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from scipy import special

from clvmodels.foundation.model import Draws, Formula, Model, Parameter
from clvmodels.foundation.ops import NUMPY_OPS, Ops
from clvmodels.foundation.patterns import FloatArray, IntArray, PurchasePatterns, Varying, at_rows
from clvmodels.models import bg_nbd, stages
from clvmodels.models.alive import AliveOrGone


def log_likelihood(parameters: Draws, patterns: PurchasePatterns, ops: Ops) -> Any:
    """Log likelihood of each pattern, eq. 7 of [1]_ with its constant, shape (..., K)."""
    return alive_or_left(parameters, patterns, ops, bg_nbd.log_stayed, bg_nbd.log_odds_of_leaving)


def alive_or_left(
    parameters: Draws, patterns: PurchasePatterns, ops: Ops, log_stayed: Formula, log_odds: Formula
) -> Any:
    """Log likelihood of a model in which customers buy at each k-th stage and leave right after a purchase.

    L = A1 A2 (A3 + A4), with n = r + k x, A3 taken out of the bracket, and times in units of alpha::

        A1 = Gamma(n) alpha^r / Gamma(r) times the product over purchases of interval^(k - 1) / Gamma(k)
        A3 = (alpha + T)^-n sum over j < k of (n)_j / j! ((T - t_x) / (alpha + T))^j    less than k stages since t_x
        A2 and A4 = odds (alpha + t_x)^-n    as in the BG/NBD

    Parameters
    ----------
    log_stayed, log_odds : as in `bg_nbd.alive_or_left`
    """
    r, alpha, a, b, k = (parameters[name] for name in ("r", "alpha", "a", "b", "k"))
    x, t_x, T = patterns.frequency, patterns.recency, patterns.T
    shape = x.map(lambda x, r, k: r + k * x, r, k)
    log_age = T.map(lambda T, alpha: ops.log1p(T / alpha), alpha)
    log_last = t_x.map(lambda t_x, alpha: ops.log1p(t_x / alpha), alpha)

    def log_of_frequency(x: FloatArray, r: Any, alpha: Any, a: Any, b: Any, k: Any) -> Any:
        stages = ops.gammaln(r + k * x) - ops.gammaln(r) - k * x * ops.log(alpha) - x * ops.gammaln(k)
        return stages + log_stayed(a, b, x, ops)

    odds = x.map(lambda x, a, b: log_odds(a, b, x, ops), a, b)
    of_frequency = x.map(log_of_frequency, r, alpha, a, b, k)
    of_intervals = (at_rows(k) - 1) * x.rows * patterns.log_interval
    silent = log_silent(shape, -ops.expm1(log_last - log_age), k, ops)
    left = ops.softplus(odds + shape * (log_age - log_last) - silent)
    return of_frequency + of_intervals - shape * log_age + silent + left


def log_silent(n: Any, u: Any, k: Any, ops: Ops) -> Any:
    """log of the sum over j < k of (n)_j / j! u^j, shape (..., K); all terms are positive."""
    total: Any = 1.0
    if isinstance(k, int | float):
        for j in range(int(k) - 1, 0, -1):
            total = 1 + total * u * ((n + j - 1) / j)
        return ops.log(total)
    most = int((k.values if isinstance(k, Varying) else k).max())
    for j in range(most - 1, 0, -1):
        total = ops.where(j < at_rows(k), 1 + total * u * ((n + j - 1) / j), total)
    return ops.log(total)


@dataclass(frozen=True)
class RegularTiming:
    """Formulas of a model in which customers buy at each k-th stage and leave right after a purchase.

    Attributes
    ----------
    log_odds : as in `bg_nbd.alive_or_left`
    at_first : chances to drop out at the first purchase, 0 or 1
    """

    log_odds: Formula
    at_first: int

    def p_alive(self, parameters: Draws, frequency: FloatArray, recency: FloatArray, T: FloatArray) -> FloatArray:
        """P(alive at T | x, t_x, T) = A3 / (A3 + A4). Shape (S, 1) with (K,) gives (S, K)."""
        alpha, a, b, k = (parameters[name] for name in ("alpha", "a", "b", "k"))
        x = np.asarray(frequency, dtype=np.float64)
        n, u = _past(parameters, x, recency, T)
        silence = np.log1p((T - recency) / (alpha + recency))  # log((alpha + T) / (alpha + t_x))
        with np.errstate(divide="ignore"):  # log 0 = -inf at x = 0: surely alive
            odds = self.log_odds(a, b, x, NUMPY_OPS)
        return np.asarray(special.expit(log_silent(n, u, k, NUMPY_OPS) - odds - n * silence))

    def survival_if_alive(
        self, parameters: Draws, frequency: FloatArray, recency: FloatArray, T: FloatArray, horizon: Any
    ) -> FloatArray:
        """P(alive at T + t | x, t_x, alive at T)."""
        who, k, scale = self._alive(parameters, frequency, recency, T)
        return stages.by_count(stages.survival, k, who, horizon / scale)

    def purchases_if_alive(
        self, parameters: Draws, frequency: FloatArray, recency: FloatArray, T: FloatArray, horizon: Any
    ) -> FloatArray:
        """E[purchases in (T, T + t] | x, t_x, alive at T]."""
        who, k, scale = self._alive(parameters, frequency, recency, T)
        return stages.by_count(stages.expected_purchases, k, who, horizon / scale)

    def pmf_if_alive(
        self,
        parameters: Draws,
        frequency: FloatArray,
        recency: FloatArray,
        T: FloatArray,
        purchases: IntArray,
        horizon: Any,
    ) -> FloatArray:
        """P(X(T, T + t) = i | x, t_x, alive at T)."""
        who, k, scale = self._alive(parameters, frequency, recency, T)
        i = np.asarray(purchases, dtype=np.float64)
        return stages.by_count(stages.purchase_pmf, k, who, i, horizon / scale)

    def dert_if_alive(
        self, parameters: Draws, frequency: FloatArray, recency: FloatArray, T: FloatArray, discount: float
    ) -> FloatArray:
        """DERT of a customer who is alive at T. At d = 0 it is finite where a > 1; below 0 it is infinite."""
        who, k, scale = self._alive(parameters, frequency, recency, T)
        if discount > 0:
            return stages.by_count(stages.dert, k, who, discount * scale, block=stages.DISCOUNTED)
        shape = np.broadcast_shapes(*map(np.shape, (who.n, who.u, who.b)))
        # E[1 / p] purchases until drop-out
        last = np.where(who.a > 1, (who.a + who.b - 1) / np.where(who.a > 1, who.a - 1, 1.0), np.inf)
        return np.broadcast_to(last if discount == 0 else np.inf, shape).copy()

    def _alive(
        self, parameters: Draws, frequency: FloatArray, recency: FloatArray, T: FloatArray
    ) -> tuple[stages.Alive, Any, Any]:
        """Customers as `stages` takes them, with k and alpha + T."""
        x = np.asarray(frequency, dtype=np.float64)
        n, u = _past(parameters, x, recency, T)
        b = parameters["b"] + x + self.at_first
        return stages.Alive(n, u, parameters["a"], b), parameters["k"], parameters["alpha"] + T

    @property
    def formulas(self) -> dict[str, Formula]:
        """What a `Model` of purchases offers, by name."""
        return AliveOrGone(
            self.p_alive,
            self.survival_if_alive,
            self.purchases_if_alive,
            self.pmf_if_alive,
            self.dert_if_alive,
            reads_recency=True,
        ).formulas


def _past(parameters: Draws, x: FloatArray, recency: FloatArray, T: FloatArray) -> tuple[Any, Any]:
    """n = r + k x, and u = (T - t_x) / (alpha + T)."""
    return parameters["r"] + parameters["k"] * x, (T - recency) / (parameters["alpha"] + T)


def simulate(rng: np.random.Generator, parameters: Draws, end: FloatArray) -> tuple[IntArray, FloatArray]:
    """Repeat purchases of customers seen from 0 to `end`, told as the story goes."""
    rate = rng.gamma(parameters["r"], 1 / parameters["alpha"], len(end))
    drop_out = rng.beta(parameters["a"], parameters["b"], len(end))
    stages = np.broadcast_to(parameters["k"], len(end))
    return bg_nbd.purchases_until_drop_out(rng, rate, drop_out, end, np.arange(len(end)), stages=stages)


FORMULAS = RegularTiming(bg_nbd.log_odds_of_leaving, at_first=0)
PARAMETERS = (
    bg_nbd.BG_NBD.parameters[0],
    replace(bg_nbd.BG_NBD.parameters[1], prior_median=0.3),  # of a stage: purchases are k times as far apart
    *bg_nbd.BG_NBD.parameters[2:],
    Parameter("k", "number", support="whole", values=tuple(range(1, 13))),
)
BG_CNBD_K = Model(
    name="bg_cnbd_k",
    family="purchases",
    parameters=PARAMETERS,
    log_likelihood=log_likelihood,
    reads=("log_interval",),
    formulas=FORMULAS.formulas,
    simulate=simulate,
    kernel="bg_cnbd_k",
    limits={
        "nbd": lambda nbd: {**nbd, "a": 1e-9, "b": 1.0, "k": 1},
        "bg_nbd": lambda bg_nbd: {**bg_nbd, "k": 1},
    },
    reference="Reutterer, Platzer and Schröder (2021), doi 10.1016/j.ijresmar.2020.09.002",
)
