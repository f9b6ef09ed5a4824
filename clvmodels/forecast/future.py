"""Predictive distributions: each customer's future drawn purchase by purchase, with its money.

One pass over customers and draws gives purchases, spend and discounted value together. Draw s takes
parameter draw s of both fits, then the customer's own rate, drop-out and spend, then the outcome: the
uncertainty of parameters, customer and outcome in one distribution. The random numbers of a customer
depend on (seed, customer_id, draw) alone, and a longer horizon only adds purchases.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from clvmodels.forecast import checks
from clvmodels.forecast.draws import BLOCK, DrawTable, Make, forecasts_of, over_blocks
from clvmodels.foundation.errors import DataError
from clvmodels.foundation.model import Model
from clvmodels.foundation.patterns import FloatArray, IntArray
from clvmodels.foundation.records import CustomerSummary, Forecast
from clvmodels.foundation.units import discount_per_unit as rate_per_unit
from clvmodels.foundation.whole import require_seed
from clvmodels.inference.likelihood import require_same_units
from clvmodels.inference.parameters import CustomerParameters
from clvmodels.inference.result import Fit
from clvmodels.models.kernels import kernel_of

OUTCOMES = ("purchases", "spend", "clv")


@dataclass(frozen=True)
class Future:
    """What one pass over the customers' futures gives: the same purchases in all three forecasts."""

    purchases: Forecast
    spend: Forecast
    clv: Forecast


@dataclass(frozen=True)
class _Walkers:
    """Customers as the kernels read them, sorted by key: the canonical order of totals."""

    keys: NDArray[np.uint64]
    history: FloatArray
    row_of: IntArray
    order: IntArray

    @classmethod
    def of(cls, customers: CustomerSummary, model: Model) -> "_Walkers":
        from clvmodels.foundation.streams import customer_keys

        keys = customer_keys(customers.customer_id)
        order = np.argsort(keys, kind="stable")
        row_of = np.empty_like(order)
        row_of[order] = np.arange(len(order))
        history = np.column_stack(checks.history_of(customers, model))[order]
        return cls(keys[order], np.ascontiguousarray(history), row_of, order)


def sample_future(
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
) -> Future:
    """Predictive purchases, spend and CLV of each customer in (T, T + horizon], from one pass.

    CLV is margin x sum of amount x exp(-d t) over the purchases, each at its own time t after T; the
    past is not in it.

    Parameters
    ----------
    fit, spend : fits of a purchase model and of a spend model, with the same number of draws (or one)
    customers : a row a customer
    horizon : length of time, in the customers' unit
    seed : of the random numbers, 0 to 2^64 - 1
    annual_discount_rate : effective rate a year, .10 for 10 %; discounted by ln(1 + rate) / 365.25 a day
    discount_per_unit : continuous rate d per unit of time, in place of the annual one
    margin : share of spend that is profit
    draws : number of draws S; by default those of the fits, 2,000 where both have one

    Returns
    -------
    Future : forecasts "purchases", "spend" and "clv"; totals add the outcomes of all customers

    Raises
    ------
    FitError
        If the fits do not belong together or to these customers.
    DataError
        If horizon, rate, margin or seed cannot be used, rows stand for several customers, or a
        customer with repeat purchases has no monetary_value.

    Notes
    -----
    Where q + p x <= 1 the mean of Gamma-Gamma spend is infinite: draws are finite, their mean says little.
    """
    rate = discount_rate(annual_discount_rate, discount_per_unit, customers.unit)
    table, method = _value_table(
        fit,
        spend,
        customers,
        horizon=horizon,
        seed=seed,
        rate=rate,
        margin=margin,
        draws=draws,
        kept=slice(0, 3),
    )
    return Future(*forecasts_of(table, customers, quantities=OUTCOMES, method=method, horizon=horizon))


def sample_spend(
    fit: Fit, spend: Fit, customers: CustomerSummary, *, horizon: float, seed: int, draws: int | None = None
) -> Forecast:
    """Predictive spend of each customer in (T, T + horizon], in currency, not discounted.

    Parameters and errors are those of `sample_future`, which gives the same numbers.
    """
    table, method = _value_table(
        fit, spend, customers, horizon=horizon, seed=seed, rate=0.0, margin=1.0, draws=draws, kept=slice(1, 2)
    )
    return forecasts_of(table, customers, quantities=("spend",), method=method, horizon=horizon)[0]


