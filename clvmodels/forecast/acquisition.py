"""How many customers will be won: forecast from the numbers won in equal periods so far.

    y_t ~ NegativeBinomial(mean exp(l_t), variance exp(l_t) + tau^2 exp(2 l_t))
    l_t = l_(t-1) - sigma^2 / 2 + sigma e_t,   e_t ~ Normal(0, 1)
    sigma ~ HalfNormal(SIGMA), tau ~ HalfNormal(TAU), l_1 flat

The level wanders without a trend: what is expected of any period to come is the level of today. Seasons, campaigns and
a limit of the market are not in it. The posterior of (sigma, tau, l_T) is worked out on a grid by filtering forward,
so that nothing is to be tuned or to converge.
"""

from collections.abc import Sequence

import numpy as np
from scipy.special import ndtr
from scipy.stats import nbinom

from clvmodels.foundation.errors import DataError
from clvmodels.foundation.patterns import FloatArray, IntArray
from clvmodels.foundation.whole import require_count, require_seed

SIGMA, TAU = 0.15, 0.25
SIGMAS = np.array([0.0, 0.02, 0.05, 0.08, 0.12, 0.16, 0.2, 0.25, 0.3, 0.4, 0.5, 0.65, 0.8, 1.0])
TAUS = np.array([0.02, 0.05, 0.08, 0.12, 0.16, 0.2, 0.25, 0.3, 0.4, 0.5, 0.65, 0.8, 1.0])
STEP = 0.02  # of the grid of levels: as narrow as the least tau
BEYOND = 2.0  # logs that the grid goes on beyond the least and the largest number
LEAST_PERIODS = 6
LARGEST_MEAN = 1e15  # a level that would have to be drawn beyond it says nothing
TINY = np.finfo(float).tiny
ENDED = 1e-3  # chance of so many last periods without anybody, below which winning customers is over


def sample_new_customers(
    by_period: Sequence[int] | IntArray, *, periods: float, seed: int, draws: int = 2000
) -> FloatArray:
    """Predictive numbers of customers to be won in each period to come, shape (S, periods rounded up).

    Parameters
    ----------
    by_period : customers won in each period so far, all of one length, the last one ending now
    periods : how many periods to look ahead; what is left of a whole number is a last, shorter period
    seed : of the random numbers, 0 to 2^64 - 1
    draws : number of draws S

    Raises
    ------
    DataError
        If there are fewer than 6 periods, a number cannot be, or nobody was won in any of them.

    Notes
    -----
    The level follows a random walk without trend, and numbers scatter about it more than a Poisson's do: see the
    formulas at the head of `clvmodels.forecast.acquisition`. Seasons are not known to it.
    """
    counts = _require_counts(by_period)
    if not (np.isfinite(periods) and periods > 0):
        raise DataError(f"periods = {periods}: expected a number above 0.")
    size = require_count("draws", draws, least=1)
    rng = np.random.default_rng(require_seed(seed))
    levels = _levels(counts)
    level, sigma, tau = _sample(_posterior(counts, levels), levels, size, rng)
    whole = int(np.ceil(periods - 1e-9))
    lengths = np.minimum(1.0, periods - np.arange(whole))
    steps = sigma[:, None] * rng.standard_normal((size, whole)) - sigma[:, None] ** 2 / 2
    mean = np.minimum(np.exp(level[:, None] + np.cumsum(steps, axis=1)), LARGEST_MEAN) * lengths
    shape = np.broadcast_to(tau[:, None] ** -2.0, mean.shape)
    return np.asarray(rng.poisson(rng.gamma(shape, mean / shape)), dtype=np.float64)


def acquisition_has_ended(by_period: Sequence[int] | IntArray) -> bool:
    """Whether the last periods are without anybody, and too many for it to be chance at the rate before them.

    At the mean rate of the periods up to the last one with somebody, so many without anybody have a chance below
    0.001.
    """
    counts = np.asarray(by_period, dtype=np.float64)
    some = np.flatnonzero(counts)
    if len(some) == 0:
        return True
    rate = counts[: some[-1] + 1].mean()
    return bool(np.exp(-rate * (len(counts) - 1 - some[-1])) < ENDED)


