"""What a forecast asks of its arguments, checked before any work; and parameter draws brought together."""

import math
from collections.abc import Callable, Sequence
from numbers import Real
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from clvmodels.foundation.columns import id_texts
from clvmodels.foundation.errors import DataError, FitError
from clvmodels.foundation.model import Model
from clvmodels.foundation.patterns import FloatArray
from clvmodels.foundation.records import CustomerSummary
from clvmodels.foundation.retention import Customers
from clvmodels.foundation.units import discount_per_unit as rate_per_unit
from clvmodels.foundation.whole import require_count
from clvmodels.inference.diagnostics import require_passed
from clvmodels.inference.parameters import CustomerParameters, customer_parameters
from clvmodels.inference.result import Fit

if TYPE_CHECKING:  # slow to import and only named here
    import pandas as pd

OUTCOME_DRAWS = 2000  # of a fit that has one parameter draw
LONGEST = 1e150  # horizon: beyond its square, products of times are infinite and expectations NaN

Horizon = float | tuple[float, float]  # (0, t], or (t1, t2] of a pair
type ByCustomer = float | FloatArray | Sequence[float] | pd.Series[Any]


def require_horizon(horizon: Any, quantity: str, model: Model, *, most: float = LONGEST) -> float:
    """The horizon, checked.

    Raises
    ------
    DataError
        If it is missing, no number, negative, above `most`, or not whole where the model counts opportunities.
    """
    if horizon is None:
        raise DataError(f"{quantity} needs a horizon: a length of time in the customers' unit, such as 52.")
    if not (_is_number(horizon) and (0 <= horizon <= LONGEST or horizon == most)):
        finite = "finite and " if most < math.inf else ""
        raise DataError(f"horizon = {horizon!r}: expected a length of time, {finite}not negative.")
    _require_reach(model, float(horizon))
    require_whole_times(model, np.array([horizon]), "horizon")
    return float(horizon)


def require_span(horizon: Any, quantity: str, model: Model) -> tuple[float, float]:
    """Beginning and end of a horizon: (0, t), or the pair itself.

    Raises
    ------
    DataError
        If it is missing, or no length of time and no pair of them in order.
    """
    if not isinstance(horizon, tuple | list):
        return 0.0, require_horizon(horizon, quantity, model)
    if len(horizon) != 2 or not all(map(_is_number, horizon)) or not 0 <= horizon[0] <= horizon[1] <= LONGEST:
        raise DataError(f"horizon = {horizon!r}: expected a pair (t1, t2) of finite times with 0 <= t1 <= t2.")
    _require_reach(model, float(horizon[1]))
    require_whole_times(model, np.array(horizon), "horizon")
    return float(horizon[0]), float(horizon[1])


def _require_reach(model: Model, horizon: float) -> None:
    """Refuse a forecast beyond the end of the calendar that a model reads; those of retention refuse it themselves."""
    if model.timetable is not None and model.family != "retention":
        model.timetable.require_ahead(horizon)


def require_whole_times(model: Model, times: FloatArray, name: str) -> None:
    """Refuse times between opportunities.

    Raises
    ------
    DataError
        If the model counts opportunities and a time is not whole.
    """
    between = times[np.floor(times) != times]
    if model.clock == "opportunities" and len(between):
        raise DataError(
            f"{name} = {between[0]:g}: {model.name} counts opportunities, one a unit of time: give whole numbers."
        )


def require_ends(ends: Any, model: Model) -> FloatArray:
    """The end of each period, counted from T, shape (periods,).

    Raises
    ------
    DataError
        If they are not finite times above 0 in increasing order.
    """
    try:
        times = np.ascontiguousarray(ends, dtype=np.float64)
    except (TypeError, ValueError):
        times = np.empty(0)
    if times.ndim != 1 or len(times) == 0 or not (np.isfinite(times).all() and (np.diff(times, prepend=0.0) > 0).all()):
        raise DataError("ends of periods: expected finite times above 0, in increasing order.")
    _require_reach(model, float(times[-1]))
    require_whole_times(model, times, "the end of a period")
    return times


def _is_number(value: Any) -> bool:
    return isinstance(value, Real) and not isinstance(value, bool | np.bool_)


def by_customer(
    name: str, value: Any, customers: Customers, holds: Callable[[FloatArray], NDArray[np.bool_]], expected: str
) -> FloatArray:
    """One number for all, or one for each customer, shape (N,).

    Parameters
    ----------
    name : of the argument
    value : a number; an array of shape (N,) in the customers' order; or a pandas Series indexed by customer_id
    holds : which values are as `expected` says

    Raises
    ------
    DataError
        If there are more or fewer values than customers, a customer has none or several, or a value cannot be.
    """
    if _is_number(value):
        values = np.full(len(customers), float(value))
        if not holds(values).all():
            raise DataError(f"{name} = {value}: expected {expected}.")
        return values
    values = _in_order(name, value, customers)
    wrong = ~holds(values)
    if wrong.any():
        first = int(np.argmax(wrong))
        raise DataError(
            f"{name} = {values[first]} for customer_id {customers.customer_id[first]}, row {first} "
            f"({int(wrong.sum())} customers in all): expected {expected}."
        )
    return values


def _in_order(name: str, value: Any, customers: Customers) -> FloatArray:
    """A column of numbers in the customers' order."""
    import pandas as pd

    if isinstance(value, pd.Series):
        value = _by_id(name, value, customers)
    try:
        values = np.asarray(value, dtype=np.float64)
    except (TypeError, ValueError):
        raise DataError(f"{name} = {value!r}: expected a number, or one for each customer.") from None
    if values.shape != (len(customers),):
        raise DataError(
            f"{name} has shape {values.shape} for {len(customers)} customers: expected one number, an array in their "
            "order, or a Series indexed by customer_id."
        )
    return values


