"""The posterior of few unknowns by importance sampling that begins at the prior.

For posteriors that are long, thin and bent, which a t around the mode misses. Rounds of proposals, each a mixture of
t with the local shape of what the round before found [1]_, come nearer by weights raised to a power below 1 [2]_.
They learn a density that is flatter than the posterior, so that its tails are proposed more often than they weigh.
Where the last weights show that this failed, Pareto k and the effective size tell.

References
----------
.. [1] Cappé, Douc, Guillin, Marin and Robert (2008), Adaptive Importance Sampling in General Mixture Classes,
   Statistics and Computing 18(4), doi 10.1007/s11222-008-9059-x.
.. [2] Koblents and Míguez (2015), A Population Monte Carlo Scheme with Transformed Weights, Statistics and Computing
   25(2), doi 10.1007/s11222-013-9440-2.
"""

from dataclasses import dataclass

import numpy as np
from scipy import optimize, special
from scipy.spatial import distance

from clvmodels.foundation.patterns import FloatArray
from clvmodels.inference.laplace import LEAST_DOF, WeightedSample
from clvmodels.inference.target import Target, log_density

PILOT, LEAST_SIZE, POOL = 4000, 20_000, 4  # proposals of a round, of the last at least, and for each draw kept
ROUNDS = 30  # at most; the donors take 6
FLATTER = 0.6  # power of the posterior that is learnt
GOOD_EFFICIENCY = 0.1  # of the weights of a round: their power is the largest that has it
CENTRES = 100
NEAR = 0.1  # of the weight: the neighbours of a centre that tell its shape
WIDER = 1.25


@dataclass(frozen=True)
class LocalMixture:
    """An equal mixture of multivariate t, each with a scale of its own.

    Attributes
    ----------
    centres : ndarray, shape (C, U)
    roots : ndarray, shape (C, U, U), lower triangles whose squares are the scales
    """

    centres: FloatArray
    roots: FloatArray

    def draw(self, size: int, rng: np.random.Generator) -> FloatArray:
        """Independent but for equal shares of the components, shape (size, U)."""
        count, unknowns = self.centres.shape
        which = np.arange(size) % count
        normal = rng.standard_normal((size, unknowns, 1))
        z = normal * np.sqrt(LEAST_DOF / rng.chisquare(LEAST_DOF, (size, 1, 1)))
        return np.asarray(self.centres[which] + (self.roots[which] @ z)[..., 0])

    def log_density(self, phi: FloatArray) -> FloatArray:
        """Shape (S,) of phi (S, U)."""
        dof, (count, unknowns) = LEAST_DOF, self.centres.shape
        each = np.empty((count, len(phi)))
        for row, centre, root in zip(each, self.centres, self.roots, strict=True):
            squared = np.sum(((phi - centre) @ np.linalg.inv(root).T) ** 2, axis=1)
            row[:] = -(dof + unknowns) / 2 * np.log1p(squared / dof) - np.sum(np.log(np.diag(root)))
        constant = special.gammaln((dof + unknowns) / 2) - special.gammaln(dof / 2) - unknowns / 2 * np.log(np.pi * dof)
        return np.asarray(special.logsumexp(each, axis=0) + constant - np.log(count))


def annealed_sample(target: Target, draws: int, rng: np.random.Generator) -> WeightedSample:
    """Proposals to resample `draws` from: 4 times as many, and 20,000 or more; for a target with priors."""
    assert target.normal_priors is not None
    mean, sd = target.normal_priors
    proposal = LocalMixture(mean[None], np.diag(sd)[None])
    learnt_before = False
    for _ in range(ROUNDS):
        phi = proposal.draw(PILOT, rng)
        log_ratio = FLATTER * log_density(target, phi) - proposal.log_density(phi)
        power = _power(log_ratio)
        proposal = _refitted(phi, special.softmax(power * log_ratio), rng)
        if learnt_before and power == 1:
            break
        learnt_before = power == 1
    phi = proposal.draw(max(POOL * draws, LEAST_SIZE), rng)
    return WeightedSample.of(phi, log_density(target, phi) - proposal.log_density(phi))


def _power(log_ratio: FloatArray) -> float:
    """The largest power of the ratios, up to 1, whose weights have the efficiency that a round needs."""

    def lacking(power: float) -> float:
        return float(np.sum(special.softmax(power * log_ratio) ** 2) * len(log_ratio) - 1 / GOOD_EFFICIENCY)

    return 1.0 if lacking(1.0) <= 0 else float(optimize.brentq(lacking, 0.0, 1.0, xtol=1e-9))


def _refitted(phi: FloatArray, weights: FloatArray, rng: np.random.Generator) -> LocalMixture:
    """A mixture around draws of the weighted sample, each as the sample is near it."""
    spread = np.cov(phi.T, aweights=weights)
    floor = 1e-6 * np.diag(np.diag(spread))
    centres = phi[rng.choice(len(phi), CENTRES, p=weights)]
    # The spread is positive definite: the efficiency of a round leaves hundreds of points that matter.
    apart = distance.cdist(centres, phi, "mahalanobis", VI=np.linalg.inv(spread + floor))
    roots = []
    for row in apart:
        order = np.argsort(row)
        near = order[: np.searchsorted(np.cumsum(weights[order]), NEAR) + 1]
        roots.append(np.linalg.cholesky(WIDER**2 * np.cov(phi[near].T, aweights=weights[near]) + floor))
    return LocalMixture(centres, np.array(roots))