def _require_counts(by_period: Sequence[int] | IntArray) -> FloatArray:
    counts = np.asarray(by_period, dtype=np.float64)
    if counts.ndim != 1 or len(counts) < LEAST_PERIODS:
        raise DataError(f"by_period has {counts.size} periods: expected {LEAST_PERIODS} or more, so take shorter ones.")
    if not ((counts >= 0) & (counts == np.floor(counts)) & np.isfinite(counts)).all():
        raise DataError("by_period: expected whole numbers of customers, 0 or more.")
    if not counts.any():
        raise DataError("by_period: nobody was won in any period, so there is nothing to forecast from.")
    return counts


def _levels(counts: FloatArray) -> FloatArray:
    """The grid of levels, in logs."""
    low, high = np.log(max(counts.min(), 0.5)) - BEYOND, np.log(counts.max() + 0.5) + BEYOND
    return np.arange(low, high + STEP, STEP)


def _posterior(counts: FloatArray, levels: FloatArray) -> FloatArray:
    """P(sigma, tau, level of the last period), shape (sigmas, taus, levels), by filtering forward.

    NB2 with size 1 / tau^2: P(success) = size / (size + mean).
    """
    size = TAUS[:, None, None] ** -2.0
    chance = size / (size + np.exp(levels)[:, None])
    likelihood = np.asarray(nbinom.pmf(counts, size, chance))  # (taus, levels, T)
    filtered = [_filter(likelihood, _transition(sigma, levels)) for sigma in SIGMAS]
    evidence = np.stack([of_sigma[1] for of_sigma in filtered])
    prior = np.log(_half_normal(SIGMAS, SIGMA))[:, None] + np.log(_half_normal(TAUS, TAU))
    weight = np.exp(evidence + prior - np.max(evidence + prior))
    joint = weight[:, :, None] * np.stack([of_sigma[0] for of_sigma in filtered])
    return np.asarray(joint / joint.sum())


def _filter(likelihood: FloatArray, step: FloatArray) -> tuple[FloatArray, FloatArray]:
    """P(level of the last period) for each tau, shape (taus, levels), and the log evidence of each, shape (taus,)."""
    state, evidence = np.full(likelihood.shape[:2], 1.0 / likelihood.shape[1]), np.zeros(len(likelihood))
    for t in range(likelihood.shape[2]):
        state = (state if t == 0 else state @ step) * likelihood[:, :, t]
        total = state.sum(axis=1)
        evidence += np.log(np.maximum(total, TINY))  # a tau that cannot give a number has no weight left
        state /= np.maximum(total, TINY)[:, None]
    return state, evidence


def _half_normal(grid: FloatArray, scale: float) -> FloatArray:
    """Mass of a half-normal prior at each point of an uneven grid."""
    middle = (grid[1:] + grid[:-1]) / 2
    edges = np.concatenate([[0.0], middle, [np.inf]]) / scale
    return np.asarray(2 * np.diff(ndtr(edges)))


def _transition(sigma: float, levels: FloatArray) -> FloatArray:
    """P(next level | level), shape (levels, levels): the mass that a step of the walk has in each cell of the grid."""
    if sigma == 0:
        return np.eye(len(levels))
    edges = np.append(levels - STEP / 2, np.inf)
    edges[0] = -np.inf
    move = (edges - levels[:, None] + sigma**2 / 2) / sigma
    return np.asarray(np.diff(ndtr(move), axis=1))


def _sample(
    posterior: FloatArray, levels: FloatArray, size: int, rng: np.random.Generator
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Draws of level, sigma and tau, each shape (S,), spread within the grid's cells of level."""
    place = np.searchsorted(np.cumsum(posterior.ravel()), rng.random(size) * (1 - 1e-12))
    sigma, tau, level = np.unravel_index(place, posterior.shape)
    return levels[level] + STEP * (rng.random(size) - 0.5), SIGMAS[sigma], TAUS[tau]
