"""Floor 3: one target density a model, read by mle, laplace and nuts."""

from clvmodels.inference.fitting import fit, fit_at, log_likelihood
from clvmodels.inference.result import Fit
from clvmodels.inference.storage import load_fit

__all__ = ["Fit", "fit", "fit_at", "load_fit", "log_likelihood"]
