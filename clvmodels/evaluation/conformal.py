r"""Intervals of single customers set right by an inner holdout: conformalised quantile regression.

For customers of an inner window, whose outcome y is known, the score of an interval is how far the outcome lies
outside, E = max(q05 - y, y - q95): negative inside. With n scores, Q the ceil((n + 1) c)-th smallest,

    [q05 - Q, q95 + Q]

holds the outcome of a new customer with a chance of c or more, whatever the model and however wrong it is, as long as
the new customer and the inner ones are exchangeable [1]_. Where the model's intervals are too wide, Q is negative and
they shrink. Purchases are whole: quantiles are first rounded outward to whole numbers, so that scores and ends are
whole too, and the chance is c or more with ties; how much more is seen by counting. Nobody buys or spends less than 0,
so an interval that begins there is of one side: no outcome lies below it, and its lower end stays where it is.

Customers of one group are exchangeable with each other at best: a customer with many purchases has a wider error than
one with none. So Q is found within groups of repeat purchases (Mondrian; [2]_ chapter 4), which gives the chance in
each of them; a group of few customers is joined with the next.

A customer of an inner window has been seen for a shorter time, and where it looks less far ahead than the forecast the
scores are of another horizon. Demand that drifts moves all customers at once. Neither is exchangeable, and the chance
is then no promise: count on a holdout.

References
----------
.. [1] Romano, Patterson and Candes (2019), Conformalized quantile regression, NeurIPS 32, arXiv 1905.03222.
.. [2] Vovk, Gammerman and Shafer (2005), Algorithmic Learning in a Random World, Springer.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from clvmodels.baselines import Baseline
from clvmodels.data import customer_summary, holdout_summary, training_windows
from clvmodels.evaluation.calibration import wilson_bounds
from clvmodels.foundation.errors import DataError
from clvmodels.foundation.patterns import FloatArray, IntArray
from clvmodels.foundation.records import CustomerSummary, Forecast, HoldoutSummary, IdArray, TransactionLog, Window
from clvmodels.foundation.results import ConformalRow

if TYPE_CHECKING:  # slow to import and only named here
    import pandas as pd

LEAST = 100  # customers of a group, so that Q is known to about its place among them
MOST_FREQUENT = 20  # repeat purchases from which customers are taken together
QUANTITIES = ("purchases", "spend")

Inner = tuple[CustomerSummary, Forecast, HoldoutSummary]


@dataclass(frozen=True)
class ConformalIntervals:
    """Intervals of customers before and after they were set right.

    Attributes
    ----------
    low, high : ndarrays, shape (N,)
    low_before, high_before : ndarrays, shape (N,), the forecast's q05 and q95, whole for purchases
    added : ndarray, shape (N,), Q of the customer's group: what each end was moved by, outward
    coverage : the chance that was asked for
    n_inner : customers whose outcomes it was learnt from
    """

    customer_id: IdArray
    low: FloatArray
    high: FloatArray
    low_before: FloatArray
    high_before: FloatArray
    added: FloatArray
    quantity: str
    coverage: float
    n_inner: int

    def to_pandas(self) -> "pd.DataFrame":
        """A frame with a row a customer: customer_id, low, high, low_before, high_before, added."""
        import pandas as pd

        names = ("customer_id", "low", "high", "low_before", "high_before", "added")
        return pd.DataFrame({name: getattr(self, name) for name in names})

    def covered(self, outcome: FloatArray) -> tuple[float, float]:
        """Share of outcomes, shape (N,), within the intervals before and after.

        Raises
        ------
        DataError
            If there is not an outcome for each customer.
        """
        if np.shape(outcome) != self.low.shape:
            raise DataError(
                f"outcome has shape {np.shape(outcome)}: expected one of each of {len(self.low)} customers."
            )
        before = (self.low_before <= outcome) & (outcome <= self.high_before)
        after = (self.low <= outcome) & (outcome <= self.high)
        return float(before.mean()), float(after.mean())


def conformal_intervals(
    forecast: Forecast, customers: CustomerSummary, *, inner: Sequence[Inner], coverage: float = 0.9
) -> ConformalIntervals:
    """Intervals of customers' purchases or spend, set right by what inner windows turned out to hold.

    Parameters
    ----------
    forecast : of "purchases" or "spend", whose q05 and q95 are the intervals to begin with
    customers : those of the forecast, in its order
    inner : for each inner window the customers as they were, the same method's forecast of them, and what they did: of
        the pairs that `training_windows` gives, with a fit of each
    coverage : chance that an interval is to hold the outcome

    Raises
    ------
    DataError
        If the quantity is another, forecasts, customers and outcomes are not of each other, or there are too few inner
        customers for the coverage.
    """
    if forecast.quantity not in QUANTITIES:
        raise DataError(f'the forecast is of {forecast.quantity}: expected "purchases" or "spend".')
    if not 0 < coverage < 1:
        raise DataError(f"coverage = {coverage}: expected a chance between 0 and 1.")
    _require_theirs(forecast, customers.customer_id, "customers")
    scores, frequency = _inner_scores(forecast.quantity, inner)
    least = max(LEAST, math.ceil(coverage / (1 - coverage)))
    if len(scores) < least:
        raise DataError(
            f"there are {len(scores)} inner customers: expected {least} or more for a coverage of {coverage}."
        )
    bounds = _groups(frequency, least)
    of_inner, of_customers = (np.searchsorted(bounds, x, side="right") - 1 for x in (frequency, customers.frequency))
    moved = np.array([_quantile(scores[of_inner == group], coverage) for group in range(len(bounds))])
    added = moved[of_customers]
    low, high = _ends(forecast)
    middle = np.clip(forecast.q50, low, high)  # an interval that shrinks does not turn over: it ends at the median
    return ConformalIntervals(
        customer_id=forecast.customer_id,
        low=np.maximum(np.minimum(_open(low) - added, np.floor(middle) if _whole(forecast) else middle), 0.0),
        high=np.maximum(high + added, np.ceil(middle) if _whole(forecast) else middle),
        low_before=low,
        high_before=high,
        added=added,
        quantity=forecast.quantity,
        coverage=coverage,
        n_inner=len(scores),
    )


def conformal_check(
    log: TransactionLog, window: Window, *, method: Baseline, probability: float = 0.9
) -> list[ConformalRow]:
    """Customers' intervals before and after they were set right inside the calibration, against the holdout.

    The method forecasts the last of `training_windows`, which looks as far ahead as the holdout where the calibration
    is twice as long, and by `conformal_intervals` its outcomes set the intervals of the holdout right.

    Parameters
    ----------
    log, window : purchase log, calibration and holdout
    method : with intervals, as `model_method` gives it
    probability : that the intervals are to hold the outcome

    Raises
    ------
    FitError
        If a fit of the method fails.
    DataError
        If the method has no intervals of purchases or of spend, the calibration is too short for a window inside it,
        or has too few customers there.
    """
    customers, holdout = customer_summary(log, window), holdout_summary(log, window)
    forecasts = method.forecasts(customers, window.holdout_length)
    inner = [
        (known, method.forecasts(known, outcome.window.holdout_length), outcome)
        for known, outcome in training_windows(log, window, origins=1, logarithms=None)
    ]
    return conformal_rows(forecasts, customers, holdout=holdout, inner=inner, probability=probability)


def conformal_rows(
    forecasts: Mapping[str, Forecast],
    customers: CustomerSummary,
    *,
    holdout: HoldoutSummary,
    inner: Sequence[tuple[CustomerSummary, Mapping[str, Forecast], HoldoutSummary]],
    probability: float = 0.9,
) -> list[ConformalRow]:
    """The same from forecasts that are at hand.

    Parameters
    ----------
    forecasts : "purchases" or "spend" or both -> forecast of the holdout
    customers, holdout : of the forecasts, in their order
    inner : for each inner window the customers as they were, the same forecasts of them, and what they did

    Raises
    ------
    DataError
        As `conformal_intervals`, and if there is no forecast of either quantity.
    """
    quantities = [quantity for quantity in QUANTITIES if quantity in forecasts]
    if not quantities:
        raise DataError(f"forecasts of {', '.join(forecasts) or 'nothing'}: expected purchases or spend.")
    rows = []
    for quantity in quantities:
        of_it = [(known, made[quantity], outcome) for known, made, outcome in inner]
        intervals = conformal_intervals(forecasts[quantity], customers, inner=of_it, coverage=probability)
        if not np.array_equal(intervals.customer_id, holdout.customer_id):
            raise DataError("the holdout has other customers than the forecast, or in another order.")
        rows.append(_row(intervals, _outcome(holdout, quantity)))
    return rows


def _row(intervals: ConformalIntervals, outcome: FloatArray) -> ConformalRow:
    before, after = intervals.covered(outcome)
    before_low, before_high = wilson_bounds(before, len(outcome))
    after_low, after_high = wilson_bounds(after, len(outcome))
    return ConformalRow(
        quantity=intervals.quantity,
        probability=intervals.coverage,
        customers=len(outcome),
        before=before,
        before_low=before_low,
        before_high=before_high,
        after=after,
        after_low=after_low,
        after_high=after_high,
        before_width=float(np.mean(intervals.high_before - intervals.low_before)),
        after_width=float(np.mean(intervals.high - intervals.low)),
    )


def _outcome(holdout: HoldoutSummary, quantity: str) -> FloatArray:
    return holdout.purchases if quantity == "purchases" else holdout.amount


def _inner_scores(quantity: str, inner: Sequence[Inner]) -> tuple[FloatArray, FloatArray]:
    """How far each inner outcome lies outside its interval, and the customer's frequency, each shape (n,)."""
    scores, frequency = [np.empty(0)], [np.empty(0)]
    for customers, forecast, holdout in inner:
        if forecast.quantity != quantity:
            raise DataError(f"an inner forecast is of {forecast.quantity}, the other of {quantity}.")
        _require_theirs(forecast, customers.customer_id, "inner customers")
        _require_theirs(forecast, holdout.customer_id, "inner outcomes")
        low, high = _ends(forecast)
        outcome = _outcome(holdout, quantity)
        scores.append(np.maximum(_open(low) - outcome, outcome - high))
        frequency.append(customers.frequency)
    return np.concatenate(scores), np.concatenate(frequency)


