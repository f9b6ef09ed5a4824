"""Numerical integrals that stay right at the edges."""

from collections.abc import Callable
from functools import lru_cache

import numpy as np
from scipy import special

from clvmodels.foundation.patterns import FloatArray

NODES = 96  # twice as many change nothing above 1e-13 (tests/test_models_bg_nbd.py)


def beta_expectation(
    a: FloatArray, b: FloatArray, g: Callable[[FloatArray], FloatArray], *, at_zero: FloatArray, bend: FloatArray
) -> FloatArray:
    """E g(p) for p ~ Beta(a, b), by the trapezoidal rule in w with logit p = centre + scale sinh w.

    The rule converges exponentially for smooth g. log p and log(1 - p) are kept apart, so that mass near
    1 is not lost. A small a leaves mass at p that no float holds: there g(0) + E[g(p) - g(0)] is taken,
    whose integrand is spent long before.

    Parameters
    ----------
    a, b : ndarrays above 0 that broadcast to shape (...)
    g : takes p of shape (..., Q) and returns the same shape
    at_zero : ndarray, shape (...), g(0)
    bend : ndarray, shape (...), the logit of p where g bends most; nodes are dense there and at the mean

    Returns
    -------
    ndarray, shape (...)
    """
    a, b, at_zero, bend = (np.asarray(v, dtype=np.float64)[..., None] for v in (a, b, at_zero, bend))
    taken_out = np.where(a < 0.5, at_zero, 0.0)
    slope = np.where(a < 0.5, a + 1, a)  # of the integrand's log towards p = 0
    mean = np.log(a / b)
    low = np.minimum(bend, mean)  # a bend far to the right of the mean has no weight
    centre = (a * mean + low) / (a + 1)  # a large a is narrow and needs the nodes for itself
    scale = np.minimum(np.pi, 8 * np.sqrt(1 / a + 1 / b))
    # The ends lie where p^slope, or (1 - p)^b, alone is e^-40 of the greatest weight.
    spent = 40 - a * np.log(a / (a + b)) - b * np.log(b / (a + b))
    lowest = np.minimum(low - 40 / slope, -_softplus_inverse(spent / slope))
    first = np.arcsinh((lowest - centre) / scale)
    last = np.arcsinh((_softplus_inverse(spent / b) - centre) / scale)
    step = (last - first) / (NODES - 1)  # each element has its own, so that it does not depend on the others
    w = first + step * np.arange(NODES)
    u = centre + scale * np.sinh(w)
    log_weight = a * special.log_expit(u) + b * special.log_expit(-u) - special.betaln(a, b)
    weight = np.exp(log_weight) * (scale * step * np.cosh(w))
    return np.sum(weight * (g(special.expit(u)) - taken_out), axis=-1) + taken_out[..., 0]


def _softplus_inverse(y: FloatArray) -> FloatArray:
    """u with log(1 + e^u) = y."""
    return np.asarray(y + np.log(-np.expm1(-y)))


@lru_cache(maxsize=8)
def gauss_legendre(n: int) -> tuple[FloatArray, FloatArray]:
    """Nodes and weights on (0, 1), each shape (n,)."""
    nodes, weights = np.polynomial.legendre.leggauss(n)
    return (nodes + 1) / 2, weights / 2
