"""Does the prior decide? Power-scaling of prior and likelihood, without a second fit.

The posterior under prior^alpha, or under likelihood^alpha, is the draws at hand with importance weights
proportional to prior^(alpha - 1) or likelihood^(alpha - 1), Pareto-smoothed. Sensitivity is how fast a
parameter's distribution moves away as alpha leaves 1: the cumulative Jensen-Shannon distance for each
doubling of alpha.

Raising a density to a power is not invariant under a change of variable, so it matters of what. Here each
prior is scaled where it is normal: log-normal priors as densities of the logarithm. Then

    LogNormal(median, sd)^alpha = LogNormal(median, sd / sqrt(alpha)),

a prior held with more or less confidence around the same median, and the same whether the rate or its inverse
is the parameter. As a density of the parameter itself the median would move by exp((1 - alpha) sd^2 / alpha)
too: a wide prior, whose pull is slight, would be counted as one that decides.

References
----------
.. [1] Kallioinen, Paananen, Bürkner and Vehtari (2024), Detecting and Diagnosing Prior and Likelihood
   Sensitivity with Power-Scaling, Statistics and Computing 34, 57, doi 10.1007/s11222-023-10366-5.
"""

from typing import TYPE_CHECKING

import numpy as np
from scipy import special

from clvmodels.foundation.errors import FitError
from clvmodels.foundation.patterns import FloatArray
from clvmodels.foundation.priors import HalfNormal, Normal, OneOf
from clvmodels.foundation.retention import Customers
from clvmodels.inference.criteria import fitted_customers
from clvmodels.inference.result import Fit, flat_draws

if TYPE_CHECKING:  # slow to import and only named here
    import pandas as pd

THRESHOLD = 0.05
ALPHAS = (0.99, 1.01)


def prior_sensitivity(fit: Fit, customers: Customers) -> "pd.DataFrame":
    """How far each parameter's posterior depends on the priors and on the data, sec. 2 of [1]_.

    Parameters
    ----------
    fit : by "laplace" or "nuts", at least 100 draws
    customers : those that it was fitted to

    Returns
    -------
    DataFrame : by parameter (and coefficient): prior, likelihood (cumulative Jensen-Shannon distance for each
        doubling of the power), diagnosis: "prior_dominates" (prior at .05 or above, likelihood below),
        "prior_data_conflict" (both at .05 or above), else "none"

    Raises
    ------
    FitError
        If the fit has no posterior draws, or was made on other customers or in another unit.

    Notes
    -----
    All priors are scaled together, but for the levels of groups: those are part of the model.
    """
    import pandas as pd
    from arviz_stats.base import array_stats  # slow to import

    if not fit.priors:
        raise FitError(f'{fit.model.name} was fitted by {fit.method}, without priors: fit it with method="laplace".')
    parts = {"prior": _log_prior(fit), "likelihood": _log_likelihood(fit, customers)}
    scaled = {part: [_weights(values, alpha) for alpha in ALPHAS] for part, values in parts.items()}
    rows = {
        name: {
            part: float(array_stats.power_scale_sense(draws, *weights, *ALPHAS)) if np.ptp(draws) > 0 else 0.0
            for part, weights in scaled.items()
        }  # a counted parameter may be one number in all draws
        for name, draws in flat_draws(fit.draws).items()
    }
    frame = pd.DataFrame.from_dict(rows, orient="index")
    frame["diagnosis"] = [diagnosis(row["prior"], row["likelihood"]) for row in rows.values()]
    return frame


def diagnosis(prior: float, likelihood: float) -> str:
    """What two sensitivities say together, table 2 of [1]_: "none", "prior_dominates" or "prior_data_conflict"."""
    if prior < THRESHOLD:
        return "none"
    return "prior_dominates" if likelihood < THRESHOLD else "prior_data_conflict"


def _weights(log_density: FloatArray, alpha: float) -> FloatArray:
    """Weights of the draws, shape (chain, draw), under density^alpha; they sum to 1."""
    from arviz_stats.base import array_stats  # slow to import

    log_weights = array_stats.power_scale_lw(log_density, alpha=alpha, axis=(-2, -1))
    return np.asarray(special.softmax(log_weights))


def _log_likelihood(fit: Fit, customers: Customers) -> FloatArray:
    """Log likelihood of all customers at each draw, shape (chain, draw)."""
    totals = fitted_customers(fit, customers).totals()
    return totals.reshape(fit.draws.sizes["chain"], fit.draws.sizes["draw"])


def _log_prior(fit: Fit) -> FloatArray:
    """Log density of the priors at each draw up to a constant, shape (chain, draw).

    A fit's priors are of the average customer and of coefficients of standardised covariates, its draws of a
    customer whose covariates are 0 and of covariates as they are.
    """
    draws = fit.draws
    total = np.zeros((draws.sizes["chain"], draws.sizes["draw"]))
    for parameter in fit.model.parameters:
        name, prior = parameter.name, fit.priors[parameter.name]
        if isinstance(prior, OneOf):  # all values are alike at any power
            continue
        assert not isinstance(prior, HalfNormal)
        eta = parameter.unknown(draws[name].values)
        if name in fit.effects.covariates:
            centre, scale = np.array([(c.centre, c.scale) for c in fit.effects.covariates[name]]).T
            gamma, of_gamma = draws[f"gamma_{name}"].values, fit.priors[f"gamma_{name}"]
            assert isinstance(of_gamma, Normal)
            eta = eta + parameter.covariates * gamma @ centre
            total += _normal(gamma * scale, of_gamma.mean, of_gamma.sd).sum(axis=-1)
        total += _normal(eta, *prior.normal)
    for name, column in fit.effects.pooled:
        between = fit.priors[f"{name}_group_sd"]
        assert isinstance(between, HalfNormal)
        total += _normal(draws[fit.effects.sd_name(name, column)].values, 0.0, between.sd)
    return total


def _normal(values: FloatArray, mean: float, sd: float) -> FloatArray:
    """Log density of a normal distribution, up to a constant."""
    return -(((values - mean) / sd) ** 2) / 2
