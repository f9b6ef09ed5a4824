"""Spend of the joint model: lognormal spend around what a customer's drawn rates say.

`start` finds the state of `joint_purchases` in `state`: the rates of the same future. Given them log m_i is normal
with a mean that is linear in the logarithms of the rates, and amounts that are known say the rest.
"""

import math
from typing import Any

import numba
import numpy as np

from clvmodels.foundation.streams import normal
from clvmodels.models.kernels import lognormal_spend
from clvmodels.models.kernels.interface import NEXT_AMOUNT, START
from clvmodels.models.kernels.pareto_nbd_abe import LOG_LAM, LOG_MU

START_SPEND = lognormal_spend.start


@numba.njit(START, cache=True)
def start(stream: Any, theta: Any, history: Any, state: Any) -> None:
    """Draw the customer's log m_i given the rates and the known amounts."""
    rho, tau, rho_lam, rho_mu = theta[4], theta[7], theta[8], theta[9]
    of_lam = (state[LOG_LAM] - math.log(theta[0])) / theta[2]
    of_mu = (state[LOG_MU] - math.log(theta[1])) / theta[3]
    apart = (of_mu - rho * of_lam) / math.sqrt(1.0 - rho**2)
    own = np.empty(3)
    own[0] = theta[5] * math.exp(tau * (rho_lam * of_lam + rho_mu * math.sqrt(1.0 - rho_lam**2) * apart))
    own[1] = theta[6]
    own[2] = tau * math.sqrt((1.0 - rho_lam**2) * (1.0 - rho_mu**2))
    START_SPEND(stream, own, history[3:], state)


@numba.njit(NEXT_AMOUNT, cache=True)
def next_amount(stream: Any, theta: Any, state: Any) -> Any:
    """Value of the next purchase, in currency."""
    return math.exp(state[0] + theta[6] * normal(stream))
