"""Each customer's expected purchase rate as a covariate, so that spend may depend on it."""

from dataclasses import replace

import numpy as np

from clvmodels.forecast import checks
from clvmodels.forecast.expectations import History, distinct, evaluate
from clvmodels.foundation.effects import cells_of
from clvmodels.foundation.errors import DataError
from clvmodels.foundation.patterns import FloatArray
from clvmodels.foundation.records import CustomerSummary
from clvmodels.inference.diagnostics import require_passed
from clvmodels.inference.likelihood import require_same_units
from clvmodels.inference.parameters import parameters_at_point
from clvmodels.inference.result import Fit

PURCHASE_RATE = "log_purchase_rate"
SHARE_OF_GAP = 0.01  # of the mean time between purchases: over so short a time the rate stays what it is


def with_purchase_rate(fit: Fit, customers: CustomerSummary, *, horizon: float | None = None) -> CustomerSummary:
    """The customers with a covariate "log_purchase_rate", from what their histories say of their rates.

    It is log E[purchases in (T, T + horizon] | history, alive at T] / horizon at the point of a purchase fit: for a
    gamma distribution of rates log((r + x) / (alpha + T)). A customer without a repeat has one, too, and a newcomer
    that of the base. A spend model takes it as any covariate,

        known = with_purchase_rate(fit, customers)
        spend = clv.fit("gamma_gamma", known, covariates={"v": ["log_purchase_rate"]}, seed=1)
        clv.sample_clv(fit, spend, known, ...)

    whose coefficient is the elasticity of spend: a rate that is 1 % higher comes with purchases that are worth
    c % more. Forecasts are made of the customers with the covariate, by the purchase fit that it is from.

    Parameters
    ----------
    fit : of a purchase model, which makes the rates of customers comparable whatever their age
    customers : in the unit of the fit
    horizon : units of time that the rate is a mean over; by default a hundredth of the mean time between purchases.
        For a model in discrete time, or of regular timing, give some units

    Raises
    ------
    FitError
        If the fit is of a spend model, failed its checks, or is in another unit than the customers.
    DataError
        If the horizon cannot be, or there is no repeat purchase to take it from.
    """
    checks.require_family(fit, "purchases", "the first argument")
    require_same_units(fit, customers)
    require_passed(fit)
    ahead = _horizon(customers, horizon)
    at_point = parameters_at_point(fit, cells_of(fit.effects, customers))
    columns, row_of = distinct((at_point.cell.astype(np.float64), *checks.history_of(customers, fit.model)))
    rate = _purchases_if_alive(fit, History.of(at_point, slice(0, 1), *columns), ahead)[:, 0] / ahead
    return replace(customers, covariates={**customers.covariates, PURCHASE_RATE: np.log(rate)[row_of]})


def _horizon(customers: CustomerSummary, horizon: float | None) -> float:
    if horizon is not None:
        if not (np.isfinite(horizon) and horizon > 0):
            raise DataError(f"horizon = {horizon}: expected a length of time above 0, in the customers' unit.")
        return float(horizon)
    counts = np.ones(len(customers)) if customers.n_customers is None else customers.n_customers
    repeats = float(counts @ customers.frequency)
    if not repeats:
        raise DataError("no customer has a repeat purchase to take a horizon from: give horizon=... .")
    return SHARE_OF_GAP * float(counts @ customers.T) / repeats


def _purchases_if_alive(fit: Fit, history: History, horizon: float) -> FloatArray:
    """Expected purchases in (T, T + horizon] of a customer who is alive at T, at rows and draws."""
    formulas = fit.model.formulas
    if "purchases_if_alive" in formulas:
        x, _, T, *_ = history.columns
        return evaluate(formulas["purchases_if_alive"], fit, replace(history, columns=(x, T)), horizon)
    expected = evaluate(formulas["expected_purchases"], fit, history, horizon)
    return expected / evaluate(formulas["p_alive"], fit, history)
