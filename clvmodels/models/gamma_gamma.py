"""Gamma-Gamma: the mean spend of a purchase varies over customers, purchases vary around it.

The story. A customer's purchases are worth z ~ Gamma(p, nu) each (mean p / nu), and nu ~ Gamma(q, v)
over customers. x purchases with mean m say what is known of a customer. Spend is independent of
how often the customer buys.

References
----------
.. [1] Fader and Hardie (2013), The Gamma-Gamma Model of Monetary Value, note 025.
.. [2] Fader, Hardie and Lee (2005), RFM and CLV: Using Iso-Value Curves for Customer Base Analysis,
   Journal of Marketing Research 42(4), doi 10.1509/jmkr.2005.42.4.415.
"""

from typing import Any

import numpy as np

from clvmodels.foundation.model import SPEND_HISTORY, Draws, Model, Parameter
from clvmodels.foundation.ops import Ops
from clvmodels.foundation.patterns import FloatArray, SpendPatterns, at_rows


def log_likelihood(parameters: Draws, patterns: SpendPatterns, ops: Ops) -> Any:
    """Log density of each mean spend m of x purchases, eq. 1a of [1]_, shape (..., K).

    f(m | x) = (v / (x m + v))^q (x m / (x m + v))^(p x) / (m B(p x, q)).
    """
    p, q, v = (parameters[name] for name in ("p", "q", "v"))
    x, m = patterns.frequency, patterns.monetary_value
    spent = x.rows * m
    return (
        -at_rows(q) * ops.log1p(spent / at_rows(v))
        - at_rows(p) * x.rows * ops.log1p(at_rows(v) / spent)
        - ops.log(m)
        - x.map(lambda x, p, q: ops.betaln(p * x, q), p, q)
    )


def expected_spend(parameters: Draws, frequency: FloatArray, monetary_value: FloatArray) -> FloatArray:
    """E[mean spend of a purchase | x, m] = p (v + x m) / (p x + q - 1), eq. 5 of [1]_.

    The population mean p v / (q - 1) at x = 0, where m is not read. Infinite where p x + q <= 1.
    Shape (S, 1) with (K,) gives (S, K).
    """
    p, q, v = (parameters[name] for name in ("p", "q", "v"))
    x = np.asarray(frequency, dtype=np.float64)
    spent = np.where(x > 0, x * monetary_value, 0.0)
    excess = p * x + q - 1
    return np.where(excess > 0, p * (v + spent) / np.where(excess > 0, excess, 1.0), np.inf)


def simulate(rng: np.random.Generator, parameters: Draws, frequency: FloatArray) -> FloatArray:
    """Value of each purchase of customers with `frequency` purchases, customer by customer, shape (sum x,)."""
    nu = rng.gamma(parameters["q"], 1 / parameters["v"], len(frequency))
    buyer = np.repeat(np.arange(len(frequency)), np.asarray(frequency, dtype=np.int64))
    p = np.broadcast_to(parameters["p"], np.shape(frequency))[buyer]
    return np.asarray(rng.gamma(p, 1.0) / nu[buyer])


GAMMA_GAMMA = Model(
    name="gamma_gamma",
    family="spend",
    parameters=(
        Parameter("p", "number", prior_median=3.0, prior_sd=1.5),
        Parameter("q", "number", prior_median=3.0, prior_sd=1.0),
        Parameter("v", "money", prior_median=0.5, prior_sd=1.5, covariates=1),
    ),
    log_likelihood=log_likelihood,
    history=SPEND_HISTORY,
    density_of="mean_spend",
    kernel="gamma_gamma",
    formulas={"expected_spend": expected_spend},
    simulate=simulate,
    reference="Fader and Hardie (2013), note 025",
)
