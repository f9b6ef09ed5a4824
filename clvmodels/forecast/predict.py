"""`predict`: a quantity of each customer, as the posterior of an expectation or as a predictive one."""

from collections.abc import Callable

import numpy as np

from clvmodels.forecast import checks
from clvmodels.forecast.amounts import sample_amounts
from clvmodels.forecast.checks import ByCustomer, Horizon
from clvmodels.forecast.draws import DrawTable, forecasts_of
from clvmodels.forecast.expectations import (
    NO_END,
    NO_MEAN,
    History,
    discounted_purchases,
    distinct,
    evaluate,
    expectation,
    expected_purchases,
    require_formulas,
    warn_if_infinite,
)
from clvmodels.forecast.future import sample_purchases
from clvmodels.forecast.retention_quantities import predict_retention
from clvmodels.foundation.errors import DataError, FitError
from clvmodels.foundation.patterns import FloatArray, IntArray
from clvmodels.foundation.records import CustomerSummary, Forecast
from clvmodels.foundation.retention import Customers, RetentionTable
from clvmodels.foundation.whole import require_seed
from clvmodels.inference.likelihood import require_same_units
from clvmodels.inference.result import Fit

KEPT_EXPECTATIONS = 2**28  # bytes for replays: without zeros among them they take much, and soon are made again
Value = Callable[[History, FloatArray], FloatArray]  # (rows, their discount rates) -> (K, S)


def predict(
    fit: Fit,
    customers: Customers,
    *,
    quantity: str,
    horizon: Horizon | None = None,
    annual_discount_rate: ByCustomer | None = None,
    discount_per_unit: ByCustomer | None = None,
    age: ByCustomer | None = None,
    due: ByCustomer | None = None,
    seed: int | None = None,
    draws: int | None = None,
) -> Forecast:
    """A quantity of each customer, with its uncertainty.

    Parameters
    ----------
    fit : fit of a purchase model, of a spend model for "expected_spend" and "spend", or of a model of retention
    customers : a row a customer; counted rows (n_customers) for expectations only. Of a RetentionTable the rows of
        those still there, `customers.active`: the lost are left out, since they have no future
    quantity : posterior of the expectation: "p_alive" (at T, or at T + horizon without being seen meanwhile),
        "expected_purchases", "dert" (discounted expected residual transactions: purchases after T without end,
        each worth exp(-d t) at its time t after T), "expected_spend" (a purchase); "purchases", "spend" (the value
        of the next purchase): predictive, with customer and outcome uncertainty.
        Of a model of retention, given that a customer is still there at age T: "p_active" (at T + horizon; 1 at
        horizon 0), "residual_lifetime" (renewals still to be made, or time), "derl" (discounted expected residual
        lifetime: each renewal worth exp(-d t) at its time t after T; of models in continuous time an integral);
        "survival" (of a new customer, to an age) and "retention_rate" (of those there a unit of time before an age,
        the share there at it), at each row's own age or the one given
    horizon : length of time, in the customers' unit; for "expected_purchases" and "purchases" those in
        (T, T + horizon], or of a pair (t1, t2) those in (T + t1, T + t2]
    annual_discount_rate : effective rate a year, .10 for 10 %; one number or one a customer; for "dert"
    discount_per_unit : continuous rate per unit of time, in place of the annual one
    age : for "survival" and "retention_rate", in place of each row's own
    due : for "derl", time to the next renewal as a part of a unit, 0 to 1; by default the table's own, else 1
    seed : of the random numbers; for "purchases" and "spend"
    draws : number of draws S; by default those of the fit

    Returns
    -------
    Forecast : a row a customer; totals are sums over customers in each draw. "residual_lifetime" and "derl" have
        `p_infinite`, the share of draws in which they are infinite: then so is the mean, and quantiles are right

    Raises
    ------
    FitError
        If the model has no such quantity, or the fit is in another unit than the customers.
    DataError
        If horizon, rate or seed is missing, cannot be used, or is given where it means nothing.

    Notes
    -----
    A fit with one draw ("mle", "known") gives expectations without sd and quantiles. Predictive purchases are
    those of one future: what is drawn for (0, t1] and for (t1, t2] adds up to (0, t2] draw by draw.
    """
    offered = fit.model.quantities
    if quantity not in offered:
        raise FitError(f'{fit.model.name} has no quantity "{quantity}": expected one of {", ".join(offered)}.')
    require_same_units(fit, customers)
    if isinstance(customers, RetentionTable):
        _refuse_seed(quantity, seed)
        return predict_retention(
            fit,
            customers,
            quantity=quantity,
            horizon=horizon,
            annual_discount_rate=annual_discount_rate,
            discount_per_unit=discount_per_unit,
            age=age,
            due=due,
            draws=draws,
        )
    if age is not None or due is not None:
        raise DataError("age and due are for models of retention: leave them out.")
    rate = _require_rate(quantity, annual_discount_rate, discount_per_unit, customers)
    if quantity == "purchases":
        span = checks.require_span(horizon, quantity, fit.model)
        return sample_purchases(fit, customers, horizon=span, seed=require_seed(seed), draws=draws)
    if quantity == "spend":
        return sample_amounts(fit, customers, horizon=horizon, seed=require_seed(seed), draws=draws)
    _refuse_seed(quantity, seed)
    value, (start, end) = _value_of(fit, quantity, horizon)
    forecast = _expect(fit, customers, value, rate, draws, quantity=quantity, start=start, horizon=end)
    warn_if_infinite(forecast, NO_MEAN if quantity == "expected_spend" else NO_END)
    return forecast


