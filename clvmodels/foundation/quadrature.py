"""Numerical integrals that stay right at the edges."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.polynomial.legendre import legvander
from numpy.typing import NDArray
from scipy import special

from clvmodels.foundation.patterns import FloatArray

ENDLESS_NODES = 32
TIME_NODES = 24
CLUSTERING = 3000.0  # with 24 nodes an error below 2e-7 at any discount, of 1e-12 at 10 % over a year (the tests)
BISECTIONS = 30
LADDER, ZOOMS = 17, 4
CACHED = 2**9  # elements x nodes of one array are some 100 KB
Rule = Callable[[int], tuple[FloatArray, FloatArray]]  # number of nodes -> nodes and weights on (0, 1)
NODES = 96  # twice as many change nothing above 1e-13 (tests/test_models_bg_nbd.py)


def beta_expectation(
    a: FloatArray, b: FloatArray, g: Callable[[FloatArray], FloatArray], *, at_zero: FloatArray, bend: FloatArray
) -> FloatArray:
    """E g(p) for p ~ Beta(a, b), shape (...); see `beta_rule`.

    Parameters
    ----------
    a, b : ndarrays above 0 that broadcast to shape (...)
    g : takes p of shape (..., Q) and returns the same shape
    at_zero : ndarray, shape (...), g(0)
    bend : ndarray, shape (...), the logit of p where g bends most
    """
    rule = beta_rule(a, b, bend=bend, nodes=NODES)
    return rule.mean(g(rule.p), at_zero=at_zero)


@dataclass(frozen=True)
class BetaRule:
    """Nodes and weights for expectations over p ~ Beta(a, b), good for any g that bends where the rule was told.

    Attributes
    ----------
    p, weight : ndarrays, shape (..., Q)
    small : ndarray of bool, shape (...), where a leaves mass at p that no float holds: there g(0) +
        E[g(p) - g(0)] is taken, whose integrand is spent long before
    """

    p: FloatArray
    weight: FloatArray
    small: NDArray[np.bool_]

    def mean(self, values: FloatArray, *, at_zero: FloatArray) -> FloatArray:
        """E g(p), shape (...), from g at the nodes, shape (..., Q), and at 0, shape (...)."""
        taken_out = np.where(self.small, at_zero, 0.0)
        return np.sum(self.weight * (values - taken_out[..., None]), axis=-1) + taken_out


def beta_rule(a: FloatArray, b: FloatArray, *, bend: FloatArray, nodes: int) -> BetaRule:
    """The trapezoidal rule for p ~ Beta(a, b) in w, with logit p = centre + scale sinh w.

    It converges exponentially for smooth g. log p and log(1 - p) are kept apart, so that mass near 1 is not lost.

    Parameters
    ----------
    a, b : ndarrays above 0 that broadcast to shape (...)
    bend : ndarray, shape (...), the logit of p where g bends most; nodes are dense there and at the mean
    nodes : number of nodes Q
    """
    a, b, bend = (np.asarray(v, dtype=np.float64)[..., None] for v in (a, b, bend))
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
    step = (last - first) / (nodes - 1)  # each element has its own, so that it does not depend on the others
    w = first + step * np.arange(nodes)
    u = centre + scale * np.sinh(w)
    log_weight = a * special.log_expit(u) + b * special.log_expit(-u) - special.betaln(a, b)
    weight = np.exp(log_weight) * (scale * step * np.cosh(w))
    return BetaRule(special.expit(u), weight, (a < 0.5)[..., 0])


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


def discounting(ends: FloatArray, discount: float) -> tuple[FloatArray, FloatArray]:
    """Times t_j and weights w_ij with int_0^e_i exp(-d t) dC(t) = sum_j w_ij C(t_j), for any C as follows.

    C starts at 0, grows and flattens. By parts, so that no slope of it is needed::

        exp(-d e) C(e) + d int_0^e exp(-d t) C(t) dt

    From 40 / d on nothing is left of the integral. Up to there, or to the last end z, the integrand's polynomial in
    v = log(1 + 3000 t / z) through its values at Gauss-Legendre nodes is integrated up to each end: C bends most at
    its beginning. At z that is Gauss-Legendre's rule.

    Parameters
    ----------
    ends : ndarray, shape (periods,), increasing
    discount : continuous rate d per unit of time, any finite number

    Returns
    -------
    times : ndarray, shape (L,), ends with the ends
    weights : ndarray, shape (periods, L)
    """
    if discount == 0:  # nothing is left to integrate
        return ends, np.eye(len(ends))
    last = min(float(ends[-1]), 40 / discount) if discount > 0 else float(ends[-1])
    reach, (nodes, _) = np.log1p(CLUSTERING), gauss_legendre(TIME_NODES)
    inside = last * np.expm1(reach * nodes) / CLUSTERING
    slope = reach * (inside + last / CLUSTERING)  # dt / d(v / reach)
    until = np.log1p(CLUSTERING * np.minimum(ends / last, 1.0)) / reach if last > 0 else np.zeros(len(ends))
    of_inside = integrated_up_to(until) * (discount * slope * np.exp(-discount * inside))
    return np.append(inside, ends), np.hstack([of_inside, np.diag(np.exp(-discount * ends))])


def integrated_up_to(ends: FloatArray) -> FloatArray:
    """Weights of the values at the `TIME_NODES` Gauss-Legendre nodes on (0, 1) in the integral from 0 to each end.

    Exact for polynomials below that degree: the values' Legendre coefficients, and the integral of each Legendre
    polynomial, int_-1^y P_k = (P_(k+1)(y) - P_(k-1)(y)) / (2 k + 1). Shape (ends, nodes).
    """
    nodes, weights = gauss_legendre(TIME_NODES)
    orders = np.arange(TIME_NODES)
    coefficients = (2 * orders[:, None] + 1) * legvander(2 * nodes - 1, TIME_NODES - 1).T * weights
    at_ends = legvander(2 * ends - 1, TIME_NODES)
    before = np.hstack([-np.ones((len(ends), 1)), at_ends[:, :-2]])  # P_-1 stands for the -1 of int_-1^y P_0 = y + 1
    return np.asarray((at_ends[:, 1:] - before) / (2 * orders + 1) / 2 @ coefficients)


@lru_cache(maxsize=8)
def midpoints(n: int) -> tuple[FloatArray, FloatArray]:
    """Nodes and weights on (0, 1), each shape (n,), for what is spent at both ends: few nodes suffice for a bell."""
    return (np.arange(n) + 0.5) / n, np.full(n, 1 / n)


def integral_from_zero(
    f: Callable[..., Any], reach: Any, *arguments: Any, nodes: int, rule: Rule = gauss_legendre
) -> Any:
    """int_0^reach f(v, *arguments) dv by Gauss-Legendre, elementwise; 0 where reach is 0.

    On a graph all elements are taken. On NumPy only those with a reach above 0, in blocks that stay in the
    cache: where most are 0, or arrays large, that is several times faster.

    Parameters
    ----------
    f : takes v of shape (nodes, ...), arguments of the shape of reach, and returns the shape of v
    reach, arguments : arrays or graph variables; on NumPy those of arguments broadcast to that of reach
    rule : of the nodes, such as `midpoints`
    """
    at, weights = (values.reshape(-1, *[1] * reach.ndim) for values in rule(nodes))

    def integral(at: FloatArray, weights: FloatArray, reach: Any, *arguments: Any) -> Any:
        return reach * (f(reach * at, *arguments) * weights).sum(axis=0)

    if not isinstance(reach, np.ndarray | np.floating):
        return integral(at, weights, reach, *arguments)
    rows = np.flatnonzero(reach)
    columns = [np.broadcast_to(column, reach.shape).ravel() for column in (reach, *arguments)]
    at, weights, total = at.reshape(-1, 1), weights.reshape(-1, 1), np.zeros(np.size(reach))
    for block in np.split(rows, range(CACHED, len(rows), CACHED)):
        total[block] = integral(at, weights, *(column[block] for column in columns))
    return total.reshape(np.shape(reach))


def by_blocks(f: Callable[..., Any], *columns: Any, size: int, within: int = 0) -> Any:
    """f(*columns), worked out for `size` elements at a time, so that what f needs in between stays in the cache.

    On a graph all elements are taken at once.

    Parameters
    ----------
    f : takes arrays of shape (n, ...) and returns one of shape (n,)
    columns : arrays or graph variables of one shape but for their last `within` dimensions
    """
    if not isinstance(columns[0], np.ndarray | np.floating):
        return f(*columns)
    shape = np.shape(columns[0])[: np.ndim(columns[0]) - within]
    flat = [np.ascontiguousarray(column).reshape(-1, *np.shape(column)[len(shape) :]) for column in columns]
    total = np.empty(len(flat[0]))
    for first in range(0, len(total), size):
        block = slice(first, first + size)
        total[block] = f(*(column[block] for column in flat))
    return total.reshape(shape)


def falling_root(f: Callable[[FloatArray], FloatArray], low: FloatArray, high: FloatArray) -> FloatArray:
    """Where a falling f crosses 0 between low and high, by bisection; high where f is above 0 there. Elementwise."""
    for _ in range(BISECTIONS):
        middle = (low + high) / 2
        above = f(middle) > 0
        low, high = np.where(above, middle, low), np.where(above, high, middle)
    return np.asarray(high)


def unspent(
    log_density: Callable[[FloatArray], FloatArray], begin: FloatArray, end: FloatArray, *, spent: float
) -> tuple[FloatArray, FloatArray]:
    """The part of (begin, end) outside of which a log-concave density is below exp(-spent) of its top, elementwise.

    Found on a ladder of points, which is laid anew, closer, between those that are left.

    Parameters
    ----------
    log_density : takes points of shape (..., LADDER) and returns that shape
    begin, end : ndarrays, shape (...)
    """
    rungs = np.linspace(0.0, 1.0, LADDER)
    for _ in range(ZOOMS):
        z = begin[..., None] + (end - begin)[..., None] * rungs
        values = log_density(z)
        kept = values >= values.max(axis=-1, keepdims=True) - spent
        lowest = np.maximum(kept.argmax(axis=-1) - 1, 0)
        highest = np.minimum(LADDER - kept[..., ::-1].argmax(axis=-1), LADDER - 1)
        begin, end = (np.take_along_axis(z, at[..., None], axis=-1)[..., 0] for at in (lowest, highest))
    return begin, end
