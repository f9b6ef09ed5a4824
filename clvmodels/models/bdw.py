"""BdW, the beta-discrete-Weibull: customers differ, and each one's chance to leave changes with age.

The story. A customer has theta ~ Beta(alpha, beta), and is still there after t renewals with probability
(1 - theta)^(t^c). With c > 1 the chance to leave grows the longer one stays, with c < 1 it falls; c = 1 is sBG. So

    S(t) = B(alpha, beta + t^c) / B(alpha, beta)

and retention may fall before it rises.

References
----------
.. [1] Fader, Hardie, Liu, Davin and Steenburgh (2018), "How to Project Customer Retention" Revisited: The Role of
   Duration Dependence, Journal of Interactive Marketing 43, doi 10.1016/j.intmar.2018.01.002.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from clvmodels.foundation.model import Draws, Parameter
from clvmodels.foundation.patterns import FloatArray
from clvmodels.models import sbg
from clvmodels.models.residual import Tail
from clvmodels.models.retention import Staying, powered, retention_model
from clvmodels.models.retention_calendar import on_calendar


def tail(alpha: Any, beta: Any, c: Any) -> Tail:
    """S(t) falls as t^(-alpha c)."""
    return alpha * c, c, (alpha * (alpha + beta)) ** (1 / c)


def simulate(rng: np.random.Generator, parameters: Draws, size: int) -> FloatArray:
    """Renewals at which customers are lost, told as the story goes: the first t with S(t | theta) below a chance."""
    theta = rng.beta(parameters["alpha"], parameters["beta"], size)
    with np.errstate(divide="ignore", over="ignore"):
        reached = np.log(rng.random(size)) / np.log1p(-theta)
        return np.maximum(np.ceil(reached ** (1 / np.asarray(parameters["c"]))), 1.0)


def at_sbg(simpler: Mapping[str, float]) -> dict[str, float]:
    """Parameters at which the model is sBG."""
    return {**simpler, "c": 1.0}


BDW = retention_model(
    "bdw",
    Staying(("alpha", "beta"), sbg.log_survival, tail, time_letters=("c",), operational_time=powered),
    parameters=(  # with few ages c trades off against the others: priors as wide as those without c leave a ridge
        Parameter("alpha", "number", prior_median=1.0, prior_sd=1.0, covariates=1),
        Parameter("beta", "number", prior_median=2.0, prior_sd=1.0, covariates=1),
        Parameter("c", "number", prior_median=1.0, prior_sd=0.5),
    ),
    simulate=simulate,
    on_calendar=on_calendar,
    limits={"sbg": at_sbg},
    reference="Fader, Hardie, Liu, Davin and Steenburgh (2018), doi 10.1016/j.intmar.2018.01.002",
)
