"""Why customers leave at each age: shares of the reasons among the lost, pooled over ages.

Of those lost in the unit of time that ends at age k, m_k for each reason,

    m_k ~ Multinomial(q_k),    q_k ~ Dirichlet(a),

so a, above 0 for each reason, says what ages have in common: a / sum(a) the usual shares, and sum(a) how many losses
those weigh against an age's own. With the shares integrated out m_k is Dirichlet-multinomial; given a it is
q_k ~ Dirichlet(a + m_k). a is learnt as the parameters of any model are: mode, and importance sampling around it.

References
----------
.. [1] Nicolaie, van Houwelingen and Putter (2010), Vertical Modeling: A Pattern Mixture Approach for Competing Risks
   Modeling, Statistics in Medicine 29(11), doi 10.1002/sim.3844.
.. [2] Minka (2000), Estimating a Dirichlet Distribution, section 3.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from clvmodels.foundation.model import DataScale, Draws, Model, Parameter
from clvmodels.foundation.ops import Ops
from clvmodels.foundation.patterns import FloatArray
from clvmodels.inference.laplace import importance_sample, resample
from clvmodels.inference.optimise import find_mode
from clvmodels.inference.target import Target

PRIOR_MEDIAN, PRIOR_SD = 3.0, 2.0  # of each a: ages weigh from a handful of losses to hundreds against their own


@dataclass(frozen=True)
class ReasonCounts:
    """Losses by age and reason, as a likelihood reads them.

    Attributes
    ----------
    counts : ndarray, shape (K, R), of those lost in each unit of age, by reason
    """

    counts: FloatArray

    def __len__(self) -> int:
        return len(self.counts)

    @property
    def n_customers(self) -> FloatArray:
        """Each age once, shape (K,)."""
        return np.ones(len(self.counts))

    def take(self, rows: slice) -> "ReasonCounts":
        """Some of the ages."""
        return ReasonCounts(self.counts[rows])


@dataclass(frozen=True)
class ReasonShares:
    """Draws of the shares of the reasons among those lost at each age.

    Attributes
    ----------
    common : ndarray, shape (S, R), a
    by_age : ndarray, shape (S, K, R), q of each age; each sums to 1 over reasons
    pareto_k : of the importance weights of a
    """

    common: FloatArray
    by_age: FloatArray
    pareto_k: float


def learn_shares(counts: FloatArray, *, draws: int, rng: np.random.Generator) -> ReasonShares:
    """Posterior draws of the shares, shape (draws, K, R), from losses by age and reason, shape (K, R).

    An age without a loss has shares drawn from what the other ages have in common.
    """
    model = _model(counts.shape[1])
    patterns: Any = ReasonCounts(counts)
    priors = {parameter.name: parameter.default_prior(DataScale()) for parameter in model.parameters}
    target = Target(model, patterns, DataScale(), priors)
    sample = importance_sample(target, find_mode(target), draws, rng)
    common = model.natural(resample(sample, draws, rng))
    gammas = rng.standard_gamma(common[:, None, :] + counts) + np.finfo(np.float64).tiny
    return ReasonShares(common, gammas / gammas.sum(axis=2, keepdims=True), sample.pareto_k)


def _model(reasons: int) -> Model:
    """The Dirichlet-multinomial as a model, with a parameter for each reason."""
    names = [f"a{reason}" for reason in range(reasons)]

    def log_likelihood(parameters: Draws, patterns: ReasonCounts, ops: Ops) -> Any:
        a, counts = [parameters[name] for name in names], patterns.counts
        total: Any = sum(a)
        terms = (ops.gammaln(a[r] + counts[:, r]) - ops.gammaln(a[r]) for r in range(reasons))
        return ops.gammaln(total) - ops.gammaln(total + counts.sum(axis=1)) + sum(terms)

    return Model(
        name="reasons for leaving",
        family="retention",
        parameters=tuple(Parameter(name, "number", prior_median=PRIOR_MEDIAN, prior_sd=PRIOR_SD) for name in names),
        log_likelihood=log_likelihood,
    )
