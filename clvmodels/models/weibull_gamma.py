"""Weibull-gamma (Burr of the twelfth kind): customers differ, and each one's rate of leaving changes with age.

The story. A customer is still there after a time t with probability exp(-lambda t^c), lambda ~ Gamma(r, alpha). With
c > 1 the rate of leaving grows the longer one stays, with c < 1 it falls; c = 1 is exponential-gamma. Here alpha is
told as a time, such that lambda t^c = L (t / alpha)^c with L ~ Gamma(r, 1):

    S(t) = (1 + (t / alpha)^c)^-r

so that it means the same in days and in weeks.

References
----------
.. [1] Morrison and Schmittlein (1980), Jobs, Strikes, and Wars: Probability Models for Duration, Organizational
   Behavior and Human Performance 25(2), doi 10.1016/0030-5073(80)90065-3.
.. [2] Fader, Hardie, Liu, Davin and Steenburgh (2018), "How to Project Customer Retention" Revisited: The Role of
   Duration Dependence, Journal of Interactive Marketing 43, doi 10.1016/j.intmar.2018.01.002.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from clvmodels.foundation.model import Draws, Parameter
from clvmodels.foundation.ops import Ops
from clvmodels.foundation.patterns import FloatArray
from clvmodels.models.residual import Tail
from clvmodels.models.retention import Staying, powered, retention_model


def log_survival(tau: Any, r: Any, *, ops: Ops) -> Any:
    """log G(tau) = -r log(1 + tau)."""
    return -r * ops.log1p(tau)


def operational_time(t: Any, alpha: Any, c: Any, *, ops: Ops) -> Any:
    """tau(t) = (t / alpha)^c."""
    return powered(t / alpha, c, ops=ops)


def log_hazard(t: Any, r: Any, alpha: Any, c: Any, *, ops: Ops) -> Any:
    """log of r c (t / alpha)^c / t / (1 + (t / alpha)^c), the rate at which those still there leave."""
    power = c * (ops.log(t) - ops.log(alpha))
    return ops.log(r) + ops.log(c) + power - ops.log(t) - ops.softplus(power)


def tail(r: Any, alpha: Any, c: Any) -> Tail:
    """S(t) falls as t^(-r c)."""
    return r * c, c, alpha * r ** (1 / c)


def simulate(rng: np.random.Generator, parameters: Draws, size: int) -> FloatArray:
    """Times at which customers are lost, told as the story goes."""
    rate = rng.gamma(parameters["r"], 1.0, size)
    with np.errstate(divide="ignore", over="ignore"):
        return np.asarray(
            parameters["alpha"] * (rng.exponential(1.0, size) / rate) ** (1 / np.asarray(parameters["c"]))
        )


def at_exponential_gamma(simpler: Mapping[str, float]) -> dict[str, float]:
    """Parameters at which the model is the exponential-gamma one."""
    return {**simpler, "c": 1.0}


WEIBULL_GAMMA = retention_model(
    "weibull_gamma",
    Staying(
        ("r",),
        log_survival,
        tail,
        log_hazard=log_hazard,
        time_letters=("alpha", "c"),
        operational_time=operational_time,
    ),
    parameters=(  # with few ages c trades off against the others: priors as wide as those without c leave a ridge
        Parameter("r", "number", prior_median=1.0, prior_sd=1.0),
        Parameter("alpha", "time", prior_median=1.0, prior_sd=1.0, covariates=-1),
        Parameter("c", "number", prior_median=1.0, prior_sd=0.5),
    ),
    simulate=simulate,
    limits={"exponential_gamma": at_exponential_gamma},
    reference="Morrison and Schmittlein (1980), doi 10.1016/0030-5073(80)90065-3",
)
