"""Purchases in k stages: what a customer who is alive does, with Erlang-k times between purchases.

A customer passes stages at rate lambda, and each k-th stage is a purchase. Alive at T, a customer with
x purchases has passed k x stages up to the last of them and j < k since. Given the data

    P(j) ~ (n)_j / j! u^j        lambda | j ~ Gamma(n + j, alpha + T)        p ~ Beta(a, b)

with n = r + k x, u = (T - t_x) / (alpha + T) and (n)_j = n (n + 1) .. (n + j - 1). In a time t after T the
customer passes M more stages, negative binomial given j with odds tau = t / (alpha + T), and makes
N = floor((j + M) / k) purchases, but for those that drop-out takes away: after each with chance p.

Every function here is elementwise, with k a whole number: `by_count` calls it for each k among the draws.

References
----------
.. [1] Reutterer, Platzer and Schröder (2021), Leveraging purchase regularity for predicting customer behavior
   the easy way, International Journal of Research in Marketing 38(1), doi 10.1016/j.ijresmar.2020.09.002. The
   expectations in it are approximations; those here are exact.
"""

from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import special

from clvmodels.foundation.patterns import BoolArray, FloatArray
from clvmodels.foundation.quadrature import beta_expectation
from clvmodels.models import nbd

ComplexArray = NDArray[np.complex128]

BLOCK = 2**12  # elements at a time: most of the work is then done in the cache, and little in calls
DISCOUNTED = 2**9  # of which each has 96 numbers
CHECK = 16  # stages between two looks at which elements have converged
MOST_STAGES = 400  # that are summed; beyond, a generating function has a cost that does not grow
NEGLIGIBLE = 1e-17
LEAST_STAYING = 1e-4  # below, (1 - p)^N is summed by purchases: w^-c of the generating function would cancel
FIRST = 4  # purchases that are summed so
RATE_NODES, MORE_NODES = 176, 16  # of the logarithm of a rate, and more for each k: a long silence has a sharp end


@dataclass(frozen=True)
class Alive:
    """Customers who are alive at T, elementwise.

    Attributes
    ----------
    n : ndarray, shape (E,), r + k x
    u : ndarray, shape (E,), (T - t_x) / (alpha + T), from 0 to 1
    a, b : ndarrays, shape (E,), of the drop-out chance given the data
    """

    n: FloatArray
    u: FloatArray
    a: FloatArray
    b: FloatArray

    def take(self, rows: Any) -> "Alive":
        """Some of them."""
        return Alive(*(getattr(self, column.name)[rows] for column in fields(self)))


def by_count(f: Callable[..., FloatArray], k: Any, who: Alive, *arguments: Any, block: int = BLOCK) -> FloatArray:
    """f(k, who, *arguments) with everything broadcast to one shape; each k apart, and `block` elements at a time."""
    columns = np.broadcast_arrays(k, who.n, who.u, who.a, who.b, *arguments)
    counts, *flat = (np.ravel(column) for column in columns)
    values = np.empty(len(counts))
    for count in np.unique(counts):
        rows = np.flatnonzero(counts == count)
        for part in np.split(rows, range(block, len(rows), block)):
            n, u, a, b, *after = (column[part] for column in flat)
            values[part] = f(int(count), Alive(n, u, a, b), *after)
    return values.reshape(columns[0].shape)


def reached(k: int, n: FloatArray, u: FloatArray) -> FloatArray:
    """P(j) of each stage j < k since the last purchase, shape (k, E)."""
    weights = [np.ones_like(n)]
    for j in range(1, k):
        weights.append(weights[-1] * u * ((n + j - 1) / j))
    return np.asarray(np.stack(weights) / np.sum(weights, axis=0))


def expected_purchases(k: int, who: Alive, tau: FloatArray) -> FloatArray:
    """E[(1 - (1 - p)^N) / p], the expected purchases, shape (E,)."""
    expected, _ = _summed(k, who, tau)
    many = np.isnan(expected)
    if many.any():
        expected[many] = _integrated(k, who.take(many), tau[many], np.divide)
    return expected


def survival(k: int, who: Alive, tau: FloatArray) -> FloatArray:
    """E[(1 - p)^N], the chance to be alive still, shape (E,)."""
    _, alive = _summed(k, who, tau)
    many = np.isnan(alive)
    if many.any():
        stays = _integrated(k, who.take(many), tau[many], lambda left, _: 1 - left)
        alive[many] = np.maximum(stays, 0.0)  # below 0 by rounding alone
    return alive


def purchase_pmf(k: int, who: Alive, purchases: FloatArray, tau: FloatArray) -> FloatArray:
    """P(i purchases), shape (E,): N = i and none of them was the last, or N >= i and the i-th was."""
    exactly, at_least = np.zeros_like(tau), np.zeros_like(tau)
    for j, chance in enumerate(reached(k, who.n, who.u)):
        rate = {"r": who.n + j, "alpha": 1.0}
        needed = k * purchases - j
        exactly += chance * _chance_of_next(k, rate, needed, tau)
        at_least += chance * nbd.chance_of_at_least(rate, needed, tau)
    last = np.maximum(purchases, 1.0)
    stayed = np.exp(special.betaln(who.a, who.b + purchases) - special.betaln(who.a, who.b))
    left = np.exp(special.betaln(who.a + 1, who.b + last - 1) - special.betaln(who.a, who.b))
    return np.asarray(stayed * exactly + np.where(purchases > 0, left * at_least, 0.0))


