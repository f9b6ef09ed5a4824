"""The posterior by its mode, its curvature and importance resampling.

A multivariate t around the mode proposes, the target weighs, Pareto smoothing tames the largest
weights [1]_, and systematic resampling keeps draws in proportion to their weights. Where the weights show
that the posterior is bent, a mixture of many narrow t around weighted draws proposes anew [2]_. The plain
normal approximation is never reported as the posterior.

References
----------
.. [1] Vehtari, Simpson, Gelman, Yao and Gabry (2024), Pareto Smoothed Importance Sampling, JMLR 25(72).
.. [2] West (1993), Approximating Posterior Distributions by Mixture, Journal of the Royal Statistical Society B
   55(2), doi 10.1111/j.2517-6161.1993.tb01911.x.
"""

from dataclasses import dataclass, replace

import numpy as np
from scipy import linalg, special
from scipy.spatial import distance

from clvmodels.foundation.patterns import FloatArray, IntArray
from clvmodels.inference.optimise import Mode
from clvmodels.inference.pareto import PARETO_K_LIMIT, smooth_weights
from clvmodels.inference.target import Target, log_density

POOL, MOST_POOL = 2, 4  # proposals for each draw that is kept; more where draws would be kept twice
REPEATS = 0.01  # share of draws that may be another's repeat
PILOT, LEAST_POOL = 1000, 400  # proposals; the least still has 60 in the tail that tells Pareto's k
GOOD_PARETO_K, GOOD_EFFICIENCY = 0.5, 0.25  # a better proposal is looked for where weights are worse than that
REFITS = 2
LEAST_DOF = 5.0  # of the t; with many unknowns as many as there are, or most proposals would lie far out
CENTRES = 64
WIDER = 1.5  # with narrower components the tail of Pareto/NBD's beta is missed


@dataclass(frozen=True)
class Proposal:
    """An equal mixture of multivariate t with one scale.

    Attributes
    ----------
    centres : ndarray, shape (M, U)
    scale : ndarray, shape (U, U)
    dof : degrees of freedom
    """

    centres: FloatArray
    scale: FloatArray
    dof: float


@dataclass(frozen=True)
class WeightedSample:
    """Proposals with their smoothed weights.

    Attributes
    ----------
    phi : ndarray, shape (M, U)
    log_ratio : ndarray, shape (M,), target over proposal
    weights : ndarray, shape (M,), smoothed, summing to 1
    pareto_k : shape of the tail of the raw weights; above 0.7 they cannot be trusted
    refits : proposals that had to be replaced before this one
    """

    phi: FloatArray
    log_ratio: FloatArray
    weights: FloatArray
    pareto_k: float
    refits: int = 0

    @classmethod
    def of(cls, phi: FloatArray, log_ratio: FloatArray) -> "WeightedSample":
        """Smooth the weights of proposals."""
        return cls(phi, log_ratio, *smooth_weights(log_ratio))

    @property
    def log_evidence(self) -> float:
        """log of the integral of the target, the mean ratio: the chance of the data, for a target with priors."""
        return float(special.logsumexp(self.log_ratio) - np.log(len(self.log_ratio)))

    @property
    def good(self) -> bool:
        """Whether no better proposal needs to be looked for."""
        return self.pareto_k <= GOOD_PARETO_K and self.effective_size >= GOOD_EFFICIENCY * len(self.weights)

    @property
    def effective_size(self) -> float:
        """Independent draws that the sample is worth, 1 / sum of squared weights."""
        return float(1 / np.sum(self.weights**2))


