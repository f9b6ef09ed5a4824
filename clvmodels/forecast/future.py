"""Predictive distributions: each customer's future drawn purchase by purchase, with its money.

One pass over customers and draws gives purchases, spend and discounted value together. Draw s takes
parameter draw s of both fits, then the customer's own rate, drop-out and spend, then the outcome: the
uncertainty of parameters, customer and outcome in one distribution. The random numbers of a customer
depend on (seed, customer_id, draw) alone, and a longer horizon only adds purchases.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from clvmodels.forecast import checks
from clvmodels.forecast.checks import ByCustomer
from clvmodels.forecast.draws import BLOCK, DrawTable, Make, forecasts_and_sums, forecasts_of, over_blocks
from clvmodels.foundation.errors import DataError, FitError
from clvmodels.foundation.model import Model
from clvmodels.foundation.patterns import FloatArray, IntArray
from clvmodels.foundation.records import CustomerSummary, Forecast
from clvmodels.foundation.whole import require_seed
from clvmodels.inference.likelihood import require_same_units
from clvmodels.inference.parameters import CustomerParameters
from clvmodels.inference.result import Fit
from clvmodels.models.kernels import kernel_of

OUTCOMES = ("purchases", "spend", "clv")
FLOWS = ("purchases", "spend", "margin", "discounted_margin")
MakeByPeriod = Callable[[IntArray, slice, FloatArray], tuple[FloatArray, FloatArray]]
SPENT = math.log(1e10)  # d t after which exp(-d t) is 1e-10: there a horizon without end ends


@dataclass(frozen=True)
class Future:
    """What one pass over the customers' futures gives: the same purchases in all three forecasts."""

    purchases: Forecast
    spend: Forecast
    clv: Forecast


@dataclass(frozen=True)
class FutureByPeriod:
    """A future, and what all customers together bring in each period of it, from the same pass.

    Attributes
    ----------
    ends : ndarray, shape (periods,), time from T to the end of each period; the last one is the horizon
    flows : "purchases", "spend", "margin" and "discounted_margin", ndarrays of shape (S, periods); the periods of the
        last add up to the draws of `future.clv.total_draws`
    p_buy : ndarray, shape (N,), probability of at least one purchase within the horizon
    buyers : ndarray, shape (S,), customers with at least one, draw by draw
    """

    future: Future
    ends: FloatArray
    flows: Mapping[str, FloatArray]
    p_buy: FloatArray
    buyers: FloatArray


@dataclass(frozen=True)
class Walkers:
    """Customers as the kernels read them, sorted by key: the canonical order of totals.

    Attributes
    ----------
    keys : ndarray, shape (N,), sorted
    history : ndarray, shape (N, H), what the purchase model reads
    row_of : ndarray, shape (N,), the place here of each customer in the caller's order
    order : ndarray, shape (N,), the customer in the caller's order at each place here
    """

    keys: NDArray[np.uint64]
    history: FloatArray
    row_of: IntArray
    order: IntArray

    @classmethod
    def of(cls, customers: CustomerSummary, model: Model) -> "Walkers":
        """The customers in canonical order."""
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
    annual_discount_rate: ByCustomer | None = None,
    discount_per_unit: ByCustomer | None = None,
    margin: ByCustomer = 1.0,
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
    annual_discount_rate : effective rate a year, .10 for 10 %; discounted by ln(1 + rate) / 365.25 a day. One
        number; or one a customer: an array of shape (N,), or a pandas Series indexed by customer_id
    discount_per_unit : continuous rate d per unit of time, in place of the annual one
    margin : share of spend that is profit, one number or one a customer
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
    rate = checks.discount_rates(annual_discount_rate, discount_per_unit, customers)
    horizon = checks.require_horizon(horizon, "a predictive forecast", fit.model)
    table, _, method = _value_table(
        fit, spend, customers, horizon=horizon, seed=seed, rate=rate, margin=margin, draws=draws, kept=slice(0, 3)
    )
    return Future(*forecasts_of(table, customers, quantities=OUTCOMES, method=method, horizon=horizon))


