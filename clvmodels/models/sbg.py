"""sBG, the shifted-beta-geometric: customers differ in how likely they leave at a renewal.

The story. A customer leaves at each renewal with probability theta ~ Beta(alpha, beta), the customer's own and the same
at all renewals. Those likely to leave leave early, so retention rises with age though no customer changes:

    S(t) = B(alpha, beta + t) / B(alpha, beta)        r(t) = (beta + t - 1) / (alpha + beta + t - 1)

References
----------
.. [1] Fader and Hardie (2007), How to Project Customer Retention, Journal of Interactive Marketing 21(1), eqs. 5 to 7,
   doi 10.1002/dir.20074.
.. [2] Fader and Hardie (2010), Customer-Base Valuation in a Contractual Setting: The Perils of Ignoring Heterogeneity,
   Marketing Science 29(1), doi 10.1287/mksc.1080.0482.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from clvmodels.foundation.model import Draws, Parameter
from clvmodels.foundation.ops import Ops
from clvmodels.foundation.patterns import FloatArray
from clvmodels.models.residual import Tail
from clvmodels.models.retention import Staying, log_beta_survival, retention_model
from clvmodels.models.retention_calendar import on_calendar

ALIKE = 1e6  # alpha + beta at which customers hardly differ


def log_survival(tau: Any, alpha: Any, beta: Any, *, ops: Ops) -> Any:
    """log G(tau) = log B(alpha, beta + tau) - log B(alpha, beta), for whole and other tau."""
    return log_beta_survival(alpha, beta, tau, ops)


def tail(alpha: Any, beta: Any) -> Tail:
    """S(t) falls as t^-alpha."""
    return alpha, 1.0, alpha * (alpha + beta)


def lifetime(age: Any, alpha: Any, beta: Any) -> Any:
    """(beta + n) / (alpha - 1) renewals are still to come after n; infinitely many for alpha <= 1."""
    return np.divide(beta + age, alpha - 1, out=np.full(np.shape(alpha), np.inf), where=alpha > 1)


def simulate(rng: np.random.Generator, parameters: Draws, size: int) -> FloatArray:
    """Renewals at which customers are lost, told as the story goes; beyond 2^53 they are not told apart."""
    theta = rng.beta(parameters["alpha"], parameters["beta"], size)
    return lost_at(rng, theta)


def lost_at(rng: np.random.Generator, theta: FloatArray) -> FloatArray:
    """The first renewal that is not made, where each is missed with chance theta: 1, 2, ...; by inversion."""
    with np.errstate(divide="ignore"):
        waits = np.log(rng.random(theta.shape)) / np.log1p(-theta)
    return np.maximum(np.ceil(waits), 1.0)


def at_geometric(simpler: Mapping[str, float]) -> dict[str, float]:
    """Parameters at which the model is the geometric one."""
    return {"alpha": simpler["theta"] * ALIKE, "beta": (1 - simpler["theta"]) * ALIKE}


SBG = retention_model(
    "sbg",
    Staying(("alpha", "beta"), log_survival, tail, lifetime),
    parameters=(
        Parameter("alpha", "number", prior_median=1.0, prior_sd=1.5, covariates=1),
        Parameter("beta", "number", prior_median=2.0, prior_sd=1.5, covariates=1),
    ),
    simulate=simulate,
    on_calendar=on_calendar,
    limits={"geometric": at_geometric},
    reference="Fader and Hardie (2007), doi 10.1002/dir.20074",
)
