"""Purchases and spend together: a customer's purchase rate, drop-out rate and typical amount are jointly lognormal.

The story. Purchases are those of Abe's Pareto/NBD [1]_ and amounts those of `lognormal_spend`, with

    (u, v, w) = (log lambda, log mu, log m_i) trivariate normal over customers,

so that those who buy often, or stay long, may spend more or less a purchase, as in [2]_. The parameters are those of
the two models and

    rho_lam   the correlation of w and u
    rho_mu    the partial correlation of w and v given u

The correlation of w and v is rho rho_lam + rho_mu sqrt((1 - rho^2) (1 - rho_lam^2)): any three numbers between -1 and
1 are a correlation matrix.

No further integral is needed. Given n paid purchases of mean log amount L, (u, v) are normal again: with k =
n tau^2 / (n tau^2 + sigma^2) and c = (cov(u, w), cov(v, w)) their means move by k c (L - log m) / tau^2, and their
covariance by - k c c' / tau^2. So the likelihood is that of the amounts times Abe's at each customer's own
parameters (`given_amounts`). Where w weighs an expectation, as in purchases times their value, the means of (u, v)
move by cov((u, v), w | L) = (1 - k) c more (`weighed_by_value`).

Two records share the parameters: JOINT_PURCHASES, whose likelihood is that of purchases and amounts together, and
JOINT_SPEND. They are in `clvmodels.models.JOINT`, not in MODELS: one cannot be fitted without the other.

References
----------
.. [1] Abe (2009), Marketing Science 28(3), doi 10.1287/mksc.1090.0502.
.. [2] Borle, Singh and Jain (2008), Customer Lifetime Value Measurement, Management Science 54(1),
   doi 10.1287/mnsc.1070.0746.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from clvmodels.foundation.model import LOG_SPEND_HISTORY, PURCHASE_HISTORY, Draws, Formula, Model, Parameter
from clvmodels.foundation.ops import NUMPY_OPS, Ops
from clvmodels.foundation.patterns import FloatArray, IntArray, Levels, PurchasePatterns, SpendPatterns, Varying
from clvmodels.models import lognormal_spend, nbd, pareto_nbd_abe
from clvmodels.models.lognormal_spend import LOGNORMAL_SPEND
from clvmodels.models.pareto_nbd_abe import PARETO_NBD_ABE

HISTORY = (*PURCHASE_HISTORY, *LOG_SPEND_HISTORY)
READS = ("paid_purchases", "log_amount", "log_amount_sd")
NEW = ("expected_purchases_new", "purchase_pmf")  # formulas of a customer of whom nothing is known


def correlation_with_mu(rho: Any, rho_lam: Any, rho_mu: Any) -> Any:
    """The correlation of w and v, from that of u and v, of w and u, and the partial one of w and v given u."""
    return rho * rho_lam + rho_mu * ((1 - rho**2) * (1 - rho_lam**2)) ** 0.5


def given_amounts(parameters: Draws, n: Any, L: Any, ops: Ops) -> dict[str, Any]:
    """Abe's parameters of customers with n paid purchases of mean log amount L; all arguments broadcast."""
    lam, mu, sigma_lam, sigma_mu, rho = (parameters[name] for name in pareto_nbd_abe.NAMES)
    with_lam = parameters["rho_lam"]
    with_mu = correlation_with_mu(rho, with_lam, parameters["rho_mu"])
    tau = parameters["tau"]
    k = n * tau**2 / (n * tau**2 + parameters["sigma"] ** 2)
    from_centre = k * (L - ops.log(parameters["m"])) / tau
    left_lam, left_mu = (1 - k * with_lam**2) ** 0.5, (1 - k * with_mu**2) ** 0.5
    return {
        "lam": lam * ops.exp(with_lam * sigma_lam * from_centre),
        "mu": mu * ops.exp(with_mu * sigma_mu * from_centre),
        "sigma_lam": sigma_lam * left_lam,
        "sigma_mu": sigma_mu * left_mu,
        "rho": (rho - k * with_lam * with_mu) / (left_lam * left_mu),
    }


