"""What customers under contract are worth: those still there, and new ones.

Prices are paid at the beginning of each unit of time, so a customer who has paid for the running one pays next at the
next renewal, if it is made. Of one who is still there at age n, with the next renewal due after a time u,

    E(residual value) = margin x price x sum_{t>=1} S(n + t) / S(n) exp(-d (t - 1 + u))        [1]_, eq. 5

and a new customer, who pays at once, is worth price x sum_{t>=0} S(t) exp(-d t). In continuous time customers pay all
the time, and the sums are integrals.

References
----------
.. [1] Fader and Hardie (2010), Customer-Base Valuation in a Contractual Setting: The Perils of Ignoring Heterogeneity,
   Marketing Science 29(1), doi 10.1287/mksc.1080.0482.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from clvmodels.forecast import checks
from clvmodels.forecast.checks import ByCustomer
from clvmodels.forecast.draws import DrawTable, Make, forecasts_of, group_totals
from clvmodels.forecast.expectations import History, by_rate, evaluate, require_formulas
from clvmodels.forecast.residual import has_closed_form, paid_at_renewals, require_end, residual
from clvmodels.forecast.staying import (
    Alike,
    Groups,
    by_row,
    discounting,
    long_frame,
    newcomers,
    scaled,
    statistics_of,
    still_there,
    times_to_renewal,
    with_all,
)
from clvmodels.foundation.errors import DataError
from clvmodels.foundation.patterns import BoolArray, FloatArray, IntArray
from clvmodels.foundation.records import Forecast
from clvmodels.foundation.retention import RetentionTable
from clvmodels.inference.result import Fit

if TYPE_CHECKING:  # slow to import and only named here
    import pandas as pd


@dataclass(frozen=True)
class RetentionValue:
    """Expected residual value of customers still there, and the equity of the base: what all of them are worth.

    Attributes
    ----------
    values : of a customer of each row; its totals are the equity, all customers counted
    by : the grouping column, or None
    labels : of the groups; "all" where there is one
    customers : ndarray, shape (G,)
    equity : ndarray, shape (G, S), sum over the customers of each group
    """

    values: Forecast
    by: str | None
    labels: tuple[str, ...]
    customers: FloatArray
    equity: FloatArray

    def to_pandas(self) -> "pd.DataFrame":
        """A frame with a row a row of the table: customer_id, mean, sd, q05, q50, q95 of a customer's value."""
        return self.values.to_pandas()

    def equity_to_pandas(self) -> "pd.DataFrame":
        """A frame by group: customers, mean, sd, q05, q50, q95 of the equity, and a customer's mean value."""
        counts = dict(with_all(self.labels, self.customers))
        return long_frame(
            [
                {
                    self.by or "group": label,
                    "customers": counts[label],
                    **statistics_of(draws[:, None]),
                    "mean_value": draws.mean() / counts[label],
                }
                for label, draws in with_all(self.labels, self.equity)
            ]
        )


def retention_value(
    fit: Fit,
    table: RetentionTable,
    *,
    price: ByCustomer | None = None,
    margin: ByCustomer = 1.0,
    annual_discount_rate: ByCustomer | None = None,
    discount_per_unit: ByCustomer | None = None,
    horizon: float = math.inf,
    due: ByCustomer | None = None,
    by: str | None = None,
    draws: int | None = None,
) -> RetentionValue:
    """Posterior of the expected residual value of each row's customers, and of the equity of the base.

    Parameters
    ----------
    fit : of a model of retention
    table : its rows still there are valued, `table.active`; the lost are worth nothing any more
    price : what a customer pays a unit of time, one number or one a row; by default the table's own
    margin : share of the price that is profit, one number or one a row
    annual_discount_rate : effective rate a year, .10 for 10 %; discounted by ln(1 + rate) / 365.25 a day
    discount_per_unit : continuous rate per unit of time, in place of the annual one
    horizon : how many renewals ahead (or how long a time) count; all by default
    due : time to the next renewal as a part of a unit: 0 at the end of a contract, 1 just after a renewal; by default
        the table's own, else 1
    by : grouping column, such as "segment", to add up equity by
    draws : number of draws S; by default those of the fit

    Raises
    ------
    FitError
        If the fit is of another family or unit, failed its checks, or its model has no derl.
    DataError
        If all are lost; a price is not known or negative; or rate, margin, horizon or due cannot be used.

    Notes
    -----
    A model in continuous time on a table of renewals is paid at renewals too.
    """
    active = still_there(fit, table)
    rate = discounting(annual_discount_rate, discount_per_unit, table)
    worth = profits(price, margin, table) * np.exp(rate * (1 - times_to_renewal(due, fit, table)))
    value = residual_by_rate(fit, active, horizon, rate)
    groups = Groups.of(active, by)
    columns = rate, (worth > 0).astype(np.float64), groups.place.astype(np.float64)
    alike = Alike.of(fit, active, draws, *columns)
    weights = alike.counted(active.n_customers * worth)
    make = _valued(alike, value)
    draw_table = DrawTable(make, alike.row_of, weights, alike.chains)
    forecast = forecasts_of(
        draw_table, active, quantities=("residual_value",), method=checks.method_name(fit), horizon=horizon
    )[0]
    equity = forecast.total_draws[None]
    if by is not None:
        equity = totals_by_group(alike, lambda rows: weights[rows, None] * make(rows, alike.every)[0])
    return RetentionValue(scaled(forecast, worth), by, groups.labels, groups.customers(active), equity)


