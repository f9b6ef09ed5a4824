"""Floor 3: one target density a model, read by mle, laplace and nuts."""

from clvmodels.inference.criteria import compare_models, loo, waic
from clvmodels.inference.fitting import fit, fit_at
from clvmodels.inference.joint import fit_joint, fit_joint_at
from clvmodels.inference.likelihood import log_likelihood
from clvmodels.inference.result import Fit
from clvmodels.inference.revenue_retention import RevenueRetentionFit, fit_revenue_retention
from clvmodels.inference.sensitivity import prior_sensitivity
from clvmodels.inference.storage import load_fit

__all__ = [
    "Fit",
    "RevenueRetentionFit",
    "compare_models",
    "fit",
    "fit_at",
    "fit_joint",
    "fit_joint_at",
    "fit_revenue_retention",
    "load_fit",
    "log_likelihood",
    "loo",
    "prior_sensitivity",
    "waic",
]
