"""Gamma-Gamma on individual transactions: the story of Gamma-Gamma, learnt from every amount.

The story is that of `gamma_gamma`: z ~ Gamma(p, nu) a purchase, nu ~ Gamma(q, v) over customers. There the data
are each customer's mean spend; here they are all amounts, so that what the purchases of one customer differ by
tells of p as well. Number, mean and mean logarithm of a customer's amounts are sufficient, and with one purchase
each the two likelihoods are the same.

An amount of 0 has no density: the paid purchases alone are learnt from, and a forecast is of a paid purchase.

References
----------
.. [1] Colombo and Jiang (1999), A Stochastic RFM Model, Journal of Interactive Marketing 13(3), 2-12.
.. [2] Fader and Hardie (2013), The Gamma-Gamma Model of Monetary Value, note 025.
"""

from typing import Any

from clvmodels.foundation.model import PAID_SPEND_HISTORY, Draws, Model
from clvmodels.foundation.ops import Ops
from clvmodels.foundation.patterns import SpendPatterns, at_rows
from clvmodels.models import gamma_gamma


def log_likelihood(parameters: Draws, patterns: SpendPatterns, ops: Ops) -> Any:
    """Log density of the n amounts z of each customer, shape (..., K): that of their mean m, and of z given m.

    f(z_1, ..., z_n) = prod_j z_j^(p - 1) / Gamma(p)^n  v^q Gamma(p n + q) / (Gamma(q) (v + n m)^(p n + q)),

    which is f(m | n) of Gamma-Gamma times m (prod_j z_j / m)^p Gamma(p n) / (Gamma(p)^n n^(p n) prod_j z_j), the
    Dirichlet density of the shares z_j / (n m): no q and no v in it.
    """
    assert patterns.log_amount is not None
    p, n = parameters["p"], patterns.frequency
    log_m, log_z = ops.log(patterns.monetary_value), patterns.log_amount
    shares = n.map(lambda n, p: ops.gammaln(p * n) - n * ops.gammaln(p) - p * n * ops.log(n), p)
    return (
        gamma_gamma.log_likelihood(parameters, patterns, ops)
        + log_m
        - n.rows * log_z
        + at_rows(p) * n.rows * (log_z - log_m)
        + shares
    )


GAMMA_GAMMA_TRANSACTIONS = Model(
    name="gamma_gamma_transactions",
    family="spend",
    parameters=gamma_gamma.GAMMA_GAMMA.parameters,
    log_likelihood=log_likelihood,
    history=PAID_SPEND_HISTORY,
    reads=("log_amount",),
    density_of="amounts",
    formulas=gamma_gamma.GAMMA_GAMMA.formulas,
    simulate=gamma_gamma.simulate,
    kernel="gamma_gamma",
    reference="Colombo and Jiang (1999)",
)
