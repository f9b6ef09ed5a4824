"""What customers who are still to be won are worth: one of them, and all of the horizon, apart from the base."""

import datetime as dt
import math
import warnings
from dataclasses import dataclass, replace

import numpy as np

from clvmodels.data import first_purchase_days
from clvmodels.forecast import expected_clv, predict, sample_clv
from clvmodels.forecast.acquisition import acquisition_has_ended, sample_new_customers
from clvmodels.forecast.new_customer import newcomers
from clvmodels.foundation.decision_results import NewCustomers
from clvmodels.foundation.estimates import estimate
from clvmodels.foundation.patterns import FloatArray, IntArray
from clvmodels.foundation.records import CustomerSummary, TransactionLog, Window
from clvmodels.foundation.units import DAYS_PER_YEAR, days_per_unit
from clvmodels.inference import Fit
from clvmodels.study.config import Study
from clvmodels.study.progress import seed_for

PERIOD_DAYS = 14  # two of each day of the week; with longer ones there are too few to tell how the level wanders
LEAST_PERIODS = 12
MOST_PERIODS = 52  # two years: what was longer ago says little of how many come now
KNOTS = 7  # times left at which a new customer is valued; between them value runs straight to a few thousandths
TRIED = 30  # new customers whose outcomes tell how much they scatter, in each period and draw

Fits = tuple[Fit, Fit]


@dataclass(frozen=True)
class _Won:
    """Value of one customer who is won in each period to come, on the day of the decision.

    Attributes
    ----------
    mean : ndarray, shape (S, periods), expected at each draw of the parameters
    variance : ndarray, shape (periods,), of a single customer's outcome about it
    """

    mean: FloatArray
    variance: FloatArray


def value_of_new(study: Study, fits: Fits, learnt: CustomerSummary, *, horizon: float) -> FloatArray:
    """Expected value of a customer who makes the first purchase now, that purchase included, shape (S,).

    With covariates or groups the mean over customers like those that the fits have learnt from.
    """
    new = newcomers(fits, learnt)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # of an infinite mean: the fit's check and the page say so
        first = predict(fits[1], new, quantity="expected_spend").total_draws
        later = expected_clv(
            *fits,
            new,
            horizon=horizon,
            annual_discount_rate=study.value.annual_discount_rate,
            margin=study.value.margin,
        ).total_draws
    return np.asarray((later + study.value.margin * first) / len(learnt))


def customers_to_be_won(
    study: Study, log: TransactionLog, as_of: dt.date, fits: Fits, learnt: CustomerSummary
) -> NewCustomers | str:
    """Number and value of the customers to be won within the horizon; or why there is no forecast of them.

    The reason is "ended": for so long nobody was won that it is not chance; or "short": the log has fewer than
    twelve periods of two weeks, counted from the day from which the study takes customers to be new.
    """
    counts = won_by_period(study, log, as_of)
    if len(counts) < LEAST_PERIODS:
        return "short"
    if acquisition_has_ended(counts):
        return "ended"
    days = study.value.horizon * days_per_unit(study.window.unit)
    draws = fits[0].n_draws
    seed = seed_for(study.seed, "customers to be won")
    number = sample_new_customers(counts, periods=days / PERIOD_DAYS, seed=seed, draws=draws)
    won = _value_by_period(study, fits, learnt, _middles(days))
    outcomes = _outcomes(number, won, np.random.default_rng(seed_for(study.seed, "outcomes of new customers")))
    return NewCustomers(
        customers=estimate(number.sum(axis=1)),
        value_each=estimate(value_of_new(study, fits, learnt, horizon=study.value.horizon)),
        equity=estimate(outcomes.sum(axis=1)),
        by_period=[int(count) for count in counts],
        period_days=PERIOD_DAYS,
    )