def _refuse_seed(quantity: str, seed: int | None) -> None:
    if seed is not None:
        raise DataError(f"{quantity} is an expectation, without random numbers: leave out seed.")


def _require_rate(
    quantity: str,
    annual_discount_rate: ByCustomer | None,
    discount_per_unit: ByCustomer | None,
    customers: CustomerSummary,
) -> FloatArray:
    """The continuous discount rate of each customer, shape (N,); 0 where nothing is discounted."""
    if quantity == "dert":
        return checks.discount_rates(annual_discount_rate, discount_per_unit, customers)
    if annual_discount_rate is not None or discount_per_unit is not None:
        raise DataError(f"{quantity} is not discounted: leave out the rate.")
    return np.zeros(len(customers))


def _value_of(fit: Fit, quantity: str, horizon: Horizon | None) -> tuple[Value, tuple[float, float]]:
    """What to work out at rows and draws, and the stretch of time that it is of."""
    if quantity == "expected_purchases":
        start, end = checks.require_span(horizon, quantity, fit.model)
        return lambda history, _: expected_purchases(fit, history, start=start, end=end), (start, end)
    if quantity == "p_alive" and horizon is not None:
        after = checks.require_horizon(horizon, quantity, fit.model)
        require_formulas(fit, "p_alive with a horizon", "p_alive_after")
        return lambda history, _: expectation("p_alive_after", fit, history, after), (0.0, after)
    if horizon is not None:
        raise DataError(f"{quantity} does not end at a horizon: leave out horizon.")
    if quantity == "dert":
        return lambda history, rate: discounted_purchases(fit, history, rate, horizon=np.inf), (0.0, np.nan)
    return lambda history, _: evaluate(fit.model.formulas[quantity], fit, history), (0.0, np.nan)


def _expect(
    fit: Fit,
    customers: CustomerSummary,
    value: Value,
    rate: FloatArray,
    draws: int | None,
    *,
    quantity: str,
    start: float,
    horizon: float,
) -> Forecast:
    """Posterior of an expectation, worked out once for customers alike."""
    (parameters,), chains = checks.joint_draws((fit,), customers, draws, outcomes=False)
    cell = parameters.cell.astype(np.float64)
    columns, row_of = distinct((cell, rate, *checks.history_of(customers, fit.model)))
    counts = np.bincount(row_of, weights=customers.n_customers).astype(np.float64)

    def make(rows: IntArray, at: slice) -> FloatArray:
        cell, rate, *past = (column[rows] for column in columns)
        return value(History.of(parameters, at, cell, *past), rate)[None]

    return forecasts_of(
        DrawTable(make, row_of, counts, chains, KEPT_EXPECTATIONS),
        customers,
        quantities=(quantity,),
        method=checks.method_name(fit),
        start=start,
        horizon=horizon,
    )[0]