def sample_future_by_period(
    fit: Fit,
    spend: Fit,
    customers: CustomerSummary,
    *,
    ends: Sequence[float] | FloatArray,
    seed: int,
    annual_discount_rate: ByCustomer | None = None,
    discount_per_unit: ByCustomer | None = None,
    margin: ByCustomer = 1.0,
    draws: int | None = None,
    replayed: Sequence[str] = OUTCOMES,
) -> FutureByPeriod:
    """The future of `sample_future` up to the last of some ends, and the base's cash flow in each period up to one.

    Memory does not grow with customers times periods, as that of `cash_flows` does.

    Parameters
    ----------
    ends : the end of each period, counted from T, increasing; period i is (ends[i - 1], ends[i]], the first begins at T
    replayed : outcomes whose draws are held, where memory allows it; those of another are drawn again when asked for

    Other parameters and errors are those of `sample_future`.
    """
    rate = checks.discount_rates(annual_discount_rate, discount_per_unit, customers)
    times = checks.require_ends(ends, fit.model)
    horizon = float(times[-1])
    table, make, method = _value_table(
        fit, spend, customers, horizon=horizon, seed=seed, rate=rate, margin=margin, draws=draws, kept=slice(0, 3)
    )
    table = replace(table, kept=tuple(OUTCOMES.index(name) for name in replayed))
    bought, size = np.empty(len(customers)), len(FLOWS) * table.n_draws * len(times)

    def first(rows: IntArray) -> tuple[FloatArray, FloatArray]:
        outcomes, flows = make(rows, slice(0, table.n_draws), times)
        some = outcomes[0] > 0
        bought[rows] = some.sum(axis=1)
        return outcomes, np.append(flows.ravel(), some.sum(axis=0))

    future, sums = forecasts_and_sums(table, first, customers, quantities=OUTCOMES, method=method, horizon=horizon)
    flows = sums[:size].reshape(len(FLOWS), table.n_draws, len(times))
    p_buy = (bought / table.n_draws)[table.row_of]
    return FutureByPeriod(Future(*future), times, dict(zip(FLOWS, flows, strict=True)), p_buy, sums[size:])


def sample_spend(
    fit: Fit, spend: Fit, customers: CustomerSummary, *, horizon: float, seed: int, draws: int | None = None
) -> Forecast:
    """Predictive spend of each customer in (T, T + horizon], in currency, not discounted.

    Parameters and errors are those of `sample_future`, which gives the same numbers.
    """
    horizon, rate = checks.require_horizon(horizon, "a predictive forecast", fit.model), np.zeros(len(customers))
    table, _, method = _value_table(
        fit, spend, customers, horizon=horizon, seed=seed, rate=rate, margin=1.0, draws=draws, kept=slice(1, 2)
    )
    return forecasts_of(table, customers, quantities=("spend",), method=method, horizon=horizon)[0]


def sample_purchases_and_spend(
    fit: Fit, spend: Fit, customers: CustomerSummary, *, horizon: float, seed: int, draws: int | None = None
) -> tuple[Forecast, Forecast]:
    """Predictive purchases and spend of each customer in (T, T + horizon], from one pass.

    Parameters and errors are those of `sample_future`, which gives the same numbers.
    """
    horizon, rate = checks.require_horizon(horizon, "a predictive forecast", fit.model), np.zeros(len(customers))
    table, _, method = _value_table(
        fit, spend, customers, horizon=horizon, seed=seed, rate=rate, margin=1.0, draws=draws, kept=slice(0, 2)
    )
    purchases, amounts = forecasts_of(table, customers, quantities=OUTCOMES[:2], method=method, horizon=horizon)
    return purchases, amounts


def spend_table(
    fit: Fit, spend: Fit, customers: CustomerSummary, *, horizon: float, seed: int, draws: int, only: IntArray
) -> DrawTable:
    """Some of the draws of `sample_spend`, by their increasing numbers."""
    horizon, rate = checks.require_horizon(horizon, "a predictive forecast", fit.model), np.zeros(len(customers))
    table, _, _ = _value_table(
        fit, spend, customers,
        horizon=horizon, seed=seed, rate=rate, margin=1.0, draws=draws, kept=slice(1, 2), only=only,
    )  # fmt: skip
    return table


def sample_value(
    fit: Fit,
    spend: Fit,
    customers: CustomerSummary,
    *,
    horizon: float,
    seed: int,
    rate: FloatArray,
    margin: ByCustomer,
    draws: int | None,
) -> Forecast:
    """Predictive CLV at continuous rates per unit of time, shape (N,): the part of `sample_future` that is clv.

    The horizon may be without end.
    """
    table, _, method = _value_table(
        fit, spend, customers, horizon=horizon, seed=seed, rate=rate, margin=margin, draws=draws, kept=slice(2, 3)
    )
    return forecasts_of(table, customers, quantities=("clv",), method=method, horizon=horizon)[0]


