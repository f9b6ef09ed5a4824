"""Does the base buy as it did? The check, totals where demand drifts, and customers' intervals set right."""

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import pandas as pd

from clvmodels.data import purchase_history, training_windows
from clvmodels.evaluation.conformal import conformal_rows
from clvmodels.evaluation.drift import drift_check
from clvmodels.evaluation.totals import checks_of
from clvmodels.forecast import sample_future
from clvmodels.forecast.cash_flows import period_times
from clvmodels.forecast.drift import Stationary, totals_with_drift
from clvmodels.forecast.future import FutureByPeriod
from clvmodels.foundation.errors import DataError, FitError
from clvmodels.foundation.estimates import Estimate, estimate
from clvmodels.foundation.history import PurchaseHistory
from clvmodels.foundation.patterns import FloatArray
from clvmodels.foundation.records import CustomerSummary, Forecast, HoldoutSummary, TransactionLog, Window
from clvmodels.foundation.results import ConformalRow, EvidenceSection
from clvmodels.foundation.units import discount_per_unit
from clvmodels.inference import Fit
from clvmodels.study.config import Study
from clvmodels.study.customers import with_traits
from clvmodels.study.fits import fit_pair
from clvmodels.study.progress import seed_for

MOST_CELLS = 10_000_000  # customers x draws of a forecast of totals, which take a pass over all of them for each period
LEAST_DRAWS = 250


@dataclass(frozen=True)
class Trialled:
    """What was held against the holdout: customers, what they did, and the forecast of it, also by period."""

    customers: CustomerSummary
    holdout: HoldoutSummary
    fits: tuple[Fit, Fit]
    forecasts: dict[str, Forecast]
    stationary: Stationary


def with_drift(study: Study, log: TransactionLog, trialled: Trialled, section: EvidenceSection) -> EvidenceSection:
    """The section with the check of drift, and the totals that include one; or with what stands against them."""
    customers, (purchases, spend) = trialled.customers, trialled.fits
    try:
        history = _history(study, log, study.contest_window)
        check = drift_check(purchases, customers, history=history, seed=seed_for(study.seed, "drift check"))
        totals = totals_with_drift(
            purchases,
            customers,
            history=history,
            stationary=trialled.stationary,
            seed=seed_for(study.seed, "holdout forecast"),
            spend=spend,
        )
    except (DataError, FitError) as problem:  # no decision rests on it; the study goes on and says so
        return replace(section, left_out={**section.left_out, "drift": str(problem)})
    return replace(section, drift=check, totals=checks_of(totals, customers, holdout=trialled.holdout))


def with_conformal(
    study: Study, log: TransactionLog, traits: pd.DataFrame | None, trialled: Trialled, section: EvidenceSection
) -> EvidenceSection:
    """The section with customers' intervals before and after they were set right inside the calibration."""
    try:
        rows = _conformal(study, log, traits, trialled)
    except (DataError, FitError) as problem:
        return replace(section, left_out={**section.left_out, "conformal": str(problem)})
    return replace(section, conformal=rows)


def _conformal(
    study: Study, log: TransactionLog, traits: pd.DataFrame | None, trialled: Trialled
) -> list[ConformalRow]:
    """Rows from a second fit on the last window inside the calibration; by Laplace, which takes seconds."""
    if any(fit.effects.groups for fit in trialled.fits):
        raise FitError("models that are pooled over groups are not fitted a second time inside the calibration.")
    ((known, outcome),) = training_windows(log, study.contest_window, origins=1, logarithms=None)
    known = with_traits(study, known, traits)
    future = sample_future(
        *fit_pair(study, known, "laplace", "inner"),
        known,
        horizon=outcome.window.holdout_length,
        discount_per_unit=0.0,
        seed=seed_for(study.seed, "inner forecast"),
        draws=_draws(study, known),
    )
    inner = [(known, {"purchases": future.purchases, "spend": future.spend}, outcome)]
    return conformal_rows(trialled.forecasts, trialled.customers, holdout=trialled.holdout, inner=inner)


def drifting_totals(
    study: Study,
    log: TransactionLog,
    fits: tuple[Fit, Fit],
    customers: CustomerSummary,
    window: Window,
    stationary: Stationary,
) -> dict[str, Estimate]:
    """Purchases, spend and equity of the coming period where demand drifts; empty where they cannot be worked out.

    Equity is the margin of each period's spend, discounted as if it came evenly within the period.

    Parameters
    ----------
    customers : those that the fits have learnt from, at the end of the window's calibration
    stationary : totals of the decision's forecast, at `drift_ends`
    """
    try:
        totals = totals_with_drift(
            fits[0],
            customers,
            history=_history(study, log, window),
            stationary=stationary,
            seed=seed_for(study.seed, "decision forecast"),
            spend=fits[1],
        )
    except (DataError, FitError):  # the check at the end of the calibration says why
        return {}
    assert totals.spend is not None  # there is a fit of it
    equity = study.value.margin * totals.spend @ _discounts(study, totals.ends)
    drawn = {"purchases": totals.purchases.sum(axis=1), "spend": totals.spend.sum(axis=1), "equity": equity}
    return {f"drifting_{name}": estimate(draws) for name, draws in drawn.items()}


def _discounts(study: Study, ends: FloatArray) -> FloatArray:
    """Mean discount factor of each period, shape (H,): (exp(-d s) - exp(-d e)) / (d (e - s)) from s to e."""
    rate = discount_per_unit(study.value.annual_discount_rate, study.window.unit)
    starts = np.append(0.0, ends[:-1])
    if rate == 0:
        return np.ones(len(ends))
    return np.asarray((np.exp(-rate * starts) - np.exp(-rate * ends)) / (rate * (ends - starts)))


def _history(study: Study, log: TransactionLog, window: Window) -> PurchaseHistory:
    """Repeat purchases by week, or by month where the study counts in months or years."""
    return purchase_history(log, window, periods=_period(study))


def _period(study: Study) -> Literal["week", "month"]:
    return "week" if study.window.unit in ("day", "week") else "month"


def drift_ends(study: Study, fit: Fit, horizon: float) -> FloatArray:
    """Ends of the periods of a horizon in which demand drifts, counted from its beginning."""
    return period_times(horizon, _period(study), None, study.window.unit, fit.model)


def stationary_at(drawn: FutureByPeriod, ends: FloatArray) -> Stationary:
    """Totals of a forecast in the periods in which demand drifts."""
    purchases, spend = (up_to(ends, drawn.flows[name], drawn.ends) for name in ("purchases", "spend"))
    return Stationary(ends, purchases, spend)


def up_to(ends: FloatArray, flow: FloatArray, drawn_ends: FloatArray) -> FloatArray:
    """A flow drawn in shorter periods, shape (S, drawn), in those up to each of some of their ends, shape (S, ends)."""
    starts = np.searchsorted(drawn_ends, np.append(0.0, ends[:-1]), side="right")
    return np.asarray(np.add.reduceat(flow, starts, axis=1))


def _draws(study: Study, customers: CustomerSummary) -> int:
    """Fewer draws of more customers: a total of many is known as well from fewer."""
    return min(study.fit.draws, max(LEAST_DRAWS, MOST_CELLS // len(customers)))
