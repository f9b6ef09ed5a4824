"""Are ranks uniform? Chi-square sees a wrong spread, the simultaneous ECDF band sees a shift; use both.

References
----------
.. [1] Talts, Betancourt, Simpson, Vehtari and Gelman (2018), Validating Bayesian Inference Algorithms with
   Simulation-Based Calibration, arXiv:1804.06788.
.. [2] Säilynoja, Bürkner and Vehtari (2022), Graphical test for discrete uniformity and its applications in
   goodness-of-fit evaluation and multiple sample comparison, Statistics and Computing 32, 32,
   doi 10.1007/s11222-022-10090-6.
"""

from functools import lru_cache

import numpy as np
from scipy import stats

from clvmodels.foundation.patterns import FloatArray, IntArray

BINS = 20
POINTS = 100  # at which the ECDF is looked at


def rank_of_first(values: FloatArray, rng: np.random.Generator) -> int:
    """Rank of values[0] among the others, 0 to L; its place among equals is drawn at random.

    Parameters
    ----------
    values : ndarray, shape (1 + L,), the true value and L draws; infinite values are ordinary
    """
    truth, draws = values[0], values[1:]
    ties = int(np.sum(draws == truth))
    return int(np.sum(draws < truth)) + int(rng.integers(0, ties + 1))


def chi_square_p(ranks: IntArray, draws: int) -> float:
    """p value of Pearson's chi-square over 20 bins of the ranks 0 to `draws`."""
    share = np.bincount(np.arange(draws + 1) * BINS // (draws + 1), minlength=BINS) / (draws + 1)
    counts = np.bincount(np.asarray(ranks) * BINS // (draws + 1), minlength=BINS)
    return float(stats.chisquare(counts, len(ranks) * share).pvalue)


def ecdf_p(ranks: IntArray, draws: int) -> float:
    """p value of the ranks' ECDF: the chance that uniform ranks leave a band as far out at any point.

    The farthest point is that of least two-sided binomial tail probability, eq. 10 of [2]_; the chance that
    uniform ranks stay nearer everywhere is exact, by the recursion of [2]_, section 2.3.
    """
    places, tails = _tails(len(ranks), draws)
    farthest = np.min(tails[np.arange(len(places)), _counts_below(ranks, places)])
    return 1.0 - _probability_within(tails > farthest, places / (draws + 1))


def ecdf_band(simulations: int, draws: int, *, level: float) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Points z and the bounds that the ECDF of uniform ranks stays within, at all of them, with chance 1 - level.

    Returns
    -------
    z, low, high : ndarrays, shape (K,), shares of the ranks
    """
    places, tails = _tails(simulations, draws)
    inside = tails > critical_tail(simulations, draws, level=level)
    low, high = inside.argmax(axis=1), simulations - inside[:, ::-1].argmax(axis=1)
    return places / (draws + 1), low / simulations, high / simulations


@lru_cache(maxsize=64)
def critical_tail(simulations: int, draws: int, *, level: float) -> float:
    """The greatest tail probability that uniform ranks fall to, at any point, with a chance of at most `level`."""
    places, tails = _tails(simulations, draws)
    candidates = np.unique(tails[tails <= level])
    first, last = 0, len(candidates)
    while last - first > 1:
        middle = (first + last) // 2
        leaves = 1.0 - _probability_within(tails > candidates[middle], places / (draws + 1))
        first, last = (middle, last) if leaves <= level else (first, middle)
    return float(candidates[first])


def _counts_below(ranks: IntArray, places: IntArray) -> IntArray:
    """Number of ranks below each place, shape (K,)."""
    return np.searchsorted(np.sort(ranks), places, side="left")


@lru_cache(maxsize=8)
def _tails(simulations: int, draws: int) -> tuple[IntArray, FloatArray]:
    """Places among the ranks, shape (K,), and the two-sided tail probability of each count below them, (K, N + 1)."""
    places = np.unique(np.arange(1, POINTS) * (draws + 1) // POINTS)
    places = places[places > 0]
    share, counts = places[:, None] / (draws + 1), np.arange(simulations + 1)
    lower = stats.binom.cdf(counts, simulations, share)
    upper = stats.binom.sf(counts - 1, simulations, share)
    return places, np.minimum(2 * np.minimum(lower, upper), 1.0)


def _probability_within(inside: np.ndarray[tuple[int, int], np.dtype[np.bool_]], share: FloatArray) -> float:
    """P(the count below each place is inside) for uniform ranks, place by place.

    Given R_i ranks below place i, R_{i+1} - R_i of the other N - R_i is binomial with chance
    (z_{i+1} - z_i) / (1 - z_i).
    """
    simulations = inside.shape[1] - 1
    counts, probability, before = np.zeros(1, dtype=np.int64), np.ones(1), 0.0
    for allowed, now in zip(inside, share, strict=True):
        following = np.flatnonzero(allowed)
        more = following[:, None] - counts
        step = stats.binom.pmf(more, simulations - counts, (now - before) / (1 - before))
        counts, probability, before = following, step @ probability, now
    return float(probability.sum())
