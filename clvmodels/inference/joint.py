"""`fit_joint`: purchases and spend learnt together, where spend depends on how often a customer buys."""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from clvmodels.data import learnt_spend
from clvmodels.foundation.effects import Effects, cells_of
from clvmodels.foundation.model import DataScale
from clvmodels.foundation.priors import Prior
from clvmodels.foundation.records import CustomerSummary
from clvmodels.inference.fitting import (
    data_scale,
    known_fit,
    learnt,
    priors_for,
    refuse_arguments,
    refuse_method,
    require_readable,
)
from clvmodels.inference.likelihood import has_spend, patterns_of
from clvmodels.inference.natural import Problem
from clvmodels.inference.result import Fit
from clvmodels.inference.target import Target
from clvmodels.models import JOINT_PURCHASES, JOINT_SPEND


def fit_joint(
    customers: CustomerSummary,
    *,
    method: str = "laplace",
    draws: int = 1000,
    seed: int | None = None,
    priors: Mapping[str, Prior] | None = None,
) -> tuple[Fit, Fit]:
    """Purchases and spend as one model, for when spend depends on how often a customer buys.

    Abe's Pareto/NBD and lognormal spend, with a customer's purchase rate, drop-out rate and median amount jointly
    lognormal. `spend_independence` tells whether it is needed: otherwise two models that are fitted apart are as
    good, and much faster.

    Parameters
    ----------
    customers : summary of single purchases' amounts: paid_purchases, log_amount and log_amount_sd are read beside
        frequency, recency and T. Customers without paid repeats say how they buy alone: a first basket is not
        learnt from, and in forecasts counts as one known amount
    method : "laplace" (posterior) or "mle" (maximum likelihood; ignores priors, needs no seed)
    draws : posterior draws to keep
    seed : of the random numbers; needed by "laplace"
    priors : replaces default priors, by parameter: lam, mu, sigma_lam, sigma_mu, rho, m, sigma, tau, rho_lam
        (correlation of log spend and log purchase rate), rho_mu (partial one of log spend and log drop-out rate
        given the purchase rate)

    Returns
    -------
    fit, spend : the two halves, with the same draws; `sample_clv`, `expected_clv` and other forecasts of value take
        them together. The likelihood of the first is that of purchases and amounts

    Raises
    ------
    FitError
        If the method or a prior is unknown, the seed is missing, or no mode is found.
    DataError
        If there is too little to learn from, or the customers lack the columns that tell of single amounts.
    """
    refuse_arguments(method, draws, seed)
    refuse_method(JOINT_PURCHASES, method)
    require_readable(JOINT_PURCHASES, customers)
    require_readable(JOINT_SPEND, customers)
    spenders = customers.take(has_spend(customers))
    learnt_spend(spenders, JOINT_SPEND.reads)
    effects = Effects()
    cells = cells_of(effects, customers)
    patterns, _ = patterns_of(JOINT_PURCHASES, customers, cells)
    scale = DataScale(time=data_scale(patterns).time, money=_typical_spend(spenders))
    chosen = {} if method == "mle" else priors_for(JOINT_PURCHASES, scale, effects, priors or {})
    target = Target(JOINT_PURCHASES, patterns, scale, chosen, effects)
    return halves(learnt(Problem(target, customers, cells), method, draws, seed))


def fit_joint_at(parameters: Mapping[str, float], *, unit: str = "week", currency: str = "USD") -> tuple[Fit, Fit]:
    """The joint model at known parameters: one draw, no data.

    Raises
    ------
    FitError
        If a parameter is missing or unknown, or cannot have that value.
    """
    return halves(known_fit(JOINT_PURCHASES, parameters, unit=unit, currency=currency))


def halves(fit: Fit) -> tuple[Fit, Fit]:
    """A fit of the joint model as one of purchases and one of spend, with the same draws."""
    return fit, replace(fit, model=JOINT_SPEND)


def _typical_spend(spenders: CustomerSummary) -> float:
    """Mean spend a purchase over customers of known spend."""
    known = spenders.take(has_spend(spenders))
    return float(np.average(known.monetary_value, weights=known.n_customers))
