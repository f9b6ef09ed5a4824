"""Lognormal spend: amounts vary around a customer's own median by a factor, and so do the medians.

The story. A customer's purchases are worth log z ~ N(log m_i, sigma^2) each, and log m_i ~ N(log m, tau^2) over
customers, so m is the median purchase of the median customer. Spend is independent of how often the customer buys.

Gamma-Gamma has one tail of each kind: purchases of a customer can be far below the mean and seldom far above, and
means over customers fall off as a power, so that the population mean may not exist (q <= 1). Here purchases are
skewed to the right, as many small baskets and a few large ones are, and every mean is finite. It fits better where
the logarithms of a customer's amounts are symmetric and the greatest customers are not beyond all others;
`compare_models` tells which of it and `gamma_gamma_transactions` the amounts are for. An amount of 0 has no
logarithm: the paid purchases alone are learnt from, and a forecast is of a paid purchase.

References
----------
.. [1] Borle, Singh and Jain (2008), Customer Lifetime Value Measurement, Management Science 54(1),
   doi 10.1287/mnsc.1070.0746.
"""

import math
from typing import Any

import numpy as np

from clvmodels.foundation.model import LOG_SPEND_HISTORY, Draws, Model, Parameter
from clvmodels.foundation.ops import Ops
from clvmodels.foundation.patterns import FloatArray, SpendPatterns, at_rows

LOG_TWO_PI = math.log(2 * math.pi)


def log_likelihood(parameters: Draws, patterns: SpendPatterns, ops: Ops) -> Any:
    """Log density of the n amounts z of each customer, shape (..., K), with L and s the mean and sd of log z.

    The logarithms are normal with variance sigma^2 + tau^2 and covariance tau^2, so that

    log f = -n (L + log(2 pi) / 2) - (n - 1) log sigma - log(sigma^2 + n tau^2) / 2
            - n s^2 / (2 sigma^2) - n (L - log m)^2 / (2 (sigma^2 + n tau^2)).
    """
    assert patterns.log_amount is not None
    assert patterns.log_amount_sd is not None
    m, sigma, tau = (parameters[name] for name in ("m", "sigma", "tau"))
    n, L, s = patterns.frequency, patterns.log_amount, patterns.log_amount_sd
    known = n.map(lambda n, sigma, tau: n / (sigma**2 + n * tau**2), sigma, tau)
    of_sizes = n.map(
        lambda n, sigma, tau: (n - 1) * ops.log(sigma) + ops.log(sigma**2 + n * tau**2) / 2 + n * (LOG_TWO_PI / 2),
        sigma,
        tau,
    )
    within = n.rows * (s / at_rows(sigma)) ** 2
    return -n.rows * L - of_sizes - (within + known * (L - ops.log(at_rows(m))) ** 2) / 2


def expected_spend(parameters: Draws, purchases: FloatArray, log_mean: FloatArray) -> FloatArray:
    """E[exp(log m_i + sigma^2 / 2) | n, L] = exp(w L + (1 - w) log m + (1 - w) tau^2 / 2 + sigma^2 / 2).

    w = n tau^2 / (n tau^2 + sigma^2): log m_i given n purchases with a mean logarithm L is normal around
    w L + (1 - w) log m with variance (1 - w) tau^2. At n = 0 it is the population mean and L is not read.
    Shape (S, 1) with (K,) gives (S, K).
    """
    m, sigma, tau = (parameters[name] for name in ("m", "sigma", "tau"))
    n = np.asarray(purchases, dtype=np.float64)
    L = np.where(n > 0, log_mean, 0.0)
    spread = sigma**2 + n * tau**2
    own, base = n * tau**2 / spread, sigma**2 / spread
    return np.asarray(np.exp(own * L + base * (np.log(m) + tau**2 / 2) + sigma**2 / 2))


def simulate(rng: np.random.Generator, parameters: Draws, frequency: FloatArray) -> FloatArray:
    """Value of each purchase of customers with `frequency` purchases, customer by customer, shape (sum n,)."""
    log_m = np.log(parameters["m"]) + parameters["tau"] * rng.normal(size=len(frequency))
    buyer = np.repeat(np.arange(len(frequency)), np.asarray(frequency, dtype=np.int64))
    sigma = np.broadcast_to(parameters["sigma"], np.shape(frequency))[buyer]
    return np.asarray(np.exp(log_m[buyer] + sigma * rng.normal(size=len(buyer))))


LOGNORMAL_SPEND = Model(
    name="lognormal_spend",
    family="spend",
    parameters=(
        Parameter("m", "money", prior_median=0.8, prior_sd=1.0, covariates=1),
        Parameter("sigma", "number", prior_median=0.6, prior_sd=1.0),
        Parameter("tau", "number", prior_median=0.6, prior_sd=1.0),
    ),
    log_likelihood=log_likelihood,
    history=LOG_SPEND_HISTORY,
    reads=("log_amount", "log_amount_sd"),
    density_of="amounts",
    kernel="lognormal_spend",
    formulas={"expected_spend": expected_spend},
    simulate=simulate,
    reference="Borle, Singh and Jain (2008), doi 10.1287/mnsc.1070.0746",
)
