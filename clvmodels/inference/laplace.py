"""The posterior by its mode, its curvature and importance resampling.

A multivariate t around the mode proposes, the target weighs, Pareto smoothing tames the largest
weights, and systematic resampling keeps draws in proportion to their weights. The plain normal
approximation is never reported as the posterior.

References
----------
Vehtari, Simpson, Gelman, Yao and Gabry (2024), Pareto Smoothed Importance Sampling, JMLR 25(72).
"""

from dataclasses import dataclass

import numpy as np
from arviz_stats.base import array_stats
from scipy import linalg, special

from clvmodels.foundation.patterns import FloatArray, IntArray
from clvmodels.inference.optimise import Mode
from clvmodels.inference.target import Target, log_density

POOL = 2  # proposals for each draw that is kept
PARETO_K_LIMIT = 0.7


@dataclass(frozen=True)
class WeightedSample:
    """Proposals with their smoothed weights.

    Attributes
    ----------
    eta : ndarray, shape (M, P)
    weights : ndarray, shape (M,), summing to 1
    pareto_k : shape of the tail of the raw weights; above 0.7 they cannot be trusted
    """

    eta: FloatArray
    weights: FloatArray
    pareto_k: float

    @property
    def effective_size(self) -> float:
        """Independent draws that the sample is worth, 1 / sum of squared weights."""
        return float(1 / np.sum(self.weights**2))


def importance_sample(target: Target, mode: Mode, size: int, rng: np.random.Generator) -> WeightedSample:
    """Proposals around the mode, refitted once to their own weighted moments if the weights have a heavy tail."""
    sample = _weigh(target, mode.eta, mode.covariance, 5.0, size, rng)
    if sample.pareto_k <= PARETO_K_LIMIT:
        return sample
    centre = sample.weights @ sample.eta
    spread = (sample.eta - centre).T @ ((sample.eta - centre) * sample.weights[:, None])
    wider = spread + 0.1 * mode.covariance  # stays positive definite if few weights count
    return _weigh(target, centre, wider, 3.0, 2 * size, rng)


def _weigh(
    target: Target, centre: FloatArray, scale: FloatArray, dof: float, size: int, rng: np.random.Generator
) -> WeightedSample:
    """Draws from t(centre, scale, dof) with their Pareto-smoothed importance weights."""
    root = linalg.cholesky(scale, lower=True)
    normal = rng.standard_normal((size, len(centre)))
    z = normal * np.sqrt(dof / rng.chisquare(dof, (size, 1)))
    eta = centre + z @ root.T
    log_proposal = -(dof + len(centre)) / 2 * np.log1p(np.sum(z**2, axis=1) / dof)
    log_ratio = log_density(target, eta) - log_proposal
    log_weights, pareto_k = array_stats.psislw(-log_ratio)  # it is called with log likelihoods, whose weights are 1 / L
    return WeightedSample(eta, special.softmax(log_weights), float(pareto_k))


def resample(sample: WeightedSample, size: int, rng: np.random.Generator) -> FloatArray:
    """`size` draws of eta by systematic resampling, in random order; shape (size, P).

    Proposal i is kept size x weight_i times on average, and at most once if that is below 1.
    """
    shuffled = rng.permutation(len(sample.weights))
    ladder = np.cumsum(sample.weights[shuffled])
    rungs = (np.arange(size) + rng.random()) / size
    kept: IntArray = np.minimum(np.searchsorted(ladder, rungs * ladder[-1]), len(ladder) - 1)
    return np.asarray(sample.eta[shuffled[rng.permutation(kept)]])
