"""Customer lifetime value: the predictive distribution, and the posterior of its mean."""

import numpy as np

from clvmodels.forecast import checks
from clvmodels.forecast.draws import DrawTable, forecasts_of
from clvmodels.forecast.future import discount_rate, require_value_arguments, sample_value
from clvmodels.forecast.predict import (
    History,
    distinct,
    evaluate,
    expected_purchases,
    of_those_alive,
    warn_if_infinite,
)
from clvmodels.foundation.errors import FitError
from clvmodels.foundation.patterns import FloatArray, IntArray
from clvmodels.foundation.quadrature import gauss_legendre
from clvmodels.foundation.records import CustomerSummary, Forecast
from clvmodels.inference.result import Fit

TIME_NODES = 12
CLUSTERING = 300.0  # with 12 nodes an error of 3e-7 from alpha = .05 to 2,000 and from 2.5 to 520 weeks


def sample_clv(
    fit: Fit,
    spend: Fit,
    customers: CustomerSummary,
    *,
    horizon: float,
    seed: int,
    annual_discount_rate: float | None = None,
    discount_per_unit: float | None = None,
    margin: float = 1.0,
    draws: int | None = None,
) -> Forecast:
    """Predictive distribution of each customer's CLV: margin x discounted spend in (T, T + horizon].

    With the uncertainty of parameters, customer and outcome; the past is not in it. The purchases are
    those of `predict(quantity="purchases")` at the same seed.

    Parameters
    ----------
    fit, spend : fits of a purchase model and of a spend model, with the same number of draws (or one)
    customers : a row a customer
    horizon : length of time, in the customers' unit
    seed : of the random numbers, 0 to 2^64 - 1
    annual_discount_rate : effective rate a year, .10 for 10 %; discounted by ln(1 + rate) / 365.25 a day
    discount_per_unit : continuous rate per unit of time, in place of the annual one
    margin : share of spend that is profit
    draws : number of draws S; by default those of the fits, 2,000 where both have one

    Raises
    ------
    FitError
        If the fits do not belong together or to these customers.
    DataError
        If horizon, rate, margin or seed cannot be used, rows stand for several customers, or a
        customer with repeat purchases has no monetary_value.
    """
    rate = discount_rate(annual_discount_rate, discount_per_unit, customers.unit)
    return sample_value(fit, spend, customers, horizon=horizon, seed=seed, rate=rate, margin=margin, draws=draws)


def expected_clv(
    fit: Fit,
    spend: Fit,
    customers: CustomerSummary,
    *,
    horizon: float,
    annual_discount_rate: float | None = None,
    discount_per_unit: float | None = None,
    margin: float = 1.0,
    draws: int | None = None,
) -> Forecast:
    """Posterior of each customer's expected CLV: what `sample_clv` would average to, draw by draw.

    margin x E(M | theta) x discounted expected purchases, each factor at the same parameter draws. It is
    narrower than the predictive distribution: the outcome's own chance is averaged out.

    Parameters and errors are those of `sample_clv`, without seed; counted rows (n_customers) are taken.

    Notes
    -----
    Discounted expected purchases take 13 evaluations of expected_purchases; `draws` below the fits'
    number takes evenly spaced draws and less time.
    """
    rate = discount_rate(annual_discount_rate, discount_per_unit, customers.unit)
    require_value_arguments(fit, spend, customers, margin)
    checks.require_horizon(horizon, "expected_clv", fit.model)
    for of, quantity in ((fit, "expected_purchases"), (spend, "expected_spend")):
        if quantity not in of.model.formulas:
            raise FitError(f'{of.model.name} has no quantity "{quantity}", which expected_clv needs.')
    (parameters, spend_parameters), chains = checks.joint_draws((fit, spend), customers, draws, outcomes=False)
    cells = (parameters.cell.astype(np.float64), spend_parameters.cell.astype(np.float64))
    columns, row_of = distinct(
        (*cells, *checks.history_of(customers, spend.model), *checks.history_of(customers, fit.model))
    )
    counts = np.bincount(row_of, weights=customers.n_customers).astype(np.float64)
    expected_spend = spend.model.formulas["expected_spend"]

    def make(rows: IntArray, at: slice) -> FloatArray:
        cell, spend_cell, *read = (column[rows] for column in columns)
        basket, past = read[: len(spend.model.history)], read[len(spend.model.history) :]
        history = History.of(parameters, at, cell, *past)
        purchases = discounted_purchases(fit, history, horizon=horizon, rate=rate)
        amount = evaluate(expected_spend, spend, History.of(spend_parameters, at, spend_cell, *basket))
        # where nothing is bought, an infinite amount adds nothing
        value = np.multiply(amount, purchases, out=np.zeros_like(purchases), where=purchases > 0)
        return margin * value[None]

    forecast = forecasts_of(
        DrawTable(make, row_of, counts, chains),
        customers,
        quantities=("expected_clv",),
        method=checks.method_name(fit, spend),
        horizon=horizon,
    )[0]
    warn_if_infinite(forecast)
    return forecast


def discounted_purchases(fit: Fit, history: History, *, horizon: float, rate: float) -> FloatArray:
    """Expected purchases in (T, T + h], each worth exp(-d t) at its time t after T. Shape (K, S).

    By parts, so that no rate of purchasing is needed, with CE(t) the expected purchases up to t::

        int_0^h exp(-d t) dCE(t) = exp(-d h) CE(h) + d int_0^h exp(-d t) CE(t) dt

    CE bends most right after T, so the nodes are set in log(1 + 300 t / h). A model that counts opportunities has
    this as a formula.

    Parameters
    ----------
    history : rows of what the model reads of a customer
    """
    if "discounted_if_alive" in fit.model.formulas:
        return of_those_alive("discounted_if_alive", fit, history, horizon, rate)
    total: FloatArray = np.exp(-rate * horizon) * expected_purchases(fit, history, horizon=horizon)
    nodes, weights = gauss_legendre(TIME_NODES)
    reach = np.log1p(CLUSTERING)
    for node, weight in zip(reach * nodes, reach * weights, strict=True):
        time = horizon * np.expm1(node) / CLUSTERING
        step = weight * horizon * np.exp(node) / CLUSTERING  # dt
        total += rate * step * np.exp(-rate * time) * expected_purchases(fit, history, horizon=float(time))
    return total