def sample_value(
    fit: Fit,
    spend: Fit,
    customers: CustomerSummary,
    *,
    horizon: float,
    seed: int,
    rate: float,
    margin: float,
    draws: int | None,
) -> Forecast:
    """Predictive CLV at a continuous rate per unit of time: the part of `sample_future` that is clv."""
    table, method = _value_table(
        fit,
        spend,
        customers,
        horizon=horizon,
        seed=seed,
        rate=rate,
        margin=margin,
        draws=draws,
        kept=slice(2, 3),
    )
    return forecasts_of(table, customers, quantities=("clv",), method=method, horizon=horizon)[0]


def sample_purchases(
    fit: Fit, customers: CustomerSummary, *, horizon: float, seed: int, draws: int | None = None
) -> Forecast:
    """Predictive number of purchases of each customer in (T, T + horizon].

    Parameters and errors are those of `sample_future`, which gives the same numbers.
    """
    seed = _require_purchase_arguments(fit, customers, horizon, seed)
    (parameters,), chains = checks.joint_draws((fit,), customers, draws, outcomes=True)
    walkers = _Walkers.of(customers, fit.model)
    from clvmodels.forecast.kernels import draw_purchases
    from clvmodels.foundation.streams import stream_memory

    kernel = kernel_of(fit.model)

    def make(rows: IntArray, at: slice) -> FloatArray:
        purchases = np.empty((len(rows), at.stop - at.start))
        draw_purchases(
            stream_memory(), kernel.start, kernel.next_purchase, *_theta(parameters, walkers, rows, at),
            walkers.history[rows], walkers.keys[rows], np.uint64(seed), np.uint64(at.start), float(horizon), purchases,
        )  # fmt: skip
        return purchases[None]

    table = _table(make, walkers, chains)
    method = checks.method_name(fit)
    return forecasts_of(table, customers, quantities=("purchases",), method=method, horizon=horizon)[0]


def purchases_by_period(
    fit: Fit, customers: CustomerSummary, *, ends: FloatArray, seed: int, draws: int | None = None
) -> FloatArray:
    """Predictive purchases of all customers in consecutive periods after T, shape (S, periods).

    Parameters
    ----------
    ends : ndarray, shape (periods,), the end of each period, counted from T, increasing; period i is
        (ends[i - 1], ends[i]], the first begins at T

    Other parameters and errors are those of `sample_future`, whose purchases these are.
    """
    ends = np.ascontiguousarray(ends, dtype=np.float64)
    if ends.ndim != 1 or len(ends) == 0 or not (np.isfinite(ends).all() and (np.diff(ends, prepend=0.0) > 0).all()):
        raise DataError("ends of periods: expected finite times above 0, in increasing order.")
    seed = _require_purchase_arguments(fit, customers, float(ends[-1]), seed)
    (parameters,), (chains, per_chain) = checks.joint_draws((fit,), customers, draws, outcomes=True)
    n_draws = chains * per_chain
    walkers = _Walkers.of(customers, fit.model)
    from clvmodels.forecast.kernels import count_by_period
    from clvmodels.foundation.streams import stream_memory

    kernel = kernel_of(fit.model)

    def count(rows: IntArray) -> NDArray[np.int64]:
        counts = np.zeros((n_draws, len(ends)), dtype=np.int64)
        count_by_period(
            stream_memory(), kernel.start, kernel.next_purchase,
            *_theta(parameters, walkers, rows, slice(0, n_draws)), walkers.history[rows],
            walkers.keys[rows], np.uint64(seed), np.uint64(0), ends, counts,
        )  # fmt: skip
        return counts

    totals = np.zeros((n_draws, len(ends)), dtype=np.int64)
    for counts in over_blocks(len(customers), count, size=BLOCK):
        totals += counts
    return totals.astype(np.float64)


