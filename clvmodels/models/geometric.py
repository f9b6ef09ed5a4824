"""Geometric: every customer leaves at each renewal with one and the same chance. The benchmark.

The story. At each renewal a customer leaves with probability theta, the same for all and at all times, so that
retention is constant: S(t) = (1 - theta)^t. The other models let customers differ, which makes retention rise.

References
----------
.. [1] Fader and Hardie (2007), How to Project Customer Retention, Journal of Interactive Marketing 21(1),
   doi 10.1002/dir.20074.
"""

from typing import Any

import numpy as np

from clvmodels.foundation.model import Draws, Parameter
from clvmodels.foundation.ops import Ops
from clvmodels.foundation.patterns import FloatArray
from clvmodels.models.residual import Tail
from clvmodels.models.retention import Staying, retention_model
from clvmodels.models.retention_calendar import on_calendar


def log_survival(tau: Any, theta: Any, *, ops: Ops) -> Any:
    """log G(tau) = tau log(1 - theta)."""
    return tau * ops.log1p(-theta)


def tail(theta: Any) -> Tail:
    """No power of time falls as fast."""
    return np.inf + 0 * theta, 1.0, 1.0


def lifetime(age: Any, theta: Any) -> Any:
    """(1 - theta) / theta renewals are still to come, at any age."""
    return (1 - theta) / theta + 0 * age


def simulate(rng: np.random.Generator, parameters: Draws, size: int) -> FloatArray:
    """Renewals at which customers are lost, told as the story goes: 1, 2, ... ."""
    return rng.geometric(parameters["theta"], size).astype(np.float64)


GEOMETRIC = retention_model(
    "geometric",
    Staying(("theta",), log_survival, tail, lifetime),
    parameters=(Parameter("theta", "number", prior_median=0.3, prior_sd=1.5, covariates=1, support="probability"),),
    simulate=simulate,
    on_calendar=on_calendar,
    reference="Fader and Hardie (2007), doi 10.1002/dir.20074",
)
