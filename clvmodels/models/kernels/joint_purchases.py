"""Purchases of the joint model: Abe's, with the rates' distribution given a customer's amounts.

`clvmodels.models.joint_spend` has the formulas; `state` is that of `pareto_nbd_abe`.
"""

import math
from typing import Any

import numba
import numpy as np

from clvmodels.models.kernels import pareto_nbd_abe
from clvmodels.models.kernels.interface import START

START_ABE, next_purchase = pareto_nbd_abe.start, pareto_nbd_abe.next_purchase
CHANGES = pareto_nbd_abe.CHANGES


@numba.njit(START, cache=True)
def start(stream: Any, theta: Any, history: Any, state: Any) -> None:
    """Draw the customer's rates given purchases and amounts, and go on as Abe's kernel does."""
    rho, m, sigma, tau, with_lam, rho_mu = theta[4], theta[5], theta[6], theta[7], theta[8], theta[9]
    with_mu = rho * with_lam + rho_mu * math.sqrt((1.0 - rho**2) * (1.0 - with_lam**2))
    n, log_mean = history[3], history[4]
    k = n * tau**2 / (n * tau**2 + sigma**2)
    from_centre = k * (log_mean - math.log(m)) / tau
    left_lam, left_mu = math.sqrt(1.0 - k * with_lam**2), math.sqrt(1.0 - k * with_mu**2)
    own = np.empty(5)
    own[0] = theta[0] * math.exp(with_lam * theta[2] * from_centre)
    own[1] = theta[1] * math.exp(with_mu * theta[3] * from_centre)
    own[2] = theta[2] * left_lam
    own[3] = theta[3] * left_mu
    own[4] = (rho - k * with_lam * with_mu) / (left_lam * left_mu)
    START_ABE(stream, own, history, state)