def _by_id(name: str, values: "pd.Series[Any]", customers: Customers) -> FloatArray:
    """The values of a Series by customer_id, shape (N,)."""
    keyed = values.set_axis(id_texts(values.index))
    if keyed.index.has_duplicates:
        raise DataError(f"{name} has customer_id {keyed.index[keyed.index.duplicated()][0]} twice.")
    missing = ~np.isin(customers.customer_id.astype(str), keyed.index.to_numpy(dtype=str))
    if missing.any():
        first = customers.customer_id[int(np.argmax(missing))]
        raise DataError(f"{name} has no value for {int(missing.sum())} customers (first: customer_id {first}).")
    return np.asarray(keyed.loc[customers.customer_id.tolist()].to_numpy())


def margins(value: Any, customers: Customers) -> FloatArray:
    """The share of spend that is profit of each customer, shape (N,).

    Raises
    ------
    DataError
        If it is negative, not finite, or not one a customer.
    """
    share = "a share of spend, 0 or above (0.3 means 30 %)"
    return by_customer("margin", value, customers, lambda v: np.isfinite(v) & (v >= 0), share)


def discount_rates(annual_discount_rate: Any, discount_per_unit: Any, customers: Customers) -> FloatArray:
    """Continuous discount rate per unit of time of each customer, shape (N,), from the one of the two that is given.

    Raises
    ------
    DataError
        If both or neither are given, or it is not finite, or not one a customer.
    """
    if (annual_discount_rate is None) == (discount_per_unit is None):
        raise DataError("give one of annual_discount_rate (0.10 means 10 % a year) and discount_per_unit.")
    if annual_discount_rate is None:
        expected = f"a finite continuous rate per {customers.unit}"
        return by_customer("discount_per_unit", discount_per_unit, customers, np.isfinite, expected)
    rates = by_customer(
        "annual_discount_rate",
        annual_discount_rate,
        customers,
        lambda v: np.isfinite(v) & (v > -1),
        "a number above -1 (0.10 means 10 % a year)",
    )
    known, index = np.unique(rates, return_inverse=True)
    return np.array([rate_per_unit(rate, customers.unit) for rate in known])[index]


def require_family(fit: Fit, family: str, place: str) -> None:
    """Refuse a fit of the other kind.

    Raises
    ------
    FitError
        If a spend model stands where a purchase model is expected, or the reverse.
    """
    if fit.model.family != family:
        raise FitError(
            f"{place} is a fit of {fit.model.name}, a {fit.model.family} model: a {family} model is expected."
        )


def require_single_customers(customers: CustomerSummary) -> None:
    """Refuse counted rows where outcomes are drawn.

    Raises
    ------
    DataError
        If a row stands for several customers.
    """
    if customers.n_customers is not None:
        raise DataError(
            "rows with n_customers stand for several customers: outcomes are drawn for each customer by its "
            "id, so give a row for each. Expectations (p_alive, expected_purchases) take counted rows."
        )


def joint_draws(
    fits: tuple[Fit, ...], customers: Customers, draws: int | None, *, outcomes: bool
) -> tuple[list[CustomerParameters], tuple[int, int]]:
    """The customers' parameters of each fit at the same draws; and the numbers of chains and draws.

    Draw s takes parameter draw s of every fit; of a fit with more draws than another evenly spaced ones; a fit
    with one draw ("mle", "known") holds still. `draws` below the number of parameter draws takes evenly spaced
    ones; for outcomes, `draws` above it takes each several times.

    Raises
    ------
    FitError
        If a fit failed its checks, or `draws` cannot be met.
    DataError
        If the customers lack a covariate or a group that a fit depends on.
    """
    for fit in fits:
        require_passed(fit)
    available = parameter_draws(fits)
    if draws is None:
        draws = OUTCOME_DRAWS if outcomes and available == 1 else available
    draws = require_count("draws", draws)
    if not outcomes and draws > available:
        raise FitError(f"draws = {draws}: the fit has {available}, and an expectation has no more than its parameters.")
    chosen = np.arange(draws) * available // draws
    shape = (1, draws)
    if draws == available:
        (sampled, *_) = [fit for fit in fits if fit.n_draws == available]
        shape = (int(sampled.draws.sizes["chain"]), int(sampled.draws.sizes["draw"]))
    parameters = [customer_parameters(fit, customers).take(chosen * fit.n_draws // available) for fit in fits]
    return parameters, shape


def parameter_draws(fits: tuple[Fit, ...]) -> int:
    """Parameter draws that fits have in common: a fit with one draw holds still."""
    return min({fit.n_draws for fit in fits} - {1}, default=1)


def history_of(customers: Customers, model: Model) -> tuple[FloatArray, ...]:
    """The columns that a model's formulas and kernel read, each shape (N,); what is not known stands as 0."""
    return tuple(np.nan_to_num(customers.column(name)) for name in model.history)


def method_name(*fits: Fit) -> str:
    """Models and how each was fitted, such as "bg_nbd+gamma_gamma:laplace" or "bg_nbd:mle".

    "mle" and "known" say that the forecast holds the parameters fixed; a model of spend that learnt from first
    baskets too says so: "bg_nbd+gamma_gamma[all]:laplace".
    """
    models = "+".join(fit.model.name + "[all]" * (fit.model.baskets == "all") for fit in fits)
    methods = "+".join(dict.fromkeys(fit.method for fit in fits))
    return f"{models}:{methods}"
