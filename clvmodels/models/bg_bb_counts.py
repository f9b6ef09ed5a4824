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
from clvmodels.models.bg_bb import BG_BB, log_stayed

NAMES = BG_BB.parameter_names


def log_likelihood(parameters: Draws, patterns: PurchasePatterns, ops: Ops) -> Any:
    """Log chance of x purchases at n opportunities, eq. 7 of [1]_, shape (..., K); recency is not read.

    P(X = x) = b(x, n) B(gamma, delta + n) / B(gamma, delta)
               + sum over i from x to n - 1 of b(x, i) B(gamma + 1, delta + i) / B(gamma, delta)
    b(x, i) = C(i, x) B(alpha + x, beta + i - x) / B(alpha, beta)

    with i the opportunities taken or declined before the customer drops out.
    """
    x, n = patterns.frequency.rows, patterns.T.rows
    alpha, beta, gamma, delta = (0.0 * x + at_rows(parameters[name]) for name in NAMES)  # (..., K)
    stayed = ops.exp(_log_bought(alpha, beta, x, n, ops) + log_stayed(gamma, delta, n, ops))
    i = ops.arange(n.max().astype("int64"))
    alpha, beta, gamma, delta = (letter[..., None] for letter in (alpha, beta, gamma, delta))  # (..., K, i)
    x, n = x[:, None], n[:, None]
    left = ops.betaln(gamma + 1, delta + i) - ops.betaln(gamma, delta)
    term = ops.exp(_log_bought(alpha, beta, x, ops.maximum(x, i), ops) + left)
    gone = ops.cumsum(ops.where((x <= i) & (i < n), term, 0.0))[..., -1]
    return ops.log(stayed + gone)  # chances of tens of opportunities, which no float is too coarse for


def _log_bought(alpha: Any, beta: Any, x: Any, i: Any, ops: Ops) -> Any:
    """log b(x, i): x purchases at i opportunities of a customer who is there."""
    orders = ops.gammaln(i + 1) - ops.gammaln(x + 1) - ops.gammaln(i - x + 1)
    return orders + ops.betaln(alpha + x, beta + i - x) - ops.betaln(alpha, beta)


def purchase_next(parameters: Draws, x: FloatArray, n: FloatArray) -> FloatArray:
    """P(purchase at opportunity n + 1 | x of n taken); (S, 1) with (K,) gives (S, K).

    b(x, n) (alpha + x) / (alpha + beta + n) B(gamma, delta + n + 1) / B(gamma, delta), divided by P(X = x): who buys at
    n + 1 was there at all n before.
    """
    alpha, beta, gamma, delta = (parameters[name] for name in NAMES)
    log_both = (
        _log_bought(alpha, beta, x, n, NUMPY_OPS)
        + np.log((alpha + x) / (alpha + beta + n))
        + log_stayed(gamma, delta, n + 1, NUMPY_OPS)
    )
    return np.asarray(np.exp(log_both - log_likelihood(parameters, PurchasePatterns.of(x, x, n, "year"), NUMPY_OPS)))


BG_BB_COUNTS = replace(
    BG_BB,
    name="bg_bb_counts",
    log_likelihood=log_likelihood,
    history=("frequency", "T"),
    formulas={"purchase_next": purchase_next},
    kernel=None,
    methods=("mle", "laplace"),
)