def dert(k: int, who: Alive, delta: FloatArray) -> FloatArray:
    """DERT of customers alive at T, at a discount d above 0, delta = d (alpha + T). Shape (E,).

    At a known rate, a purchase m stages ahead is worth phi^m, phi = lambda / (lambda + d), and all together
    phi^(k - j) / (1 - (1 - p) phi^k). The rate is integrated by the trapezoidal rule in log(lambda), then p.
    """
    log_rate, step = _log_rates(k, who.n, delta)
    rate, log_phi = np.exp(log_rate), -np.log1p(delta[:, None] * np.exp(-log_rate))
    log_density = who.n[:, None] * log_rate - rate - special.gammaln(who.n)[:, None]
    weight = np.exp(log_density) * _worth_of_next(k, rate * who.u[:, None], np.exp(log_phi))
    weight *= (step / _stages_weight(k, who.n, who.u))[:, None]
    again, ended = np.exp(k * log_phi), -np.expm1(k * log_phi)

    def value(p: FloatArray) -> FloatArray:
        total = np.zeros(p.shape)
        for i in range(weight.shape[1]):
            total += weight[:, i, None] / (ended[:, i, None] + again[:, i, None] * p)
        return total

    at_zero = np.sum(weight / ended, axis=1)
    return beta_expectation(who.a, who.b, value, at_zero=at_zero, bend=np.log(k * delta / (who.n + k)))