def weighed_by_value(parameters: Draws, n: Any, L: Any, ops: Ops) -> dict[str, Any]:
    """Abe's parameters of such customers, each weighed with the own median amount exp(w)."""
    _, _, sigma_lam, sigma_mu, rho = (parameters[name] for name in pareto_nbd_abe.NAMES)
    with_lam, tau = parameters["rho_lam"], parameters["tau"]
    with_mu = correlation_with_mu(rho, with_lam, parameters["rho_mu"])
    left = tau * parameters["sigma"] ** 2 / (n * tau**2 + parameters["sigma"] ** 2)  # (1 - k) tau
    plain = given_amounts(parameters, n, L, ops)
    return {
        **plain,
        "lam": plain["lam"] * ops.exp(with_lam * sigma_lam * left),
        "mu": plain["mu"] * ops.exp(with_mu * sigma_mu * left),
    }


@dataclass(frozen=True)
class _Reading:
    """What the likelihood reads of patterns, worked out once.

    Attributes
    ----------
    amounts : as the spend model reads them; patterns without paid purchases have n = 0, and a likelihood of 1
    n, L : ndarrays, shape (C,), distinct pairs of paid purchases and mean log amount
    cell : ndarray, shape (K,), the pair of each pattern
    """

    amounts: SpendPatterns
    n: FloatArray
    L: FloatArray
    cell: IntArray

    @classmethod
    def of(cls, patterns: PurchasePatterns) -> "_Reading":
        paid, L, s = patterns.paid_purchases, patterns.log_amount, patterns.log_amount_sd
        assert paid is not None
        assert L is not None
        assert s is not None
        amounts = SpendPatterns(Levels.of(paid), L, patterns.n_customers, "", L, s)
        pairs = Levels.of(paid).pairs_with(Levels.of(L).index)
        return cls(amounts, Levels.of(paid).values[pairs.value], Levels.of(L).values[pairs.cell], pairs.index)


def log_likelihood(parameters: Draws, patterns: PurchasePatterns, ops: Ops) -> Any:
    """Log likelihood of the purchases and amounts of each pattern, shape (..., K); parameters do not vary over rows."""
    read = patterns.plans.of(lambda: _Reading.of(patterns), log_likelihood)
    of_pairs = given_amounts(parameters, read.n, read.L, ops)
    own = {name: Varying(values, read.cell) for name, values in of_pairs.items()}
    of_amounts = lognormal_spend.log_likelihood(parameters, read.amounts, ops)
    return of_amounts + pareto_nbd_abe.log_likelihood(own, patterns, ops)


Conversion = Callable[[Draws, Any, Any, Ops], dict[str, Any]]


def _formulas(convert: Conversion) -> dict[str, Formula]:
    """Abe's formulas at each customer's own parameters; f(parameters, x, t_x, T, n, L, ...)."""

    def with_history(formula: Formula) -> Formula:
        def of(parameters: Draws, x: Any, t_x: Any, T: Any, n: Any, L: Any, *after: Any) -> FloatArray:
            return formula(convert(parameters, n, _known(n, L), NUMPY_OPS), x, t_x, T, *after)

        return of

    def of_newcomers(formula: Formula) -> Formula:
        return lambda parameters, *after: formula(convert(parameters, 0.0, 0.0, NUMPY_OPS), *after)

    conditional = ("p_alive", "p_alive_after", "expected_purchases", "conditional_purchase_pmf", "dert")
    of_abe = PARETO_NBD_ABE.formulas
    return {
        **{name: with_history(of_abe[name]) for name in conditional},
        **{name: of_newcomers(of_abe[name]) for name in NEW},
    }


def _known(n: Any, L: Any) -> FloatArray:
    """L where there are purchases that it is the mean of, else 0."""
    return np.where(np.asarray(n) > 0, L, 0.0)