def won_by_period(study: Study, log: TransactionLog, as_of: dt.date) -> IntArray:
    """Customers won in each period of 14 days up to the decision, the last two years at most.

    Whole periods alone, from the study's `acquired_from` on: those first seen earlier may have been customers before.
    """
    since = max(study.window.acquired_from or log.first_date, log.first_date)
    window = Window(as_of, unit="day", acquired_from=study.window.acquired_from)
    days, customers = first_purchase_days(log, window)
    whole = min(((as_of - since).days + 1) // PERIOD_DAYS, MOST_PERIODS)
    place = whole - 1 - ((as_of - log.first_date).days - days) // PERIOD_DAYS
    inside = place >= 0
    return np.bincount(place[inside], weights=customers[inside], minlength=whole).astype(np.int64)


def _middles(days: float) -> FloatArray:
    """Days from the decision to the middle of each period of the horizon."""
    starts = np.arange(math.ceil(days / PERIOD_DAYS - 1e-9)) * float(PERIOD_DAYS)
    return np.asarray((starts + np.minimum(starts + PERIOD_DAYS, days)) / 2)


def _value_by_period(study: Study, fits: Fits, learnt: CustomerSummary, middles: FloatArray) -> _Won:
    per_unit = days_per_unit(study.window.unit)
    left = study.value.horizon - middles / per_unit
    knots = np.linspace(left.min(), left.max(), min(KNOTS, len(left)))
    between = np.stack([np.interp(left, knots, knot) for knot in np.eye(len(knots))])  # (knots, periods)
    mean = np.stack([value_of_new(study, fits, learnt, horizon=float(time)) for time in knots], axis=1)
    variance = np.array([_scatter(study, fits, learnt, horizon=float(time)) for time in knots])
    rate = math.log1p(study.value.annual_discount_rate) / DAYS_PER_YEAR
    discount = np.exp(-rate * middles)
    finite = np.isfinite(mean)
    at = np.where(finite, mean, 0.0) @ between
    at[~finite.all(axis=1)] = np.inf  # spend of an infinite mean, whenever it begins
    return _Won(at * discount, variance @ between * discount**2)


def _scatter(study: Study, fits: Fits, learnt: CustomerSummary, *, horizon: float) -> float:
    """Variance of one new customer's outcome at known parameters, from some of them drawn in each draw.

    The amount of the first repeat purchase stands for that of the purchase that wins them too: so the two agree more
    than they would, and the variance is a little high.
    """
    tried, seed = _some_new(study, fits, learnt), seed_for(study.seed, "scatter of new customers")
    later = sample_clv(
        *fits,
        tried,
        horizon=horizon,
        annual_discount_rate=study.value.annual_discount_rate,
        margin=study.value.margin,
        seed=seed,
    )
    first = predict(fits[1], tried, quantity="spend", seed=seed, draws=later.total_draws.size)
    assert later.replay is not None  # predictive forecasts can be drawn again
    assert first.replay is not None
    blocks = zip(later.replay("draws"), first.replay("draws"), strict=True)
    drawn = [(late.values + study.value.margin * paid.values).var(axis=0, ddof=1) for late, paid in blocks]
    return float(np.concatenate(drawn).mean())


def _some_new(study: Study, fits: Fits, learnt: CustomerSummary) -> CustomerSummary:
    """New customers one by one, with covariates and groups as often as those that the fits have learnt from."""
    new = newcomers(fits, learnt)
    share = new.column("n_customers") / new.column("n_customers").sum()
    rng = np.random.default_rng(seed_for(study.seed, "kinds of new customers"))
    some = new.take(rng.choice(len(new), TRIED, p=share))
    ids = np.array([f"new {place}" for place in range(TRIED)], dtype=object)
    return replace(some, customer_id=ids, n_customers=None)


def _outcomes(number: FloatArray, won: _Won, rng: np.random.Generator) -> FloatArray:
    """Value of so many customers together, shape (S, periods): a gamma with the mean and the variance of their sum."""
    mean = np.multiply(number, won.mean, out=np.zeros_like(number), where=number > 0)  # nobody is worth nothing
    variance = number * won.variance
    some = (mean > 0) & np.isfinite(mean) & (variance > 0)
    spread = np.where(some, variance / np.where(some, mean, 1.0), 1.0)
    return np.asarray(np.where(some, rng.gamma(np.where(some, mean / spread, 1.0), spread), mean))
