"""Customer lifetime value: the predictive distribution, and the posterior of its mean."""

import math
from collections.abc import Sequence

import numpy as np

from clvmodels.forecast import checks
from clvmodels.forecast.checks import ByCustomer
from clvmodels.forecast.draws import DrawTable, forecasts_of, over_blocks
from clvmodels.forecast.expectations import (
    NO_END,
    NO_MEAN,
    History,
    discounted_purchases,
    distinct,
    evaluate,
    require_formulas,
    warn_if_infinite,
    weighed_by_value,
)
from clvmodels.forecast.future import require_value_fits, sample_value
from clvmodels.foundation.patterns import FloatArray, IntArray
from clvmodels.foundation.records import CustomerSummary, Forecast
from clvmodels.inference.parameters import CustomerParameters
from clvmodels.inference.result import Fit

ROWS_AT_ONCE = 4_096  # customers that a thread works on: those of one age and frequency mostly stand together


def sample_clv(
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
) -> Forecast:
    """Predictive distribution of each customer's CLV: margin x discounted spend in (T, T + horizon].

    With the uncertainty of parameters, customer and outcome; the past is not in it. The purchases are
    those of `predict(quantity="purchases")` at the same seed.

    Parameters
    ----------
    fit, spend : fits of a purchase model and of a spend model, with the same number of draws (or one)
    customers : a row a customer
    horizon : length of time, in the customers' unit; math.inf for all the purchases to come
    seed : of the random numbers, 0 to 2^64 - 1
    annual_discount_rate : effective rate a year, .10 for 10 %; discounted by ln(1 + rate) / 365.25 a day. One
        number; or one a customer: an array of shape (N,), or a pandas Series indexed by customer_id
    discount_per_unit : continuous rate per unit of time, in place of the annual one
    margin : share of spend that is profit, one number or one a customer
    draws : number of draws S; by default those of the fits, 2,000 where both have one

    Raises
    ------
    FitError
        If the fits do not belong together or to these customers.
    DataError
        If horizon, rate, margin or seed cannot be used, a horizon without end comes with a rate that is not above
        0, rows stand for several customers, or a customer with repeat purchases has no monetary_value.

    Notes
    -----
    A horizon without end is drawn until exp(-d t) is 1e-10, at t = 23 / d: at 10 % a year after 242 years.
    """
    rate = checks.discount_rates(annual_discount_rate, discount_per_unit, customers)
    return sample_value(fit, spend, customers, horizon=horizon, seed=seed, rate=rate, margin=margin, draws=draws)


def expected_clv(
    fit: Fit,
    spend: Fit,
    customers: CustomerSummary,
    *,
    horizon: float,
    annual_discount_rate: ByCustomer | None = None,
    discount_per_unit: ByCustomer | None = None,
    margin: ByCustomer = 1.0,
    draws: int | None = None,
) -> Forecast:
    """Posterior of each customer's expected CLV: what `sample_clv` would average to, draw by draw.

    margin x E(M | theta) x discounted expected purchases, each factor at the same parameter draws; without end
    the discounted expected purchases are DERT. Of the joint model, whose spend depends on the purchase rate, it is
    the expectation of the product. It is narrower than the predictive distribution: the outcome's own
    chance is averaged out.

    Parameters and errors are those of `sample_clv`, without seed; counted rows (n_customers) are taken. Without
    end and with no rate above 0 the expectation may be infinite, and is given as such.

    Notes
    -----
    `draws` below the fits' number takes evenly spaced draws and less time.
    """
    rate = checks.discount_rates(annual_discount_rate, discount_per_unit, customers)
    require_value_fits(fit, spend, customers)
    profit = checks.margins(margin, customers)
    horizon = checks.require_horizon(horizon, "expected_clv", fit.model, most=math.inf)
    require_formulas(fit, "expected_clv", "dert" if math.isinf(horizon) else "expected_purchases")
    require_formulas(spend, "expected_clv", "expected_spend")
    (parameters, spend_parameters), chains = checks.joint_draws((fit, spend), customers, draws, outcomes=False)
    cells = (parameters.cell.astype(np.float64), spend_parameters.cell.astype(np.float64))
    spend_history = checks.history_of(customers, spend.model)
    valued = weighed_by_value(fit)
    columns, row_of = distinct((*cells, profit, rate, *spend_history, *checks.history_of(customers, fit.model)))
    counts = np.bincount(row_of, weights=customers.n_customers).astype(np.float64)

    def make(rows: IntArray, at: slice) -> FloatArray:
        cell, spend_cell, profit, rate, *read = (column[rows] for column in columns)
        basket, past = read[: len(spend_history)], read[len(spend_history) :]
        purchases = discounted_purchases(valued, History.of(parameters, at, cell, *past), rate, horizon=horizon)
        baskets = History.of(spend_parameters, at, spend_cell, *basket)
        return worth(profit[:, None] * purchases, spend, baskets)[None]

    forecast = forecasts_of(
        DrawTable(make, row_of, counts, chains),
        customers,
        quantities=("expected_clv",),
        method=checks.method_name(fit, spend),
        horizon=horizon,
    )[0]
    without_end = math.isinf(horizon) and bool((rate <= 0).any())
    warn_if_infinite(forecast, f"{NO_END}, or {NO_MEAN}" if without_end else NO_MEAN)
    return forecast