def _log_rates(k: int, n: FloatArray, delta: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Nodes of log(lambda (alpha + T)), shape (E, L), and their distance, shape (E,).

    To the left the integrand of `dert` falls by the n-th power of the rate, and by one more below d. Its ends
    lie where it is e^-38 of the greatest.
    """
    peak, most = np.log(n + k), n + k + 9 * np.sqrt(n + k) + 45
    falls = np.minimum(38 / n, 38 / (n + 1) + np.maximum(peak - np.log(delta), 0.0))
    first = peak - falls - 9 / np.sqrt(n + 1)
    nodes = RATE_NODES + MORE_NODES * k
    step = (np.log(most) - first) / (nodes - 1)
    return first[:, None] + step[:, None] * np.arange(nodes), step


def _worth_of_next(k: int, silent: FloatArray, phi: FloatArray) -> FloatArray:
    """sum over j < k of silent^j / j! phi^(k - j)."""
    total, power = np.ones_like(phi), np.ones_like(phi)
    for j in range(k - 1, 0, -1):
        power *= phi
        total = power + total * silent / j
    return phi * total


def _stages_weight(k: int, n: FloatArray, u: FloatArray) -> FloatArray:
    """sum over j < k of (n)_j / j! u^j."""
    total = np.ones_like(n)
    for j in range(k - 1, 0, -1):
        total = 1 + total * u * ((n + j - 1) / j)
    return total


def _chance_of_next(k: int, rate: dict[str, Any], needed: FloatArray, tau: FloatArray) -> FloatArray:
    """P(needed <= M < needed + k), M >= 0 stages."""
    first = np.maximum(needed, 0.0)
    chance = nbd.purchase_pmf(rate, first, tau)
    total = np.zeros_like(chance)
    for i in range(k):
        total += np.where(first + i < needed + k, chance, 0.0)
        chance = chance * (rate["r"] + first + i) / (first + i + 1) * (tau / (1 + tau))
    return total


def _summed(k: int, who: Alive, tau: FloatArray) -> tuple[FloatArray, FloatArray]:
    """E[(1 - (1 - p)^N) / p] and E[(1 - p)^N] summed over stages y = j + M, each (E,); NaN where they are many.

    All terms are positive, so that also a tiny expectation has all its digits. Each element stops by itself
    when what is left is negligible, so that it does not depend on the others.
    """
    results = np.full((2, len(tau)), np.nan)
    few = np.flatnonzero(((who.n + k) * tau < MOST_STAGES / 2) & (who.n * np.log1p(tau) < 500))
    some, odds = who.take(few), tau[few]
    fixed = np.stack([some.n, odds / (1 + odds), some.a, some.b])
    stages = np.arange(k)[:, None]
    starts = reached(k, some.n, some.u) * np.exp(-(some.n + stages) * np.log1p(odds))  # P(j, M = 0)
    terms, sums = np.zeros_like(starts), np.zeros_like(fixed)
    sums[1] = 1.0
    for y in range(MOST_STAGES):
        _advance(k, y, fixed, starts, terms, sums)
        if y % CHECK == CHECK - 1 and y >= k:
            done = _converged(k, y, fixed, terms, sums)
            results[:, few[done]] = sums[2:, done]
            few = few[~done]
            fixed, starts, terms, sums = (table[:, ~done] for table in (fixed, starts, terms, sums))
    return results[0], results[1]


def _advance(k: int, y: int, fixed: FloatArray, starts: FloatArray, terms: FloatArray, sums: FloatArray) -> None:
    """Add stage y to the sums, in place.

    Parameters
    ----------
    fixed : n, tau / (1 + tau), a, b, shape (4, E)
    terms : ndarray, shape (k, E), P(j, M = y - j), from that of the stage before
    sums : ndarray, shape (4, E), (1 - (1 - p)^N) / p and (1 - p)^N over p at N = floor(y / k), and their means so far
    """
    n, odds, a, b = fixed
    if y > 0:
        terms[:y] *= odds * (n + y - 1) / (y - np.arange(min(y, k)))[:, None]
    if y < k:
        terms[y] = starts[y]
    elif y % k == 0:
        sums[0] += sums[1]
        sums[1] *= (b + y // k - 1) / (a + b + y // k - 1)
    sums[2:] += terms.sum(axis=0) * sums[:2]


def _converged(k: int, y: int, fixed: FloatArray, terms: FloatArray, sums: FloatArray) -> BoolArray:
    """Whether the stages after y are negligible: at most a geometric series, in which each purchase adds 1."""
    n, odds = fixed[:2]
    ratio = np.maximum(odds * (n + y) / (y + 2 - k), odds)
    rest = terms.sum(axis=0) * (sums[0] + 1) * ratio
    return np.asarray((ratio < 1) & (rest <= NEGLIGIBLE * (1 - ratio) ** 2 * sums[2]))


def _integrated(k: int, who: Alive, tau: FloatArray, of: Callable[[FloatArray, FloatArray], FloatArray]) -> FloatArray:
    """The mean over p of `of`(1 - E[(1 - p)^N | p], p), shape (E,)."""

    def value(p: FloatArray) -> FloatArray:
        return of(_left(k, who, tau, p), p)

    at_zero = value(np.full((len(tau), 1), 1e-300))[:, 0]
    return beta_expectation(who.a, who.b, value, at_zero=at_zero, bend=-np.log((who.n + k) * tau / k))


def _left(k: int, who: Alive, tau: FloatArray, p: FloatArray) -> FloatArray:
    """1 - E[(1 - p)^N | p], shape (E, Q), by the generating function of the stages.

    With w = (1 - p)^(1 / k) and Y = j + M, (1 - p)^N = sum over c < k of w^(Y - c) [Y mod k = c], and the
    bracket is the mean over the k-th roots of unity e of (e^-c)(e^Y). The sums over c are geometric series. The
    root 1 keeps the digits of a small p, the others have p as a factor.
    """
    most = np.minimum(p, 1 - LEAST_STAYING)
    log_w = np.log1p(-most) / k
    total = _at_one(k, who, tau, log_w)
    for root in range(1, k // 2 + 1):  # the others are their conjugates
        alike = 1 if 2 * root == k else 2
        z = np.exp(log_w + 2j * np.pi * root / k)
        total += alike * np.real(_generating(k, who, tau, z) / (1 - 1 / z)) * most / (k * (1 - most))
    first = sum((1 - p) ** i * _chance_of(k, who, i, tau)[:, None] for i in range(FIRST))
    return np.where(p > most, 1 - first, total)


def _at_one(k: int, who: Alive, tau: FloatArray, log_w: FloatArray) -> FloatArray:
    """1 - E[w^Y] (1 + w^-1 + .. + w^-(k - 1)) / k, shape (E, Q), without a difference of numbers next to 1."""
    silent = np.log1p(-tau[:, None] * np.expm1(log_w))
    more, less = np.zeros_like(log_w), np.zeros_like(log_w)
    for j, chance in enumerate(reached(k, who.n, who.u)):
        more += np.expm1(-j * log_w) / k
        less -= chance[:, None] * np.expm1(j * log_w - (who.n[:, None] + j) * silent)
    return less - more + more * less


def _generating(k: int, who: Alive, tau: FloatArray, z: ComplexArray) -> ComplexArray:
    """E[z^Y], shape (E, Q)."""
    base = 1 + tau[:, None] * (1 - z)
    total, each = np.zeros_like(z), z / base
    for chance in reached(k, who.n, who.u)[::-1]:
        total = chance[:, None] + total * each
    return np.asarray(total * np.exp(-who.n[:, None] * np.log(base)))


def _chance_of(k: int, who: Alive, purchases: int, tau: FloatArray) -> FloatArray:
    """P(N = i), shape (E,)."""
    total = np.zeros_like(tau)
    for j, chance in enumerate(reached(k, who.n, who.u)):
        needed = np.full_like(tau, k * purchases - j)
        total += chance * _chance_of_next(k, {"r": who.n + j, "alpha": 1.0}, needed, tau)
    return total