def sample_purchases(
    fit: Fit, customers: CustomerSummary, *, horizon: tuple[float, float], seed: int, draws: int | None = None
) -> Forecast:
    """Predictive number of purchases of each customer in (T + t1, T + t2], of horizon (t1, t2).

    Other parameters and errors are those of `sample_future`, which gives the same numbers.
    """
    seed = require_outcome_arguments(fit, customers, seed)
    begin, end = horizon
    (parameters,), chains = checks.joint_draws((fit,), customers, draws, outcomes=True)
    walkers = Walkers.of(customers, fit.model)
    from clvmodels.forecast.kernels import draw_purchases, memory

    kernel = kernel_of(fit.model)

    def make(rows: IntArray, at: slice) -> FloatArray:
        purchases = np.empty((len(rows), at.stop - at.start))
        draw_purchases(
            *memory(), kernel.start, kernel.next_purchase, *theta_of(parameters, walkers, rows, at),
            walkers.history[rows], walkers.keys[rows], np.uint64(seed), np.uint64(at.start), begin, end, purchases,
        )  # fmt: skip
        return purchases[None]

    table = _table(make, walkers, chains)
    method = checks.method_name(fit)
    return forecasts_of(table, customers, quantities=("purchases",), method=method, start=begin, horizon=end)[0]


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
    ends = checks.require_ends(ends, fit.model)
    seed = require_outcome_arguments(fit, customers, seed)
    (parameters,), (chains, per_chain) = checks.joint_draws((fit,), customers, draws, outcomes=True)
    n_draws = chains * per_chain
    walkers = Walkers.of(customers, fit.model)
    from clvmodels.forecast.kernels import count_by_period, memory

    kernel = kernel_of(fit.model)

    def count(rows: IntArray) -> NDArray[np.int64]:
        counts = np.zeros((n_draws, len(ends)), dtype=np.int64)
        count_by_period(
            *memory(), kernel.start, kernel.next_purchase,
            *theta_of(parameters, walkers, rows, slice(0, n_draws)), walkers.history[rows],
            walkers.keys[rows], np.uint64(seed), np.uint64(0), ends, counts,
        )  # fmt: skip
        return counts

    totals = np.zeros((n_draws, len(ends)), dtype=np.int64)
    for counts in over_blocks(len(customers), count, size=BLOCK):
        totals += counts
    return totals.astype(np.float64)


def _value_table(
    fit: Fit,
    spend: Fit,
    customers: CustomerSummary,
    *,
    horizon: float,
    seed: int,
    rate: FloatArray,
    margin: ByCustomer,
    draws: int | None,
    kept: slice,
    only: IntArray | None = None,
) -> tuple[DrawTable, MakeByPeriod, str]:
    """The table of those outcomes that are kept, the same with sums by period, and the name of the method.

    With `only`, increasing numbers of draws, the table has those alone.
    """
    require_value_fits(fit, spend, customers)
    profit = checks.margins(margin, customers)
    seed = require_outcome_arguments(fit, customers, seed)
    ends = _last_times(horizon, rate, fit.model)
    draw, walkers, chains = future_drawer(fit, spend, customers, draws, "draw_futures", only=only)
    numbers = np.arange(chains[0] * chains[1], dtype=np.uint64) if only is None else only.astype(np.uint64)
    ends, rate, profit = ends[walkers.order], rate[walkers.order], profit[walkers.order]

    def by_period(rows: IntArray, at: slice, periods: FloatArray) -> tuple[FloatArray, FloatArray]:
        outcomes = np.empty((len(OUTCOMES), len(rows), at.stop - at.start))
        sums = np.zeros((len(FLOWS), at.stop - at.start, len(periods)))
        own, nobody = (ends[rows], rate[rows], profit[rows]), np.empty((len(FLOWS), 0, len(periods)))
        draw(rows, at, np.uint64(seed), numbers[at], *own, periods, sums, nobody, outcomes)
        outcomes[2] *= profit[rows, None]
        return outcomes[kept], sums

    def make(rows: IntArray, at: slice) -> FloatArray:
        return by_period(rows, at, np.empty(0))[0]

    return _table(make, walkers, chains), by_period, checks.method_name(fit, spend)


