"""What is still to come of a relation: integrals and sums of a survival function over the future, discounted.

Of a customer who is still there at an age T, with a continuous rate of discount d >= 0 a unit of time,

    int_0^inf S(T + t) / S(T) exp(-d t) dt        a stream that flows while the customer is there
    sum_{t >= 1} S(n + t) / S(n) exp(-d t)        a payment at each renewal that is made

Curves such as sBG's fall like a power of time, so that what matters may lie thousands of renewals ahead. So the
integral is taken over the logarithm of time, by Gauss and Legendre; the sum is the integral and what the trapezoidal
rule lacks at its beginning (Euler and Maclaurin), from an age on where the curve is smooth. Younger customers follow
from older ones: they will be as old, if they stay. That is a sum of positive numbers, so nothing is lost in it.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from clvmodels.foundation.patterns import BoolArray, FloatArray, IntArray
from clvmodels.foundation.quadrature import falling_root, gauss_legendre

NODES = 20  # of Gauss and Legendre on a piece of the logarithm of time
PIECE = 2.0  # its length; what is lost on it is below 1e-11 (tests/test_models_residual.py)
SPENT = 40.0  # e^-40 is nothing
NEW = 1e-7  # of its half life: up to there all stay
POWER_LAW = 1e13  # (age / onset)^c from which a power law holds to the last digits
FARTHEST = 1e200
BLOCK = 4096  # elements whose arrays stay in the cache
WIDEST = 230.0  # logarithm of the longest half life
SMOOTH, LONGEST = 32, 256  # renewals after which a sum is an integral, where hazards do not grow; and where they do
ENDS = 6  # renewals to both sides from which the slopes at the beginning of a sum are taken
CLOSE = 2.0  # ages of which the older is at most that many times older than the younger are integrated to one another
Tail = tuple[Any, Any, Any]  # kappa, c, onset: S(t) is near t^-kappa (1 + O((onset / t)^c))


@dataclass(frozen=True)
class Curves:
    """The survival functions of columns of customers at draws, and how their future is discounted.

    Attributes
    ----------
    log_survival : (t, *values) -> log S(t)
    tail : the power law that a curve ends with, from its parameters
    values : ndarray, shape (P, S, K), parameters; or (P, E), of elements
    discount : ndarray, shape (K,) or (E,)
    """

    log_survival: Callable[..., Any]
    tail: Callable[..., Tail]
    values: FloatArray
    discount: FloatArray

    def at(self, t: Any) -> FloatArray:
        """log S(t) exp(-d t)."""
        return np.asarray(self.log_survival(t, *self.values) - self.discount * t)

    def take(self, columns: Any) -> "Curves":
        """Some of the columns or elements."""
        return replace(self, values=self.values[..., columns], discount=self.discount[columns])

    @property
    def elements(self) -> "Curves":
        """Every draw of every column by itself, draw by draw."""
        discount = np.broadcast_to(self.discount, self.values.shape[1:]).ravel()
        return replace(self, values=self.values.reshape(len(self.values), -1), discount=discount)


def time_ahead(curves: Curves, age: FloatArray) -> FloatArray:
    """int_0^inf S(T + t) / S(T) exp(-d t) dt, shape (S, K); infinite where it is. age : ndarray, shape (K,)."""
    columns = runs(curves, age, lambda younger, older: older <= CLOSE * younger)
    ahead = np.empty((columns.size, curves.values.shape[1]))
    oldest, others = columns.oldest, ~columns.oldest
    ahead[oldest] = _to_the_end(curves.take(columns.first[oldest]), columns.age[oldest], new=True).T
    older = np.flatnonzero(others) + 1
    gap = columns.age[older] - columns.age[others]
    part, kept = _over_a_gap(curves.take(columns.first[others]), columns.age[others], gap)
    for k, integral, share in zip(np.flatnonzero(others)[::-1], part.T[::-1], kept.T[::-1], strict=True):
        ahead[k] = integral + share * ahead[k + 1]
    return np.asarray(ahead[columns.place].T)


def renewals_ahead(curves: Curves, age: FloatArray) -> FloatArray:
    """sum_{t >= 1} S(n + t) / S(n) exp(-d t), shape (S, K); infinite where it is. age : ndarray, shape (K,)."""
    bend = float(np.max(curves.tail(*curves.values)[1]))
    beyond = min(int(np.ceil(SMOOTH * max(1.0, bend))), LONGEST)
    columns = runs(curves, age, lambda younger, older: older - younger <= beyond)
    start = columns.age[columns.oldest] + beyond
    chosen = curves.take(columns.first[columns.oldest])
    run = np.cumsum(columns.oldest) - columns.oldest
    steps = start[run] - columns.age
    ahead = np.empty((columns.size, curves.values.shape[1]))
    at_older, sums = chosen.at(start), _sum_to_the_end(chosen, start)
    for step in range(1, int(steps.max()) + 1):
        at_age = chosen.at(np.maximum(start - step, 0.0))
        sums = np.exp(at_older - at_age) * (1 + sums)
        at_older = at_age
        reached = steps == step
        ahead[reached] = sums[:, run[reached]].T
    return np.asarray(ahead[columns.place].T)


def _sum_to_the_end(curves: Curves, age: FloatArray) -> FloatArray:
    """The sum from an age on where the curve is smooth; and a rough one where it is spent before that."""
    at_age = curves.at(age)
    following = np.exp(curves.at(age + 1) - at_age)
    smooth = following > np.exp(-1.0)
    total = _to_the_end(curves, age, new=False) - 0.5
    for j, weight in enumerate(corrections(), start=1):
        ends = [np.exp(np.where(smooth, curves.at(age + side * j) - at_age, 0.0)) for side in (1, -1)]
        total += weight * (ends[0] - ends[1])
    return np.where(smooth, total, following)


def corrections() -> FloatArray:
    """Weights w_1, w_2, ... of the trapezoidal rule's beginning.

    For smooth f it is sum_{t >= 0} f(t) = int_0^inf f + f(0) / 2 + sum_j w_j (f(j) - f(-j)). The correction
    of f = exp(D t) is 1 / (1 - e^D) + 1 / D - 1 / 2 = -D / 12 + D^3 / 720 - ..., whose first terms the weights have.
    """
    odd = np.arange(1, 2 * ENDS, 2)
    bernoulli = np.array([1 / 6, -1 / 30, 1 / 42, -1 / 30, 5 / 66, -691 / 2730])  # B_2, B_4, ...
    series = -bernoulli / (odd + 1)  # times m!, as are the powers
    powers = np.arange(1, ENDS + 1)[None, :] ** odd[:, None].astype(np.float64)
    return np.asarray(np.linalg.solve(2 * powers, series))


def _over_a_gap(curves: Curves, age: FloatArray, gap: FloatArray) -> tuple[FloatArray, FloatArray]:
    """The integral over times up to a gap, and S exp(-d t) at its end over S at its beginning."""
    rate = (curves.at(age) - curves.at(age + gap)) / gap
    scale = 1 / (1 / age + rate)
    return _integral(curves, np.broadcast_to(age, rate.shape), scale, np.broadcast_to(gap, rate.shape)), np.exp(
        -rate * gap
    )


def _to_the_end(curves: Curves, age: FloatArray, *, new: bool) -> FloatArray:
    """The integral from an age on. new : whether ages may be near 0, where curves may have no slope."""
    at_age = curves.at(age)
    age = np.broadcast_to(age, at_age.shape)
    base = np.maximum(age, NEW * _half_life(curves, age)) if new else age
    step = base / 1024
    scale = 1 / (1 / base + (at_age - curves.at(age + step)) / step)
    if curves.discount.all():
        return _integral(curves, age, scale, SPENT / curves.discount + 0 * scale)
    return _undiscounted(curves, age, scale)


def _undiscounted(curves: Curves, age: FloatArray, scale: FloatArray) -> FloatArray:
    """The integral where some are not discounted: to where the curve is spent, or a power of time."""
    at_age = curves.at(age)
    kappa, c, onset = curves.tail(*curves.values)
    endless = (curves.discount == 0) & (kappa <= 1)
    with np.errstate(over="ignore", divide="ignore"):
        lawful = np.minimum(np.maximum(onset, age) * POWER_LAW ** (1 / c), FARTHEST)
        until = np.where(endless, scale, np.where(curves.discount > 0, SPENT / curves.discount, lawful))

    def left(u: FloatArray) -> FloatArray:
        return curves.at(age + scale * np.expm1(u)) - at_age + u + SPENT

    until = scale * np.expm1(falling_root(left, 0 * scale, np.log1p(until / scale)))
    rest = (age + until) * np.exp(curves.at(age + until) - at_age) / np.where(kappa > 1, kappa - 1, np.inf)
    ahead = _integral(curves, age, scale, until) + np.where(curves.discount > 0, 0.0, rest)
    return np.where(endless, np.inf, ahead)


def _half_life(curves: Curves, age: FloatArray) -> FloatArray:
    """The time after which S exp(-d t) has halved."""
    at_age, wide = curves.at(age), np.full(age.shape, WIDEST)
    return np.exp(falling_root(lambda u: curves.at(age + np.exp(u)) - at_age + np.log(2.0), -wide, wide))


def _integral(curves: Curves, age: FloatArray, scale: FloatArray, until: FloatArray) -> FloatArray:
    """int_0^until S(T + t) / S(T) exp(-d t) dt over log(1 + t / scale), in as many pieces as each element needs."""
    bend = np.maximum(np.broadcast_to(curves.tail(*curves.values)[1], until.shape), 1.0)
    length = (np.log1p(until / scale) * bend / PIECE).ravel()
    order = np.argsort(length)
    elements, total = curves.elements, np.empty(len(length))
    for first in range(0, len(order), BLOCK):
        chosen = order[first : first + BLOCK]
        longest = float(length[chosen[-1]])
        T, unit, end = (column.ravel()[chosen] for column in (age, scale, until))
        total[chosen] = _in_pieces(elements.take(chosen), T, unit, end, _rule(longest))
    return total.reshape(until.shape)


def _rule(length: float) -> tuple[FloatArray, FloatArray]:
    """Nodes and weights on (0, 1) for a stretch of so many pieces."""
    nodes, weights = gauss_legendre(NODES if length > 0.5 else NODES // 2)
    pieces = max(1, int(np.ceil(length)))
    return ((np.arange(pieces)[:, None] + nodes) / pieces).ravel(), np.tile(weights / pieces, pieces)


def _in_pieces(
    curves: Curves, age: FloatArray, scale: FloatArray, until: FloatArray, rule: tuple[FloatArray, FloatArray]
) -> FloatArray:
    at_age, reach, total = curves.at(age), np.log1p(until / scale), np.zeros(len(age))
    for node, weight in zip(*rule, strict=True):
        t = scale * np.expm1(reach * node)
        total += weight * (scale + t) * np.exp(curves.at(age + t) - at_age)
    return total * reach


@dataclass(frozen=True)
class Runs:
    """Distinct columns in the order of their curve and age; in a run each is followed by an older one of its curve.

    Attributes
    ----------
    age : ndarray, shape (D,)
    first : ndarray, shape (D,), a column of the input that is so
    oldest : ndarray of bool, shape (D,), ends of runs
    place : ndarray, shape (K,), where each column of the input is
    """

    age: FloatArray
    first: IntArray
    oldest: BoolArray
    place: IntArray

    @property
    def size(self) -> int:
        """Number of distinct columns D."""
        return len(self.age)


def runs(curves: Curves, age: FloatArray, near: Callable[[FloatArray, FloatArray], BoolArray]) -> Runs:
    """The columns in runs. near : (age, older age) -> whether the younger's future is told from the older's."""
    keys = np.stack([_curve_of(curves), age])
    distinct, first, place = np.unique(keys, axis=1, return_index=True, return_inverse=True)
    oldest = np.ones(len(first), dtype=bool)
    curve, at = distinct
    oldest[:-1] = ~((curve[1:] == curve[:-1]) & near(at[:-1], at[1:]))
    return Runs(at, first, oldest, place.reshape(-1))


def _curve_of(curves: Curves) -> FloatArray:
    """A number for each column, shape (K,), equal for columns of one curve, found by the parameters at the first draw.

    Where columns agree there and not at another draw, each is a curve of its own.
    """
    values = curves.values
    _, first, place = np.unique(
        np.vstack([values[:, 0], curves.discount]), axis=1, return_index=True, return_inverse=True
    )
    alike = first[place.reshape(-1)]
    same = np.array_equal(values[..., alike], values)
    return np.asarray(alike if same else np.arange(len(alike)), dtype=np.float64)
