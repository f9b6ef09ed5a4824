"""BG/BB of customers of whom it is known how many opportunities they took, and not which.

The story is that of `bg_bb`. The number x of n opportunities is known alone: its chance is the sum of BG/BB's
likelihood over all histories of x purchases, which [1]_ has in closed form.

It is not in MODELS: nothing is known of when customers were last seen, so that few of the formulas of a purchase model
have a meaning. `inference.fit_counts` fits it.

References
----------
.. [1] Fader, Hardie and Shang (2010), doi 10.1287/mksc.1100.0580, eq. 7.
"""

from dataclasses import replace
from typing import Any

import numpy as np

from clvmodels.foundation.model import Draws
from clvmodels.foundation.ops import NUMPY_OPS, Ops
from clvmodels.foundation.patterns import FloatArray, PurchasePatterns, at_rows
from clvmodels.models.bg_bb import BG_BB

NAMES = BG_BB.parameter_names


def log_likelihood(parameters: Draws, patterns: PurchasePatterns, ops: Ops) -> Any:
    """Log chance of x purchases at n opportunities, eq. 7 of [1]_, shape (..., K); recency is not read.

    P(X = x) = b(x, n) B(gamma, delta + n) / B(gamma, delta)
               + sum over i from x to n - 1 of b(x, i) B(gamma + 1, delta + i) / B(gamma, delta)
    b(x, i) = C(i, x) B(alpha + x, beta + i - x) / B(alpha, beta)

    with i the opportunities taken or declined before the customer drops out.
    """
    chances = _chances(parameters, patterns.frequency.rows, patterns.T.rows, ops)
    return ops.log(ops.cumsum(chances)[..., -1])  # of tens of opportunities, which no float is too coarse for


def _chances(parameters: Draws, x: FloatArray, n: FloatArray, ops: Ops) -> Any:
    """The terms of eq. 7 by i = 0, 1, ..., max n, shape (..., K, I): those below x and above n are 0; at n who stays.

    Ratios of beta functions are written out: as differences of their logarithms they are noise where parameters are
    large, and where a proposal may fall.
    """
    x, n = x[:, None], n[:, None]
    i = ops.arange(n.max().astype("int64") + 1)
    alpha, beta, gamma, delta = ((0.0 * x[:, 0] + at_rows(parameters[name]))[..., None] for name in NAMES)
    declined = ops.maximum(i - x, 0.0)
    log_orders = ops.gammaln(i + 1) - ops.gammaln(x + 1) - ops.gammaln(declined + 1)
    log_taken = ops.cumsum(ops.where(i < x, ops.log(alpha + i), 0.0))[..., -1:]
    log_declined = ops.cumsum(ops.where(i > x, ops.log(beta + ops.maximum(declined - 1, 0.0)), 0.0))
    log_stayed = _log_rising(delta, i, ops) - _log_rising(gamma + delta, i, ops)
    log_bought = log_orders + log_taken + log_declined - _log_rising(alpha + beta, i, ops)
    leaves = ops.where(i < n, gamma / (gamma + delta + i), 1.0)
    return ops.where((x <= i) & (i <= n), leaves * ops.exp(log_bought + log_stayed), 0.0)


def _log_rising(a: Any, i: Any, ops: Ops) -> Any:
    """log of a (a + 1) ... (a + i - 1) for i = 0, 1, ... along the last axis."""
    return ops.cumsum(ops.where(i > 0, ops.log(a + ops.maximum(i - 1, 0)), 0.0))


def purchase_next(parameters: Draws, x: FloatArray, n: FloatArray) -> FloatArray:
    """P(purchase at opportunity n + 1 | x of n taken); (S, 1) with (K,) gives (S, K).

    Who buys at n + 1 was there at all n before, stays, and takes it.
    """
    alpha, beta, gamma, delta = (parameters[name] for name in NAMES)
    chances = _chances(parameters, x, n, NUMPY_OPS)
    there = np.where(np.arange(chances.shape[-1]) == n[:, None], chances, 0.0).sum(axis=-1) / chances.sum(axis=-1)
    return np.asarray(there * (delta + n) / (gamma + delta + n) * (alpha + x) / (alpha + beta + n))


BG_BB_COUNTS = replace(
    BG_BB,
    name="bg_bb_counts",
    log_likelihood=log_likelihood,
    history=("frequency", "T"),
    formulas={"purchase_next": purchase_next},
    kernel=None,
    methods=("mle", "laplace"),
)