def _last_times(horizon: float, rate: FloatArray, model: Model) -> FloatArray:
    """The time up to which each customer's future is drawn, shape (N,)."""
    horizon = checks.require_horizon(horizon, "a predictive forecast", model, most=math.inf)
    if math.isfinite(horizon):
        return np.full(len(rate), horizon)
    if not (rate > 0).all():
        raise DataError(
            f"horizon = inf with a discount rate of {rate.min():g} a unit of time: without end only what is discounted "
            "can be drawn. Give a rate above 0, or a finite horizon; expected_clv says what there is to expect."
        )
    spent = SPENT / rate
    return spent if model.clock == "continuous" else np.ceil(spent)


def theta_of(
    parameters: CustomerParameters, walkers: Walkers, rows: IntArray, at: slice
) -> tuple[FloatArray, IntArray]:
    """Parameters of the cells that some rows belong to, shape (C, D, P), and the place of each row among them."""
    if parameters.alike:
        theta, place = parameters.at(rows[:0], at), np.zeros(len(rows), dtype=np.int64)
    else:
        cells, place = np.unique(parameters.cell[walkers.order[rows]], return_inverse=True)
        theta = parameters.at(cells, at)
    expand = parameters.model.expand
    return theta if expand is None else expand(theta), place


def future_drawer(
    fit: Fit,
    spend: Fit,
    customers: CustomerSummary,
    draws: int | None,
    loop: str,
    *,
    step: str = "next_purchase",
    only: IntArray | None = None,
) -> tuple[Callable[..., Any], Walkers, tuple[int, int]]:
    """A compiled loop over futures with money, the customers in canonical order, and chains and draws.

    Parameters
    ----------
    loop : name in `clvmodels.forecast.kernels`; called as f(rows, draws, *arguments), with the arguments that the
        loop takes after the customers' keys
    step : function of the purchase model's kernel that the loop takes
    only : numbers of those draws that are wanted, increasing; by default all. Then they are the first, second, ...
    """
    from clvmodels.forecast import kernels

    spend_columns = np.column_stack(checks.history_of(customers, spend.model))
    (parameters, spend_parameters), chains = checks.joint_draws((fit, spend), customers, draws, outcomes=True)
    if only is not None:
        parameters, spend_parameters, chains = parameters.take(only), spend_parameters.take(only), (1, len(only))
    walkers = Walkers.of(customers, fit.model)
    baskets = np.ascontiguousarray(spend_columns[walkers.order])
    purchases, amounts = kernel_of(fit.model), kernel_of(spend.model)
    run, next_step = getattr(kernels, loop), getattr(purchases, step)

    def draw(rows: IntArray, at: slice, *arguments: Any) -> Any:
        return run(
            *kernels.memory(), purchases.start, next_step, amounts.start, amounts.next_amount,
            *theta_of(parameters, walkers, rows, at), *theta_of(spend_parameters, walkers, rows, at),
            walkers.history[rows], baskets[rows], walkers.keys[rows], *arguments,
        )  # fmt: skip

    return draw, walkers, chains


def _table(make: Make, walkers: Walkers, chains: tuple[int, int]) -> DrawTable:
    return DrawTable(make, walkers.row_of, np.ones(len(walkers.keys)), chains)


def require_outcome_arguments(fit: Fit, customers: CustomerSummary, seed: int) -> int:
    """The seed, once what every predictive forecast needs has been checked.

    Raises
    ------
    FitError
        If the fit is not of a purchase model, or in another unit than the customers.
    DataError
        If rows stand for several customers, or the seed cannot be.
    """
    checks.require_family(fit, "purchases", "the first argument")
    require_same_units(fit, customers)
    checks.require_single_customers(customers)
    return require_seed(seed)


def require_value_fits(fit: Fit, spend: Fit, customers: CustomerSummary) -> None:
    """Check that two fits and customers belong together.

    Raises
    ------
    FitError
        If a fit is of the wrong kind, unit or currency, or is half of a joint model and the other half is not.
    """
    checks.require_family(fit, "purchases", "the first argument")
    checks.require_family(spend, "spend", "the second argument")
    _require_one_fit(fit, spend)
    require_same_units(fit, customers)
    require_same_units(spend, customers)


def _require_one_fit(fit: Fit, spend: Fit) -> None:
    """Refuse half of a joint model beside anything but the other half of the same fit."""
    first, second = fit.model, spend.model
    if (first.together_with or second.together_with) and first.together_with != second.name:
        raise FitError(
            f"{first.name} and {second.name} do not go together: joint_purchases and joint_spend are one model, whose "
            "two halves fit_joint(customers, seed=...) returns."
        )
    if first.together_with and not fit.draws.identical(spend.draws):
        raise FitError(
            f"{first.name} and {second.name} are of different fits: give the two that one fit_joint(...) returned."
        )