def expected_spend(parameters: Draws, x: FloatArray, t_x: FloatArray, T: FloatArray, n: Any, L: Any) -> FloatArray:
    """E[exp(w + sigma^2 / 2) | x, t_x, T, n, L], shape (S, 1) with (K,) to (S, K).

    E[exp(w) f(u, v) | L] = E[exp(w) | L] E'[f(u, v) | L], with E' over the rates weighed by value. With f the
    likelihood of the purchases it is `lognormal_spend`'s expectation times the ratio of Abe's likelihoods, E' to E.
    """
    L = _known(n, L)
    with_value, plain = (
        _log_likelihood_of_rows(convert(parameters, n, L, NUMPY_OPS), x, t_x, T)
        for convert in (weighed_by_value, given_amounts)
    )
    return lognormal_spend.expected_spend(parameters, n, L) * np.exp(with_value - plain)


def _log_likelihood_of_rows(own: Draws, x: FloatArray, t_x: FloatArray, T: FloatArray) -> FloatArray:
    """Abe's log likelihood of rows at their own parameters, shape (S, K)."""
    rows = np.arange(len(x))
    own = {name: Varying(values, rows) for name, values in own.items()}
    return np.asarray(pareto_nbd_abe.log_likelihood(own, PurchasePatterns.of(x, t_x, T, ""), NUMPY_OPS))


def simulate_both(
    rng: np.random.Generator, parameters: Draws, end: FloatArray
) -> tuple[IntArray, FloatArray, FloatArray, FloatArray]:
    """Repeat purchases and amounts of customers seen from 0 to `end`, told as the story goes.

    Returns
    -------
    customer, time, amount : ndarrays, shape (E,), the position of the buyer, the time and value of each repeat
    first_amount : ndarray, shape (N,), value of each first purchase
    """
    lam, mu, sigma_lam, sigma_mu, rho, m, sigma, tau, rho_lam, rho_mu = (parameters[name] for name in NAMES)
    with_mu = correlation_with_mu(rho, rho_lam, rho_mu)
    correlations = np.array([[1.0, rho, rho_lam], [rho, 1.0, with_mu], [rho_lam, with_mu, 1.0]])
    u, v, w = np.linalg.cholesky(correlations) @ rng.normal(size=(3, len(end)))
    lifetime = rng.exponential(1.0, len(end)) / (mu * np.exp(sigma_mu * v))
    buyer, time = nbd.poisson_purchases(rng, lam * np.exp(sigma_lam * u), np.minimum(end, lifetime))
    median = m * np.exp(tau * w)
    first, amount = (median[who] * np.exp(sigma * rng.normal(size=len(who))) for who in (np.arange(len(end)), buyer))
    return buyer, time, amount, first


PARAMETERS = (
    *(replace(parameter, covariates=0) for parameter in PARETO_NBD_ABE.parameters),
    *(replace(parameter, covariates=0) for parameter in LOGNORMAL_SPEND.parameters),
    Parameter("rho_lam", "number", prior_median=0.0, prior_sd=1.0, support="correlation"),
    Parameter("rho_mu", "number", prior_median=0.0, prior_sd=1.0, support="correlation"),
)
NAMES = tuple(parameter.name for parameter in PARAMETERS)
REFERENCE = "Abe (2009), doi 10.1287/mksc.1090.0502; Borle, Singh and Jain (2008), doi 10.1287/mnsc.1070.0746"
JOINT_PURCHASES = Model(
    name="joint_purchases",
    family="purchases",
    parameters=PARAMETERS,
    log_likelihood=log_likelihood,
    history=HISTORY,
    reads=READS,
    density_of="purchases_and_amounts",
    formulas=_formulas(given_amounts),
    simulate=PARETO_NBD_ABE.simulate,  # of the purchases alone; `simulate_both` tells of the amounts too
    kernel="joint_purchases",
    methods=("mle", "laplace"),
    together_with="joint_spend",
    value_formulas=_formulas(weighed_by_value),
    reference=REFERENCE,
)
JOINT_SPEND = Model(
    name="joint_spend",
    family="spend",
    parameters=PARAMETERS,
    log_likelihood=lognormal_spend.log_likelihood,  # of the amounts alone
    history=HISTORY,
    reads=LOGNORMAL_SPEND.reads,
    density_of="amounts",
    formulas={"expected_spend": expected_spend},
    kernel="joint_spend",
    methods=("mle", "laplace"),
    together_with="joint_purchases",
    reference=REFERENCE,
)
