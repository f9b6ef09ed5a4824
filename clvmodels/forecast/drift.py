"""What the whole base will buy and spend by period, where demand may drift as it did in the calibration."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from clvmodels.forecast import checks
from clvmodels.forecast.cash_flows import outcomes_by_period, period_times
from clvmodels.forecast.draws import row_statistics
from clvmodels.forecast.drift_response import drift_response, expected_by_period, require_story
from clvmodels.forecast.future import purchases_by_period
from clvmodels.forecast.period_effect import PeriodEffect, period_effect
from clvmodels.foundation.errors import DataError
from clvmodels.foundation.history import PurchaseHistory
from clvmodels.foundation.patterns import FloatArray
from clvmodels.foundation.records import CustomerSummary
from clvmodels.foundation.units import days_per_unit
from clvmodels.foundation.whole import require_seed
from clvmodels.inference.diagnostics import require_passed
from clvmodels.inference.likelihood import require_same_units
from clvmodels.inference.result import Fit

if TYPE_CHECKING:  # slow to import and only named here
    import pandas as pd


@dataclass(frozen=True)
class Totals:
    """Predictive totals of all customers in each period after T, with and without a drift of demand.

    Period i is (ends[i - 1], ends[i]], the first begins at T. Sums over periods are taken draw by draw:
    `purchases.sum(axis=1)`.

    Attributes
    ----------
    ends : ndarray, shape (H,), time from T to each period's end, in `unit`
    purchases, spend : ndarrays, shape (S, H), with the drift; spend in currency, None without a fit of spend
    stationary_purchases, stationary_spend : the same of customers who buy as they did, as the fit alone has it
    effect : how demand moves, in draws and in estimates
    """

    ends: FloatArray
    purchases: FloatArray
    spend: FloatArray | None
    stationary_purchases: FloatArray
    stationary_spend: FloatArray | None
    effect: PeriodEffect
    method: str
    unit: str
    currency: str

    def to_pandas(self) -> "pd.DataFrame":
        """A row an outcome and period, then one of the whole time: outcome, start, end, mean, sd, q05, q50, q95.

        The outcomes are "purchases", "stationary_purchases" and, with a fit of spend, "spend", "stationary_spend".
        """
        import pandas as pd

        names = ("purchases", "stationary_purchases", "spend", "stationary_spend")
        drawn = {name: getattr(self, name) for name in names if getattr(self, name) is not None}
        wholes = [np.column_stack([draws, draws.sum(axis=1)]).T.copy() for draws in drawn.values()]
        statistics = np.concatenate([row_statistics(rows) for rows in wholes], axis=-1)
        return pd.DataFrame(
            {
                "outcome": np.repeat([*drawn], len(self.ends) + 1),
                "start": np.tile(np.concatenate([[0.0], self.ends[:-1], [0.0]]), len(drawn)),
                "end": np.tile(np.append(self.ends, self.ends[-1]), len(drawn)),
                **dict(zip(("mean", "sd", "q05", "q50", "q95"), statistics, strict=True)),
            }
        )


def sample_totals(
    fit: Fit,
    customers: CustomerSummary,
    *,
    history: PurchaseHistory,
    seed: int,
    spend: Fit | None = None,
    horizon: float | None = None,
    ends: Sequence[float] | FloatArray | None = None,
    draws: int | None = None,
) -> Totals:
    """Predictive totals of all customers by period, where demand drifts as it did in the calibration.

    Over thousands of customers chance averages out, and what is left of the error of a total is what all of them
    have in common: how demand moves. Here it is a period effect exp(u_t) on all rates, a level that moves slowly and
    single periods, learnt from the calibration alone; see `clvmodels.forecast.period_effect` for the model and its
    priors. A draw of the totals is one of the fit's predictive distribution, with its uncertainty of parameters,
    customers and outcomes, times a draw of the effect: counts are thinned where demand falls, and grow by a Poisson
    number where it rises, so that they stay whole.

    Parameters
    ----------
    fit : of a purchase model
    customers : a row a customer, those that the fit was made on
    history : their repeat purchases by period, as `purchase_history(log, window)` gives them
    seed : of the random numbers, 0 to 2^64 - 1
    spend : fit of a spend model, for the totals of spend; a purchase is worth what it was, demand alone drifts
    horizon : length of time in the customers' unit, cut into periods of the history's unit
    ends : in its place the end of each period, counted from T; as long as those of the history, the last may be shorter
    draws : number of draws S; by default those of the fits, 2,000 where both have one

    Raises
    ------
    FitError
        If the fits do not belong together or to these customers, or the model has no story, no expectation or a
        calendar of its own.
    DataError
        If the history is not of these customers, or horizon, ends or seed cannot be used.

    Notes
    -----
    The drift moves all customers alike: it is for totals, not for ranks. How long a drift lasts cannot be read off
    one calibration; horizons longer than it rest on the prior of the half-life.
    """
    times = period_times(horizon, None if horizon is None else history.unit, ends, customers.unit, fit.model)
    expected = _require_story_and_history(fit, customers, history, times)
    purchases, money = stationary_totals(fit, customers, ends=times, seed=seed, spend=spend, draws=draws)
    return _drifting(fit, customers, history, expected, Stationary(times, purchases, money), seed, spend)


@dataclass(frozen=True)
class Stationary:
    """Predictive totals of customers who buy as they did, by period up to each of the ends.

    Attributes
    ----------
    ends : ndarray, shape (H,), time from T
    purchases, spend : ndarrays, shape (S, H)
    """

    ends: FloatArray
    purchases: FloatArray
    spend: FloatArray | None


def totals_with_drift(
    fit: Fit,
    customers: CustomerSummary,
    *,
    history: PurchaseHistory,
    stationary: Stationary,
    seed: int,
    spend: Fit | None = None,
) -> Totals:
    """The totals of `sample_totals` where those without a drift have been drawn before, as `sample_future` does.

    Parameters and errors are those of `sample_totals`.
    """
    expected = _require_story_and_history(fit, customers, history, stationary.ends)
    return _drifting(fit, customers, history, expected, stationary, seed, spend)


def _require_story_and_history(
    fit: Fit, customers: CustomerSummary, history: PurchaseHistory, ends: FloatArray
) -> FloatArray:
    """The fit's expectation of each period of the history, once everything is known to belong together."""
    require_passed(fit)
    require_same_units(fit, customers)
    require_story(fit)
    _require_steps(ends, history, customers.unit)
    return require_history(fit, customers, history)