def importance_sample(target: Target, mode: Mode, draws: int, rng: np.random.Generator) -> WeightedSample:
    """Proposals to resample `draws` from: enough that few are kept twice, 4 times `draws` at the most.

    A pilot tells whether the proposal is good before the others are drawn from it.
    """
    size = max(POOL * draws, LEAST_POOL)
    pilot = min(PILOT, size)
    proposal = Proposal(mode.phi[None], mode.covariance, max(LEAST_DOF, len(mode.phi)))
    sample = WeightedSample.of(*_propose(target, proposal, pilot, rng))
    for refits in range(1, REFITS + 1):
        if sample.good:
            sample = _grown(target, proposal, sample, size - len(sample.phi), rng)
        if sample.good:
            break
        closer = _refitted(sample, rng)
        again = replace(WeightedSample.of(*_propose(target, closer, pilot, rng)), refits=refits)
        if again.pareto_k > max(sample.pareto_k, GOOD_PARETO_K):
            break
        proposal, sample = closer, again
    sample = _grown(target, proposal, sample, size - len(sample.phi), rng)
    while (
        sample.pareto_k <= PARETO_K_LIMIT
        and _kept_again(sample, draws) > REPEATS
        and len(sample.phi) < max(MOST_POOL * draws, LEAST_POOL)
    ):
        sample = _grown(target, proposal, sample, len(sample.phi), rng)
    return sample


def _grown(
    target: Target, proposal: Proposal, sample: WeightedSample, more: int, rng: np.random.Generator
) -> WeightedSample:
    """The sample with more proposals of the same kind."""
    if more <= 0:
        return sample
    drawn = _propose(target, proposal, more, rng)
    phi, log_ratio = (np.concatenate(both) for both in zip((sample.phi, sample.log_ratio), drawn, strict=True))
    return replace(WeightedSample.of(phi, log_ratio), refits=sample.refits)


def _kept_again(sample: WeightedSample, draws: int) -> float:
    """Share of draws that are a proposal kept before."""
    return float(np.maximum(sample.weights - 1 / draws, 0.0).sum())


def _refitted(sample: WeightedSample, rng: np.random.Generator) -> Proposal:
    """A mixture around draws of the sample [2]_, wider than the sample, so that weights are bounded."""
    unknowns = sample.phi.shape[1]
    mean = sample.weights @ sample.phi
    spread = (sample.phi - mean).T @ ((sample.phi - mean) * sample.weights[:, None])
    width = WIDER * (4 / ((unknowns + 2) * CENTRES)) ** (1 / (unknowns + 4))  # Silverman's
    return Proposal(resample(sample, CENTRES, rng), width**2 * spread + 1e-9 * np.diag(np.diag(spread)), LEAST_DOF)


def _propose(target: Target, proposal: Proposal, size: int, rng: np.random.Generator) -> tuple[FloatArray, FloatArray]:
    """Draws from the proposal, shape (size, U), and the log of target over proposal."""
    dof, (centres, unknowns) = proposal.dof, proposal.centres.shape
    root = linalg.cholesky(proposal.scale, lower=True)
    normal = rng.standard_normal((size, unknowns))
    z = normal * np.sqrt(dof / rng.chisquare(dof, (size, 1)))
    phi = proposal.centres[np.arange(size) % centres] + z @ root.T
    whitened = [linalg.solve_triangular(root, points.T, lower=True).T for points in (phi, proposal.centres)]
    squared = distance.cdist(whitened[0], whitened[1], "sqeuclidean")
    log_proposal = special.logsumexp(-(dof + unknowns) / 2 * np.log1p(squared / dof), axis=1)
    constant = special.gammaln((dof + unknowns) / 2) - special.gammaln(dof / 2) - unknowns / 2 * np.log(np.pi * dof)
    constant -= np.log(centres) + np.sum(np.log(np.diag(root)))
    return phi, log_density(target, phi) - log_proposal - constant


def resample(sample: WeightedSample, size: int, rng: np.random.Generator) -> FloatArray:
    """`size` draws of phi by systematic resampling, in random order; shape (size, U).

    Proposal i is kept size x weight_i times on average, and at most once if that is below 1.
    """
    shuffled = rng.permutation(len(sample.weights))
    ladder = np.cumsum(sample.weights[shuffled])
    rungs = (np.arange(size) + rng.random()) / size
    kept: IntArray = np.minimum(np.searchsorted(ladder, rungs * ladder[-1]), len(ladder) - 1)
    return np.asarray(sample.phi[shuffled[rng.permutation(kept)]])