def _require_theirs(forecast: Forecast, ids: IdArray, what: str) -> None:
    if not np.array_equal(forecast.customer_id, ids):
        raise DataError(f"the {what} are not those of the forecast, or in another order.")
    if not (np.isfinite(forecast.q05).all() and np.isfinite(forecast.q95).all()):
        raise DataError(f"the forecast by {forecast.method} has no q05 and q95: an interval is needed to begin with.")


def _whole(forecast: Forecast) -> bool:
    return forecast.quantity == "purchases"


def _ends(forecast: Forecast) -> tuple[FloatArray, FloatArray]:
    """The interval to begin with; of counts rounded outward to whole numbers."""
    if _whole(forecast):
        return np.floor(forecast.q05), np.ceil(forecast.q95)
    return forecast.q05, forecast.q95


def _open(low: FloatArray) -> FloatArray:
    """Lower ends, those at 0 as without end: below them nothing can be."""
    return np.where(low > 0, low, -np.inf)


def _groups(frequency: FloatArray, least: int) -> IntArray:
    """Least frequency of each group, the first 0, such that each has `least` customers or more."""
    counts = np.bincount(np.minimum(frequency, MOST_FREQUENT).astype(np.int64), minlength=MOST_FREQUENT + 1)
    bounds, held = [0], 0
    for x, count in enumerate(counts.tolist()):
        if held >= least and counts[x:].sum() >= least:
            bounds.append(x)
            held = 0
        held += count
    return np.array(bounds)


def _quantile(scores: FloatArray, coverage: float) -> float:
    """The ceil((n + 1) c)-th smallest score."""
    rank = math.ceil((len(scores) + 1) * coverage - 1e-9)
    return float(np.sort(scores)[min(rank, len(scores)) - 1])
