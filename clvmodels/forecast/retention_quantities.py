"""`predict` for customers whose relations end for all to see."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from clvmodels.forecast import checks
from clvmodels.forecast.draws import DrawTable, forecasts_of
from clvmodels.forecast.expectations import History, by_rate, evaluate, warn_if_infinite
from clvmodels.forecast.staying import Alike, by_row, discounting, scaled, still_there, times_to_renewal
from clvmodels.foundation.errors import DataError
from clvmodels.foundation.patterns import FloatArray, IntArray
from clvmodels.foundation.records import Forecast
from clvmodels.foundation.retention import RetentionTable
from clvmodels.inference.result import Fit

AT_AN_AGE = ("survival", "retention_rate")
WITHOUT_END = ("residual_lifetime", "derl")
NEVER_LOST = "there customers stay so long that their mean lifetime does not exist (sBG: alpha <= 1)"
Value = Callable[[History, FloatArray], FloatArray]  # (rows, their discount rates) -> (K, S)


def predict_retention(
    fit: Fit,
    table: RetentionTable,
    *,
    quantity: str,
    horizon: Any,
    annual_discount_rate: Any,
    discount_per_unit: Any,
    age: Any,
    due: Any,
    draws: int | None,
) -> Forecast:
    """The posterior of an expectation for each row that is still there; `predict` says what the arguments are.

    Rows alike in parameters, age and rate are worked out once: the cost follows cells x ages, not customers.
    """
    active = still_there(fit, table)
    _refuse_needless(quantity, horizon, (annual_discount_rate, discount_per_unit), age, due)
    end = checks.require_horizon(horizon, quantity, fit.model) if quantity == "p_active" else np.nan
    rate, factor = np.zeros(len(active)), np.ones(len(active))
    if quantity == "derl":
        rate = discounting(annual_discount_rate, discount_per_unit, table)
        if fit.model.clock == "opportunities":
            factor = np.exp(rate * (1 - times_to_renewal(due, fit, table)))
        elif due is not None:
            raise DataError(f"derl of {fit.model.name} is an integral over time, without renewals: leave out due.")
    if quantity in AT_AN_AGE and age is not None:
        active = replace(active, entry=np.zeros(len(active)), age=_ages(age, fit, table))
    if quantity == "retention_rate":
        _refuse_newcomers(active)
    alike = Alike.of(fit, active, draws, rate)
    value = _value_of(fit, quantity, end)
    infinite = quantity in WITHOUT_END

    def make(rows: IntArray, at: slice) -> FloatArray:
        values = value(alike.at(rows, at), alike.others[0][rows])
        return np.stack([values, np.isinf(values).astype(np.float64)]) if infinite else values[None]

    draw_table = DrawTable(make, alike.row_of, alike.counted(active.n_customers * factor), alike.chains)
    names = (quantity, "p_infinite") if infinite else (quantity,)
    forecasts = forecasts_of(draw_table, active, quantities=names, method=checks.method_name(fit), horizon=end)
    forecast = scaled(forecasts[0], factor)
    if infinite:
        forecast = replace(forecast, p_infinite=forecasts[1].mean)
        warn_if_infinite(forecast, NEVER_LOST)
    return forecast


def _refuse_needless(quantity: str, horizon: Any, rates: tuple[Any, Any], age: Any, due: Any) -> None:
    """Refuse arguments that mean nothing for a quantity."""
    if quantity != "p_active" and horizon is not None:
        raise DataError(f"{quantity} does not end at a horizon: leave out horizon.")
    if quantity != "derl" and rates != (None, None):
        raise DataError(f"{quantity} is not discounted: leave out the rate.")
    if quantity != "derl" and due is not None:
        raise DataError(f"{quantity} does not depend on when the next renewal is due: leave out due.")
    if quantity not in AT_AN_AGE and age is not None:
        raise DataError(f"{quantity} is of each row at its own age: leave out age.")


def _ages(age: Any, fit: Fit, table: RetentionTable) -> FloatArray:
    """The ages asked for, one a row that is still there."""
    ages = by_row("age", age, table, lambda v: np.isfinite(v) & (v >= 0), "an age, 0 or above")
    checks.require_whole_times(fit.model, ages, "age")
    return ages


def _refuse_newcomers(active: RetentionTable) -> None:
    """Refuse retention rates at ages below 1."""
    young = active.age < 1
    if young.any():
        first = int(np.argmax(young))
        raise DataError(
            f"retention_rate at the age {active.age[first]:g} of customer_id {active.customer_id[first]} "
            f"({int(young.sum())} rows in all): it is the share of those there a unit of time before that is still "
            'there, so ages begin at 1. Give age=1, or ask for "p_active" with horizon=1, the rate of the next renewal.'
        )


def _value_of(fit: Fit, quantity: str, horizon: float) -> Value:
    """What to work out at rows and draws."""
    formula = fit.model.formulas[quantity]
    if quantity == "p_active":
        return lambda rows, _: evaluate(formula, fit, rows, horizon)
    if quantity == "derl":
        return lambda rows, rate: by_rate(lambda d, some: evaluate(formula, fit, some, d, 1.0), rows, rate)
    return lambda rows, _: evaluate(formula, fit, rows)
