"""Customers made up by a model's own story, with the future that a forecast is to be held against."""

import datetime as dt
import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from clvmodels.forecast.checks import require_whole_times
from clvmodels.foundation.calendar import Calendar
from clvmodels.foundation.errors import FitError
from clvmodels.foundation.events import purchase_columns, spend_columns
from clvmodels.foundation.model import Model
from clvmodels.foundation.patterns import FloatArray, IntArray
from clvmodels.foundation.records import CustomerSummary, IdArray, as_date
from clvmodels.foundation.units import days_per_unit
from clvmodels.inference.calendars import as_of, at_calendar
from clvmodels.inference.result import require_values
from clvmodels.models import model_named

if TYPE_CHECKING:  # slow to import and only named here
    import pandas as pd

Amounts = Callable[..., FloatArray]  # (rng, frequency=...) -> values of purchases, customer by customer


def simulate(
    model: str,
    parameters: Mapping[str, float],
    *,
    T: float | FloatArray,
    size: int,
    seed: int,
    horizon: float | None = None,
    spend: Mapping[str, float] | None = None,
    spend_model: str = "gamma_gamma",
    unit: str = "week",
    currency: str = "USD",
    calendar: Calendar | None = None,
    calibration_end: str | dt.date | None = None,
) -> "tuple[CustomerSummary, pd.DataFrame]":
    """Customers seen up to their age T, and what they do in the `horizon` after it.

    Parameters
    ----------
    model : registry name of a purchase model
    parameters : by the paper's letters
    T : age of all customers, or ndarray of shape (size,), units of time
    size : number of customers
    horizon : length of the future, units of time; T's mean if not given
    spend : parameters of the spend model; without them the summary has no monetary_value and the future no amount
    spend_model : registry name of a spend model
    calendar : for a model that reads one; its coefficients are parameters such as "gamma_alpha[christmas]"
    calibration_end : with a calendar, the day on which customers have the age T

    Returns
    -------
    customers : CustomerSummary
    future : frame with customer_id, purchases, and amount where `spend` is given

    Raises
    ------
    FitError
        If a model has no story, or a parameter, T or size cannot be.
    DataError
        If T or horizon are not whole where the model counts opportunities.
    """
    today = None if calibration_end is None else as_date(calibration_end, "calibration_end")
    record = at_calendar(purchase_story(model), parameters, calendar, today, unit)
    values = require_values(dict(parameters), record)
    spender = None if spend is None else spend_story(spend_model, spend)
    age = np.broadcast_to(np.asarray(T, dtype=np.float64), (size,))
    ahead = float(age.mean()) if horizon is None else float(horizon)
    if size < 1 or not np.all(np.isfinite(age) & (age >= 0)) or not (np.isfinite(ahead) and ahead > 0):
        raise FitError(f"size = {size}, T = {T}, horizon = {horizon}: expected size >= 1, T >= 0 and horizon > 0.")
    require_whole_times(record, np.unique([*age, ahead]), "a time")
    rng = np.random.default_rng(seed)
    buyer, time = _story(record, rng, values, age, ahead)
    amounts = _amounts(rng, spender, buyer, size)
    customers = _observed(buyer, time, age, amounts, unit, currency)
    if calendar is not None and today is not None:
        sums = _term_sums(calendar, today, unit, (buyer, time), age)
        customers = replace(customers, calendar=calendar, term_sums=sums, calibration_end=today)
    return customers, _future(buyer, time, age, amounts)


def purchase_story(model: str) -> Model:
    """The purchase model of that name, which tells when customers buy.

    Raises
    ------
    FitError
        If there is none of that name, or it tells no such story.
    """
    record = model_named(model)
    if record.family != "purchases" or record.simulate is None:
        raise FitError(f"{model} does not tell when customers buy: simulate a purchase model with a spend model.")
    return record


