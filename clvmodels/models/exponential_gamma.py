"""Exponential-gamma (Pareto of the second kind): customers who may leave at any time differ in how soon.

The story. A customer leaves at a steady rate lambda ~ Gamma(r, alpha), the customer's own. So

    S(t) = (alpha / (alpha + t))^r

It is to continuous time what sBG is to renewals.

References
----------
.. [1] Hardie and Fader (2018), Modeling Contract Durations in Continuous Time; the mixture is that of Pareto/NBD's
   lifetimes: Schmittlein, Morrison and Colombo (1987), Management Science 33(1), doi 10.1287/mnsc.33.1.1.
"""

from typing import Any

import numpy as np

from clvmodels.foundation.model import Draws, Parameter
from clvmodels.foundation.ops import Ops
from clvmodels.foundation.patterns import FloatArray
from clvmodels.models.residual import Tail
from clvmodels.models.retention import Staying, retention_model


def log_survival(tau: Any, r: Any, alpha: Any, *, ops: Ops) -> Any:
    """log G(tau) = -r log(1 + tau / alpha)."""
    return -r * ops.log1p(tau / alpha)


def log_hazard(t: Any, r: Any, alpha: Any, *, ops: Ops) -> Any:
    """log of r / (alpha + t), the rate at which those still there leave."""
    return ops.log(r) - ops.log(alpha + t)


def tail(r: Any, alpha: Any) -> Tail:
    """S(t) falls as t^-r."""
    return r, 1.0, r * alpha


def lifetime(age: Any, r: Any, alpha: Any) -> Any:
    """(alpha + T) / (r - 1) is still to come at T; infinite for r <= 1."""
    return np.divide(alpha + age, r - 1, out=np.full(np.shape(r), np.inf), where=r > 1)


def simulate(rng: np.random.Generator, parameters: Draws, size: int) -> FloatArray:
    """Times at which customers are lost, told as the story goes."""
    rate = rng.gamma(parameters["r"], 1 / np.asarray(parameters["alpha"]), size)
    with np.errstate(divide="ignore"):
        return np.asarray(rng.exponential(1.0, size) / rate)


EXPONENTIAL_GAMMA = retention_model(
    "exponential_gamma",
    Staying(("r", "alpha"), log_survival, tail, lifetime, log_hazard),
    parameters=(
        Parameter("r", "number", prior_median=1.0, prior_sd=1.5),
        Parameter("alpha", "time", prior_median=1.0, prior_sd=1.5, covariates=-1),
    ),
    simulate=simulate,
    reference="Schmittlein, Morrison and Colombo (1987), doi 10.1287/mnsc.33.1.1",
)