Value = Callable[[History, FloatArray], FloatArray]  # (rows, their discount rates) -> (K, S)


def profits(price: Any, margin: Any, table: RetentionTable) -> FloatArray:
    """margin x price of a unit of time of each row that is still there, shape (N,).

    Raises
    ------
    DataError
        If a price is neither given nor in the table, or one of the two is negative, not known, or not one a row.
    """
    if price is None and table.price is None:
        raise DataError("the table has no prices: give price=..., what a customer pays a unit of time.")
    known = table.price if price is None else price
    amounts = by_row("price", known, table, _not_negative, "an amount, 0 or above, for each row")
    return amounts * by_row("margin", margin, table, _not_negative, "a share of the price, 0 or above (0.3 means 30 %)")


def _not_negative(values: FloatArray) -> BoolArray:
    return np.isfinite(values) & (values >= 0)


def residual_by_rate(fit: Fit, table: RetentionTable, horizon: float, rate: FloatArray) -> Value:
    """Discounted expected units of time with the next renewal a unit away, as the horizon asks for it, checked."""
    horizon = checks.require_horizon(horizon, "the value of customers", fit.model, most=math.inf)
    at_renewals = paid_at_renewals(fit, table)
    if has_closed_form(fit, table, horizon):
        require_formulas(fit, "a value without end", "derl")
        derl = fit.model.formulas["derl"]
        return lambda rows, rates: by_rate(lambda d, some: evaluate(derl, fit, some, d, 1.0), rows, rates)
    require_end(horizon, rate, at_renewals=at_renewals)

    def added_up(discount: float, some: History) -> FloatArray:
        return residual(fit, some, discount, horizon=horizon, at_renewals=at_renewals)[..., 0]

    return lambda rows, rates: by_rate(added_up, rows, rates)


def _valued(alike: Alike, value: Value) -> Make:
    """Values of a price of 1 at rows and draws; 0 where nothing is paid, whatever the lifetime."""

    def make(rows: IntArray, at: slice) -> FloatArray:
        pays = alike.others[1][rows, None] > 0
        return np.where(pays, value(alike.at(rows, at), alike.others[0][rows]), 0.0)[None]

    return make


def totals_by_group(alike: Alike, values: Callable[[IntArray], FloatArray]) -> FloatArray:
    """Sums of values of rows, shape (K, S, ...), over groups, which are the last of the other columns; (G, S, ...)."""
    return group_totals(len(alike), alike.others[-1].astype(np.int64), values)


@dataclass(frozen=True)
class NewRetentionValue:
    """Expected value of a new customer by group: the first payment, made at once, and all that follow.

    Of a group whose customers differ it is the mean.

    Attributes
    ----------
    by : the grouping column, or None
    labels : of the groups; "all" where there is one
    customers : ndarray, shape (G,), of the table that the new ones are like
    first, later : ndarrays, shape (G, S); in continuous time customers pay all the time, and `first` is 0
    horizon : renewals, or time, that count
    """

    by: str | None
    labels: tuple[str, ...]
    customers: FloatArray
    first: FloatArray
    later: FloatArray
    horizon: float
    unit: str
    currency: str
    method: str

    @property
    def value(self) -> FloatArray:
        """The first payment and all that follow, shape (G, S)."""
        return self.first + self.later

    def to_pandas(self) -> "pd.DataFrame":
        """A frame by group and part ("first", "later", "value"): mean, sd, q05, q50, q95."""
        parts = {"first": self.first, "later": self.later, "value": self.value}
        return long_frame(
            [
                {self.by or "group": label, "part": part, **statistics_of(draws[place][:, None])}
                for place, label in enumerate(self.labels)
                for part, draws in parts.items()
            ]
        )


def new_retention_value(
    fit: Fit,
    *,
    table: RetentionTable | None = None,
    price: ByCustomer | None = None,
    margin: ByCustomer = 1.0,
    annual_discount_rate: float | None = None,
    discount_per_unit: float | None = None,
    horizon: float = math.inf,
    by: str | None = None,
    draws: int | None = None,
) -> NewRetentionValue:
    """Posterior of the expected value of a new customer: price x sum_{t>=0} S(t) exp(-d t).

    Parameters
    ----------
    table : customers whose covariates, groups, beginnings and prices the new ones have, the lost among them; only
        fits that depend on these need it
    price, margin : as `retention_value` takes them, one number or one for each row of the table
    horizon : how many renewals after the first payment (or how long a time) count; all by default

    Other parameters and errors are those of `retention_value`.
    """
    new = newcomers(fit, table)
    rate = discounting(annual_discount_rate, discount_per_unit, new)
    worth = profits(price, margin, new)
    value = residual_by_rate(fit, new, horizon, rate)
    groups = Groups.of(new, by)
    columns = rate, (worth > 0).astype(np.float64), groups.place.astype(np.float64)
    alike = Alike.of(fit, new, draws, *columns)
    weights, make = alike.counted(new.n_customers * worth), _valued(alike, value)
    customers = groups.customers(new)
    later = totals_by_group(alike, lambda rows: weights[rows, None] * make(rows, alike.every)[0])
    paid_at_once = np.bincount(groups.place, weights=new.n_customers * worth) * paid_at_renewals(fit, new)
    return NewRetentionValue(
        by=by,
        labels=groups.labels,
        customers=customers,
        first=np.repeat((paid_at_once / customers)[:, None], alike.n_draws, axis=1),
        later=later / customers[:, None],
        horizon=horizon,
        unit=new.unit,
        currency=new.currency,
        method=checks.method_name(fit),
    )