def spend_story(spend_model: str, spend: Mapping[str, float]) -> Amounts:
    """What purchases are worth, by a spend model at its parameters.

    Raises
    ------
    FitError
        If it is no spend model, or a parameter is missing or unknown, or cannot have that value.
    """
    record = model_named(spend_model)
    if record.family != "spend" or record.simulate is None:
        raise FitError(f"{spend_model} does not tell what a purchase is worth: expected a spend model.")
    return partial(record.simulate, parameters=require_values(dict(spend), record))


def _story(
    model: Model, rng: np.random.Generator, values: dict[str, float], age: FloatArray, ahead: float
) -> tuple[IntArray, FloatArray]:
    """Repeat purchases up to a time `ahead` after the age; on a calendar the story ends on that day."""
    if model.timetable is None:
        return _told(model, rng, values, age + ahead)
    per_unit = days_per_unit(model.timetable.unit)
    days = math.ceil(ahead * per_unit - 1e-6)
    model.timetable.require_ahead(ahead)
    last = as_of(model, model.timetable.today + dt.timedelta(days=days))
    buyer, time = _told(last, rng, values, age + days / per_unit)
    seen = time <= age[buyer] + ahead
    return buyer[seen], time[seen]


def _told(
    model: Model, rng: np.random.Generator, values: dict[str, float], end: FloatArray
) -> tuple[IntArray, FloatArray]:
    assert model.simulate is not None  # `simulate` has refused models without a story
    buyer, time = model.simulate(rng, values, end)
    return buyer, time


def _term_sums(
    calendar: Calendar, today: dt.date, unit: str, events: tuple[IntArray, FloatArray], age: FloatArray
) -> FloatArray:
    """Sum of each term over the days of a customer's repeat purchases up to their age, shape (N, Q)."""
    seen = events[1] <= age[events[0]]
    buyer, time = events[0][seen], events[1][seen]
    terms = calendar.at(np.ceil(today.toordinal() + (time - age[buyer]) * days_per_unit(unit)))
    return np.column_stack([np.bincount(buyer, weights=column, minlength=len(age)) for column in terms.T])


def _amounts(
    rng: np.random.Generator, spender: Amounts | None, buyer: IntArray, size: int
) -> tuple[FloatArray, FloatArray]:
    """Spend of each first purchase, shape (size,), and of each repeat purchase; NaN without a spend model."""
    if spender is None:
        return np.full(size, np.nan), np.full(len(buyer), np.nan)
    purchases = np.bincount(buyer, minlength=size) + 1
    amounts = spender(rng, frequency=purchases.astype(np.float64))  # customer by customer
    first = np.cumsum(purchases) - purchases
    repeats = np.empty(len(buyer))
    repeats[np.argsort(buyer, kind="stable")] = np.delete(amounts, first)
    return amounts[first], repeats


def _ids(size: int) -> IdArray:
    width = len(str(size))
    return np.array([f"{i + 1:0{width}d}" for i in range(size)], dtype=object)


def _observed(
    buyer: IntArray,
    time: FloatArray,
    age: FloatArray,
    amounts: tuple[FloatArray, FloatArray],
    unit: str,
    currency: str,
) -> CustomerSummary:
    seen = time <= age[buyer]
    known = not np.isnan(amounts[0]).any()
    spend = spend_columns(buyer[seen], amounts[1][seen], len(age)) if known else {"monetary_value": amounts[0]}
    return CustomerSummary(
        customer_id=_ids(len(age)),
        T=age.copy(),
        **purchase_columns(buyer[seen], time[seen], len(age)),
        **spend,
        first_amount=amounts[0],
        current_value=np.full(len(age), np.nan),
        unit=unit,
        currency=currency,
    )


def _future(
    buyer: IntArray, time: FloatArray, age: FloatArray, amounts: tuple[FloatArray, FloatArray]
) -> "pd.DataFrame":
    import pandas as pd

    later = buyer[time > age[buyer]]
    frame = pd.DataFrame({"customer_id": _ids(len(age)), "purchases": np.bincount(later, minlength=len(age))})
    if not np.isnan(amounts[0]).any():
        frame["amount"] = np.bincount(later, weights=amounts[1][time > age[buyer]], minlength=len(age))
    return frame
