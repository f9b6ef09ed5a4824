"""Cash flows: purchases, spend and margin by period of the future, predictive and expected, that add up to CLV."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from clvmodels.forecast import checks
from clvmodels.forecast.checks import ByCustomer
from clvmodels.forecast.clv import worth
from clvmodels.forecast.draws import BLOCK, over_blocks, row_statistics
from clvmodels.forecast.expectations import (
    History,
    by_rate,
    distinct,
    purchases_until,
    require_formulas,
    weighed_by_value,
)
from clvmodels.forecast.future import FLOWS, future_drawer, require_outcome_arguments, require_value_fits
from clvmodels.foundation.errors import DataError
from clvmodels.foundation.model import Model
from clvmodels.foundation.patterns import FloatArray, IntArray
from clvmodels.foundation.records import CustomerSummary, IdArray
from clvmodels.foundation.units import days_per_unit
from clvmodels.inference.result import Fit

if TYPE_CHECKING:  # slow to import and only named here
    import pandas as pd

MOST_PERIODS = 10_000
BLOCK_CELLS = 2**22  # rows x draws x periods that a thread expects at a time: 64 MB for two flows
Flows = Mapping[str, FloatArray]


@dataclass(frozen=True)
class CashFlows:
    """What customers bring in each period after T: period i is (ends[i - 1], ends[i]], the first begins at T.

    The keys of the four mappings are "purchases", "spend" (in currency), "margin" (its share that is profit) and
    "discounted_margin", whose periods add up to CLV.

    Attributes
    ----------
    ends : ndarray, shape (periods,), time from T to each period's end, in `unit`
    totals : predictive, ndarrays of shape (S, periods): the outcomes of all customers in each draw
    expected_totals : ndarrays of shape (S, periods): the expectation of all customers at each parameter draw
    means : predictive mean of each customer, ndarrays of shape (N, periods)
    expected_means : posterior mean of each customer's expectation, ndarrays of shape (N, periods)
    """

    customer_id: IdArray
    ends: FloatArray
    totals: Flows
    expected_totals: Flows
    means: Flows
    expected_means: Flows
    method: str
    unit: str
    currency: str

    def to_pandas(self, *, by: Literal["period", "customer"] = "period") -> "pd.DataFrame":
        """A frame in long form.

        By period a row a flow and period: flow, start, end, mean, sd, q05, q50, q95 (predictive, all customers)
        and expected. By customer a row a customer and period: customer_id, start, end, and the predictive mean of
        each flow, and its expectation as expected_purchases, expected_spend, ...

        Raises
        ------
        DataError
            If `by` is neither.
        """
        import pandas as pd

        frames = {"period": self._by_period, "customer": self._by_customer}
        if by not in frames:
            raise DataError(f'by = "{by}": expected "period" or "customer".')
        return pd.DataFrame(frames[by]())

    def _by_period(self) -> dict[str, Any]:
        starts = np.append(0.0, self.ends[:-1])
        statistics = np.concatenate([row_statistics(self.totals[flow].T.copy()) for flow in FLOWS], axis=-1)
        return {
            "flow": np.repeat(FLOWS, len(self.ends)),
            "start": np.tile(starts, len(FLOWS)),
            "end": np.tile(self.ends, len(FLOWS)),
            **dict(zip(("mean", "sd", "q05", "q50", "q95"), statistics, strict=True)),
            "expected": np.concatenate([self.expected_totals[flow].mean(axis=0) for flow in FLOWS]),
        }

    def _by_customer(self) -> dict[str, Any]:
        size, periods = len(self.customer_id), len(self.ends)
        return {
            "customer_id": np.repeat(self.customer_id, periods),
            "start": np.tile(np.append(0.0, self.ends[:-1]), size),
            "end": np.tile(self.ends, size),
            **{flow: self.means[flow].ravel() for flow in FLOWS},
            **{f"expected_{flow}": self.expected_means[flow].ravel() for flow in FLOWS},
        }


def cash_flows(
    fit: Fit,
    spend: Fit,
    customers: CustomerSummary,
    *,
    seed: int,
    horizon: float | None = None,
    periods: str | None = None,
    ends: Sequence[float] | FloatArray | None = None,
    annual_discount_rate: ByCustomer | None = None,
    discount_per_unit: ByCustomer | None = None,
    margin: ByCustomer = 1.0,
    draws: int | None = None,
) -> CashFlows:
    """Purchases, spend, margin and discounted margin by period after T, predictive and expected.

    The outcomes are those of `sample_future` at the same seed and the expectations those of `expected_clv`: in
    each draw the discounted margins of all periods add up to the CLV of the whole horizon.

    Parameters
    ----------
    fit, spend : fits of a purchase model and of a spend model, with the same number of draws (or one)
    customers : a row a customer
    seed : of the random numbers, 0 to 2^64 - 1
    horizon, periods : length of time in the customers' unit, cut into periods of a "day", "week", "month" or "year";
        the last one ends at the horizon
    ends : in their place the end of each period, counted from T, increasing
    annual_discount_rate, discount_per_unit, margin : as `sample_clv` takes them
    draws : number of draws S; by default those of the fits, 2,000 outcomes where both have one

    Raises
    ------
    FitError
        If the fits do not belong together or to these customers, or have no expectations.
    DataError
        If periods, rate, margin or seed cannot be used, rows stand for several customers, or a
        customer with repeat purchases has no monetary_value.

    Notes
    -----
    Expectations take a pass a period over customers and parameter draws: fewer `draws` take less time.
    """
    times = period_times(horizon, periods, ends, customers.unit, fit.model)
    rate = checks.discount_rates(annual_discount_rate, discount_per_unit, customers)
    require_value_fits(fit, spend, customers)
    require_formulas(fit, "cash_flows", "expected_purchases")
    require_formulas(spend, "cash_flows", "expected_spend")
    profit = checks.margins(margin, customers)
    seed = require_outcome_arguments(fit, customers, seed)
    totals, means = _drawn(fit, spend, customers, times, rate, profit, seed, draws)
    expected_totals, expected_means = _expected(fit, spend, customers, times, rate, profit, draws)
    return CashFlows(
        customer_id=customers.customer_id,
        ends=times,
        totals=totals,
        expected_totals=expected_totals,
        means=means,
        expected_means=expected_means,
        method=checks.method_name(fit, spend),
        unit=customers.unit,
        currency=customers.currency,
    )


def outcomes_by_period(
    fit: Fit, spend: Fit, customers: CustomerSummary, *, ends: FloatArray, seed: int, draws: int | None = None
) -> tuple[FloatArray, FloatArray]:
    """Predictive purchases and spend of all customers in consecutive periods after T, each shape (S, periods).

    They are those of `cash_flows`, without its expectations, and so are parameters and errors.
    """
    require_value_fits(fit, spend, customers)
    seed = require_outcome_arguments(fit, customers, seed)
    none, all_of_it = np.zeros(len(customers)), np.ones(len(customers))
    times = checks.require_ends(ends, fit.model)
    totals, _ = _drawn(fit, spend, customers, times, none, all_of_it, seed, draws)
    return totals["purchases"], totals["spend"]


def period_times(horizon: float | None, periods: str | None, ends: Any, unit: str, model: Model) -> FloatArray:
    """The end of each period, from the two ways to say it.

    Raises
    ------
    DataError
        If it is said in neither way or both, or cannot be.
    """
    if (ends is None) == (periods is None) or (ends is None) == (horizon is None):
        raise DataError('give horizon with periods="month" (or "day", "week", "year"), or the ends of the periods.')
    if ends is not None:
        return checks.require_ends(ends, model)
    last = checks.require_horizon(horizon, "cash_flows", model)
    length = days_per_unit(str(periods)) / days_per_unit(unit)
    if last == 0 or last / length > MOST_PERIODS:
        raise DataError(
            f"horizon = {last:g} has {last / length:.0f} periods of a {periods}: expected 1 to {MOST_PERIODS}."
        )
    whole = np.arange(1, np.ceil(last / length - 1e-9)) * length  # a last period of nothing but rounding is none
    return checks.require_ends(np.append(whole, last), model)


def _drawn(
    fit: Fit,
    spend: Fit,
    customers: CustomerSummary,
    ends: FloatArray,
    rate: FloatArray,
    profit: FloatArray,
    seed: int,
    draws: int | None,
) -> tuple[Flows, Flows]:
    """Outcomes by period: the totals of each draw, and the mean of each customer."""
    draw, walkers, (chains, per_chain) = future_drawer(fit, spend, customers, draws, "draw_futures")
    every = slice(0, chains * per_chain)
    numbers = np.arange(every.stop, dtype=np.uint64)
    rate, profit = rate[walkers.order], profit[walkers.order]

    def work(rows: IntArray) -> tuple[FloatArray, FloatArray]:
        of_draws, of_customers = (np.zeros((len(FLOWS), size, len(ends))) for size in (every.stop, len(rows)))
        own, outcomes = (np.full(len(rows), ends[-1]), rate[rows], profit[rows]), np.empty((3, len(rows), every.stop))
        draw(rows, every, np.uint64(seed), numbers, *own, ends, of_draws, of_customers, outcomes)
        return of_draws, of_customers / every.stop

    totals, means = _added(len(customers), work, size=BLOCK)
    return totals, {flow: values[walkers.row_of] for flow, values in means.items()}


@dataclass(frozen=True)
class _Rows:
    """Customers alike, with what to expect of them; `rate` and `profit` have shape (K,)."""

    fit: Fit
    spend: Fit
    past: History
    baskets: History
    rate: FloatArray
    profit: FloatArray

    def purchases(self, ends: FloatArray) -> FloatArray:
        """Expected purchases in each period, as they are, by value, and by value and discounted (K, S, 3, periods)."""
        valued = weighed_by_value(self.fit)
        by_value = self._sums(valued, ends)
        plain = by_value if valued is self.fit else self._sums(self.fit, ends)
        return np.concatenate([plain[:, :, :1], by_value], axis=2)

    def _sums(self, fit: Fit, ends: FloatArray) -> FloatArray:
        """Expected purchases in each period, as they are and discounted, shape (K, S, 2, periods)."""

        def at(discount: float, rows: History) -> FloatArray:
            return np.diff(purchases_until(fit, rows, ends, discount), prepend=0.0, axis=-1)

        sums = by_rate(at, self.past, self.rate)
        # next to nothing in a period may come out below 0, by the integral's error: 1e-6 of all periods together
        return np.maximum(sums, 0.0)

    def flows(self, purchases: FloatArray, by_value: FloatArray, discounted: FloatArray) -> tuple[FloatArray, ...]:
        """Each of `FLOWS`, shape (K, S)."""
        bought = (by_value, self.profit[:, None] * by_value, self.profit[:, None] * discounted)
        return (purchases, *(worth(each, self.spend, self.baskets) for each in bought))


def _expected(
    fit: Fit,
    spend: Fit,
    customers: CustomerSummary,
    ends: FloatArray,
    rate: FloatArray,
    profit: FloatArray,
    draws: int | None,
) -> tuple[Flows, Flows]:
    """Expectations by period: the totals at each parameter draw, and the posterior mean of each customer."""
    fits = (fit, spend)
    few = None if draws is None or draws > checks.parameter_draws(fits) else draws  # outcomes may be more
    (parameters, spend_parameters), (chains, per_chain) = checks.joint_draws(fits, customers, few, outcomes=False)
    every = slice(0, chains * per_chain)
    cells = (parameters.cell.astype(np.float64), spend_parameters.cell.astype(np.float64))
    spend_history = checks.history_of(customers, spend.model)
    columns, row_of = distinct((*cells, profit, rate, *spend_history, *checks.history_of(customers, fit.model)))
    counts = np.bincount(row_of)

    def work(rows: IntArray) -> tuple[FloatArray, FloatArray]:
        cell, spend_cell, profit, rate, *read = (column[rows] for column in columns)
        past = History.of(parameters, every, cell, *read[len(spend_history) :])
        baskets = History.of(spend_parameters, every, spend_cell, *read[: len(spend_history)])
        alike = _Rows(fit, spend, past, baskets, rate, profit)
        of_draws, of_rows = (np.empty((len(FLOWS), size, len(ends))) for size in (every.stop, len(rows)))
        in_periods = alike.purchases(ends)
        for period in range(len(ends)):
            for flow, values in enumerate(alike.flows(*np.moveaxis(in_periods[..., period], 2, 0))):
                of_draws[flow, :, period] = counts[rows] @ values
                of_rows[flow, :, period] = values.mean(axis=1)
        return of_draws, of_rows

    size = min(BLOCK, max(1, BLOCK_CELLS // (every.stop * len(ends))))
    totals, means = _added(len(counts), work, size=size)
    return totals, {flow: values[row_of] for flow, values in means.items()}


def _added(n_rows: int, work: Callable[[IntArray], tuple[FloatArray, FloatArray]], *, size: int) -> tuple[Flows, Flows]:
    """Totals added over blocks of rows, and the rows' own one after the other, by flow."""
    totals: FloatArray | float = 0.0
    rows = []
    for of_draws, of_rows in over_blocks(n_rows, work, size=size):
        totals = totals + of_draws
        rows.append(of_rows)
    assert isinstance(totals, np.ndarray)  # there is a customer
    return (
        dict(zip(FLOWS, totals, strict=True)),
        dict(zip(FLOWS, np.concatenate(rows, axis=1), strict=True)),
    )