def discount_rate(annual_discount_rate: float | None, discount_per_unit: float | None, unit: str) -> float:
    """Continuous discount rate per unit of time, from the one of the two that is given.

    Raises
    ------
    DataError
        If both or neither are given, or it is not finite.
    """
    if (annual_discount_rate is None) == (discount_per_unit is None):
        raise DataError("give one of annual_discount_rate (0.10 means 10 % a year) and discount_per_unit.")
    if annual_discount_rate is not None:
        return rate_per_unit(annual_discount_rate, unit)
    if discount_per_unit is None or not np.isfinite(discount_per_unit):
        raise DataError(f"discount_per_unit = {discount_per_unit}: expected a finite continuous rate per {unit}.")
    return float(discount_per_unit)


def _value_table(
    fit: Fit,
    spend: Fit,
    customers: CustomerSummary,
    *,
    horizon: float,
    seed: int,
    rate: float,
    margin: float,
    draws: int | None,
    kept: slice,
) -> tuple[DrawTable, str]:
    """The table of those outcomes that are kept, and the name of the method."""
    require_value_arguments(fit, spend, customers, margin)
    seed = _require_purchase_arguments(fit, customers, horizon, seed)
    spend_history = np.column_stack(checks.history_of(customers, spend.model))
    (parameters, spend_parameters), chains = checks.joint_draws((fit, spend), customers, draws, outcomes=True)
    walkers = _Walkers.of(customers, fit.model)
    spend_history = np.ascontiguousarray(spend_history[walkers.order])
    draw = _future_drawer(kernel_of(fit.model), kernel_of(spend.model))

    def make(rows: IntArray, at: slice) -> FloatArray:
        outcomes = np.empty((3, len(rows), at.stop - at.start))
        draw(
            *_theta(parameters, walkers, rows, at), *_theta(spend_parameters, walkers, rows, at),
            walkers.history[rows], spend_history[rows], walkers.keys[rows], np.uint64(seed),
            np.uint64(at.start), float(horizon), rate, outcomes,
        )  # fmt: skip
        outcomes[2] *= margin
        return outcomes[kept]

    return _table(make, walkers, chains), checks.method_name(fit, spend)


def _theta(parameters: CustomerParameters, walkers: _Walkers, rows: IntArray, at: slice) -> tuple[FloatArray, IntArray]:
    """Parameters of the cells that some rows belong to, shape (C, D, P), and the place of each row among them."""
    if parameters.alike:
        theta, place = parameters.at(rows[:0], at), np.zeros(len(rows), dtype=np.int64)
    else:
        cells, place = np.unique(parameters.cell[walkers.order[rows]], return_inverse=True)
        theta = parameters.at(cells, at)
    expand = parameters.model.expand
    return theta if expand is None else expand(theta), place


def _future_drawer(purchases: Any, amounts: Any) -> Callable[..., None]:
    """`draw_futures` for a purchase kernel and a spend kernel."""
    from clvmodels.forecast.kernels import draw_futures
    from clvmodels.foundation.streams import stream_memory

    steps = (purchases.start, purchases.next_purchase, amounts.start, amounts.next_amount)

    def draw(*arguments: Any) -> None:
        draw_futures(stream_memory(), *steps, *arguments)

    return draw


def _table(make: Make, walkers: _Walkers, chains: tuple[int, int]) -> DrawTable:
    return DrawTable(make, walkers.row_of, np.ones(len(walkers.keys)), chains)


def _require_purchase_arguments(fit: Fit, customers: CustomerSummary, horizon: float, seed: int) -> int:
    """The seed, once what every predictive forecast needs has been checked."""
    checks.require_family(fit, "purchases", "the first argument")
    require_same_units(fit, customers)
    checks.require_single_customers(customers)
    checks.require_horizon(horizon, "a predictive forecast")
    checks.require_ahead(fit, horizon)
    return require_seed(seed)


def require_value_arguments(fit: Fit, spend: Fit, customers: CustomerSummary, margin: float) -> None:
    """Check that two fits and customers belong together.

    Raises
    ------
    FitError
        If a fit is of the wrong kind, unit or currency.
    DataError
        If the margin is negative or not finite.
    """
    checks.require_family(fit, "purchases", "the first argument")
    checks.require_family(spend, "spend", "the second argument")
    require_same_units(fit, customers)
    require_same_units(spend, customers)
    if not np.isfinite(margin) or margin < 0:
        raise DataError(f"margin = {margin}: expected a share of spend, 0 or above (0.3 means 30 %).")