def _drifting(
    fit: Fit,
    customers: CustomerSummary,
    history: PurchaseHistory,
    expected: FloatArray,
    stationary: Stationary,
    seed: int,
    spend: Fit | None,
) -> Totals:
    """Totals at draws of the effect that the history tells of."""
    times, purchases, money = stationary.ends, stationary.purchases, stationary.spend
    history, expected = _expected_at_all(history, expected)
    rng = np.random.default_rng([require_seed(seed), len(times)])
    begun = expected > 0  # a first period in which everybody has just come expects nothing, and tells nothing
    response = drift_response(
        fit, customers, before_end=history.before_end[begun], expected=expected[begun], ends=times, rng=rng
    )
    effect = period_effect(history.purchases[begun], expected[begun], response, draws=len(purchases), rng=rng)
    moved = _moved(purchases, effect.paths, rng)
    return Totals(
        ends=times,
        purchases=moved,
        spend=None if money is None else money * moved / np.maximum(purchases, 1.0),
        stationary_purchases=purchases,
        stationary_spend=money,
        effect=effect,
        method=checks.method_name(*(fit,) if spend is None else (fit, spend)),
        unit=customers.unit,
        currency=customers.currency,
    )


def require_history(fit: Fit, customers: CustomerSummary, history: PurchaseHistory) -> FloatArray:
    """The fit's expectation of each period of a history, shape (P,), once the history is known to be theirs.

    Raises
    ------
    DataError
        If the history has other repeat purchases than the customers, or begins after their first.
    """
    bought, counted = float(customers.column("frequency").sum()), float(history.purchases.sum())
    if bought != counted:
        raise DataError(
            f"the history has {counted:g} repeat purchases, the customers {bought:g}: make both from the same log and "
            "window, purchase_history(log, window) and customer_summary(log, window)."
        )
    oldest = float(customers.T.max()) * days_per_unit(customers.unit)
    if oldest < history.before_end[0]:
        raise DataError(
            f"the history begins {history.before_end[0]} days before the end of the calibration, the first customer "
            f"came {oldest:g} days before it: leave out the periods without customers."
        )
    return expected_by_period(fit, customers, before_end=history.before_end)


def _require_steps(ends: FloatArray, history: PurchaseHistory, unit: str) -> None:
    """Refuse periods ahead of another length than those in which demand was learnt."""
    days = np.diff(ends, prepend=0.0) * days_per_unit(unit)
    length = days_per_unit(history.unit)
    wrong = (np.abs(days - length) > 1) & ~((np.arange(len(ends)) == len(ends) - 1) & (days < length))
    if wrong.any():
        first = int(np.argmax(wrong))
        raise DataError(
            f"ends: period {first + 1} has {days[first]:g} days, the history has periods of a {history.unit}: give "
            "horizon, or ends in steps of that length."
        )


def stationary_totals(
    fit: Fit, customers: CustomerSummary, *, ends: FloatArray, seed: int, spend: Fit | None, draws: int | None = None
) -> tuple[FloatArray, FloatArray | None]:
    """Predictive purchases of customers who buy as they did, and spend if there is a fit of it, each (S, H).

    Parameters
    ----------
    ends : ndarray, shape (H,), end of each period, counted from T
    """
    if spend is None:
        return purchases_by_period(fit, customers, ends=ends, seed=seed, draws=draws), None
    return outcomes_by_period(fit, spend, customers, ends=ends, seed=seed, draws=draws)


def _moved(purchases: FloatArray, paths: FloatArray, rng: np.random.Generator) -> FloatArray:
    """Counts at a demand of exp(paths) times what it was: thinned, or with a Poisson number more."""
    demand = np.exp(paths)
    thinned = rng.binomial(purchases.astype(np.int64), np.minimum(demand, 1.0))
    return np.asarray(thinned + rng.poisson(purchases * np.maximum(demand - 1.0, 0.0)), dtype=np.float64)


def _expected_at_all(history: PurchaseHistory, expected: FloatArray) -> tuple[PurchaseHistory, FloatArray]:
    """Without periods in which nobody could come again, as a first one of a single day: they tell nothing of demand."""
    read = expected > 0
    seen = replace(history, before_end=history.before_end[read], purchases=history.purchases[read])
    return seen, expected[read]
