"""The target that mle, laplace and nuts read: log likelihood of counted patterns plus log prior.

Every parameter is positive and works as eta = log(parameter); eta has shape (S, P).
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from clvmodels.foundation.model import DataScale, Draws, Model
from clvmodels.foundation.ops import NUMPY_OPS
from clvmodels.foundation.patterns import FloatArray, PurchasePatterns, SpendPatterns
from clvmodels.foundation.priors import LogNormal

Patterns = PurchasePatterns | SpendPatterns
CELLS_AT_ONCE = 1_000_000  # draws x patterns held in memory, some 8 MB an array


@dataclass(frozen=True)
class Target:
    """A model, its data and its priors; without priors the target is the likelihood.

    Attributes
    ----------
    scale : typical time and money of the data, for starts and default priors
    """

    model: Model
    patterns: Patterns
    scale: DataScale
    priors: Mapping[str, LogNormal]

    @property
    def starts(self) -> FloatArray:
        """Centres of the default priors as eta, shape (P,): where a search may begin."""
        return np.log([p.default_prior(self.scale).median for p in self.model.parameters])


def parameters_of(eta: FloatArray, model: Model) -> dict[str, FloatArray]:
    """Columns (S, 1) of parameters on the natural scale from eta, shape (S, P)."""
    return {name: np.exp(eta[:, i : i + 1]) for i, name in enumerate(model.parameter_names)}


def total_log_likelihood(model: Model, patterns: Patterns, parameters: Draws) -> FloatArray:
    """Log likelihood of all customers at each draw, shape (S,); parameters are columns (S, 1).

    The one place where `n_customers` is applied. Memory is bounded by slices of draws.
    """
    size = len(parameters[model.parameter_names[0]])
    step = max(1, CELLS_AT_ONCE // len(patterns))
    total = np.empty(size)
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):  # far from the mode: set to -inf below
        for start in range(0, size, step):
            part = {name: value[start : start + step] for name, value in parameters.items()}
            total[start : start + step] = model.log_likelihood(part, patterns, NUMPY_OPS) @ patterns.n_customers
    return np.where(np.isnan(total), -np.inf, total)


def log_prior(target: Target, eta: FloatArray) -> FloatArray:
    """Log prior density of eta, shape (S,); 0 for a target without priors."""
    names = target.model.parameter_names
    terms = [prior.log_density_of_log(eta[:, names.index(name)]) for name, prior in target.priors.items()]
    return np.sum(terms, axis=0) if terms else np.zeros(len(eta))


def log_density(target: Target, eta: FloatArray) -> FloatArray:
    """Log posterior density of eta up to a constant, shape (S,); the log likelihood if there are no priors."""
    parameters = parameters_of(eta, target.model)
    return total_log_likelihood(target.model, target.patterns, parameters) + log_prior(target, eta)