def expected_spends(
    fit: Fit, spends: Sequence[Fit], customers: CustomerSummary, *, horizon: float, draws: int | None = None
) -> list[FloatArray]:
    """Each customer's expected spend in (T, T + horizon] by a fit of purchases with each of some of spend.

    The means of `expected_clv` without a discount. Purchases, which take longest, are worked out once for all fits of
    spend, and for customers of one history.

    Parameters
    ----------
    fit, spends : of a purchase model and of spend models, with the same number of draws (or one)
    customers : a row a customer
    horizon : length of time, in the customers' unit
    draws : by default those of the fits; fewer are evenly spaced ones

    Returns
    -------
    list of ndarray, shape (N,), in currency; where the mean of spend does not exist it is infinite

    Raises
    ------
    FitError, DataError
        As `expected_clv` does.
    """
    horizon = checks.require_horizon(horizon, "expected_clv", fit.model)
    require_formulas(fit, "expected_clv", "expected_purchases")
    for spend in spends:
        require_value_fits(fit, spend, customers)
        require_formulas(spend, "expected_clv", "expected_spend")
    (parameters, *of_spend), chains = checks.joint_draws((fit, *spends), customers, draws, outcomes=False)
    at, valued = slice(0, chains[0] * chains[1]), weighed_by_value(fit)
    columns, row_of = distinct((parameters.cell.astype(np.float64), *checks.history_of(customers, fit.model)))

    def bought(rows: IntArray) -> FloatArray:
        cell, *past = (column[rows] for column in columns)
        history = History.of(parameters, at, cell, *past)
        return discounted_purchases(valued, history, np.zeros(len(rows)), horizon=horizon)

    purchases = np.concatenate(list(over_blocks(len(columns[0]), bought, size=ROWS_AT_ONCE)))

    def expected(spend: Fit, parameters: CustomerParameters) -> FloatArray:
        baskets = checks.history_of(customers, spend.model)

        def value(rows: IntArray) -> FloatArray:
            history = History(parameters, at, parameters.cell[rows], tuple(column[rows] for column in baskets))
            mean: FloatArray = worth(purchases[row_of[rows]], spend, history).mean(axis=1)
            return mean

        return np.concatenate(list(over_blocks(len(customers), value, size=ROWS_AT_ONCE)))

    return [expected(spend, parameters) for spend, parameters in zip(spends, of_spend, strict=True)]


def worth(purchases: FloatArray, spend: Fit, baskets: History) -> FloatArray:
    """Expected spend of expected purchases, shape (K, S); where nothing is bought, an infinite mean adds nothing."""
    amount = evaluate(spend.model.formulas["expected_spend"], spend, baskets)
    return np.multiply(amount, purchases, out=np.zeros_like(purchases), where=purchases > 0)
