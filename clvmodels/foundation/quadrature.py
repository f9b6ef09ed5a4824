"""Numerical integrals that stay right at the edges."""

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np
from scipy import special

from clvmodels.foundation.patterns import FloatArray

ENDLESS_NODES = 32
BISECTIONS = 30
CACHED = 2**9  # elements x nodes of one array are some 100 KB
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


@lru_cache(maxsize=8)
def gauss_lobatto(n: int) -> tuple[FloatArray, FloatArray]:
    """Nodes and weights on [0, 1] with both ends among the nodes, each shape (n,)."""
    legendre = np.polynomial.legendre.Legendre.basis(n - 1)
    nodes = np.concatenate([[-1.0], np.sort(legendre.deriv().roots().real), [1.0]])
    weights = 2 / (n * (n - 1) * legendre(nodes) ** 2)
    return (nodes + 1) / 2, weights / 2


def discounted_without_end(
    curve: Callable[[FloatArray], FloatArray], discount: float, *, bend: FloatArray
) -> FloatArray:
    """int_0^inf exp(-d t) dC(t) of a curve C that starts at 0, grows and flattens; d above 0.

    By parts, d int exp(-d t) C(t) dt, so that no slope is needed; in log(1 + t / bend), since C bends at
    many scales of time, up to where exp(-d t) is spent.

    Parameters
    ----------
    curve : takes a time that broadcasts to shape (...) and returns that shape
    bend : ndarray, shape (...), the time up to which C is nearly straight
    """
    reach = np.log1p(40 / (discount * bend))
    total = np.zeros(np.shape(bend))
    for node, weight in zip(*gauss_legendre(ENDLESS_NODES), strict=True):
        time = bend * np.expm1(reach * node)
        total = total + weight * (bend + time) * np.exp(-discount * time) * curve(time)
    return discount * reach * total


def integral_from_zero(f: Callable[..., Any], reach: Any, *arguments: Any, nodes: int) -> Any:
    """int_0^reach f(v, *arguments) dv by Gauss-Legendre, elementwise; 0 where reach is 0.

    On a graph all elements are taken. On NumPy only those with a reach above 0, in blocks that stay in the
    cache: where most are 0, or arrays large, that is several times faster.

    Parameters
    ----------
    f : takes v of shape (..., nodes), arguments of shape (..., 1), and returns the shape of v
    reach, arguments : arrays or graph variables of one shape
    """
    at, weights = gauss_legendre(nodes)

    def integral(reach: Any, *arguments: Any) -> Any:
        each = f(reach[..., None] * at, *(argument[..., None] for argument in arguments))
        return reach * (each * weights).sum(axis=-1)

    if not isinstance(reach, np.ndarray | np.floating):
        return integral(reach, *arguments)
    rows = np.flatnonzero(reach)
    columns = [np.ravel(column) for column in (reach, *arguments)]
    total = np.zeros(np.size(reach))
    for block in np.split(rows, range(CACHED, len(rows), CACHED)):
        total[block] = integral(*(column[block] for column in columns))
    return total.reshape(np.shape(reach))


def falling_root(f: Callable[[FloatArray], FloatArray], low: FloatArray, high: FloatArray) -> FloatArray:
    """Where a falling f crosses 0 between low and high, by bisection; high where f is above 0 there. Elementwise."""
    for _ in range(BISECTIONS):
        middle = (low + high) / 2
        above = f(middle) > 0
        low, high = np.where(above, middle, low), np.where(above, high, middle)
    return np.asarray(high)
