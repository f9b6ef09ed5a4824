"""The first half of a study: a forecast made on calibration_end, held against the days after it."""

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from clvmodels.baselines import BASELINES
from clvmodels.data import holdout_summary, period_ends, purchases_by_period
from clvmodels.evaluation import calibration
from clvmodels.evaluation.contest import contest
from clvmodels.evaluation.tracking import tracking_points
from clvmodels.forecast import expected_by_day, sample_future_by_period
from clvmodels.forecast.drift import Stationary
from clvmodels.forecast.future import Future, FutureByPeriod
from clvmodels.foundation.decision_results import ClassCalibrationRow
from clvmodels.foundation.errors import FitError
from clvmodels.foundation.estimates import estimate
from clvmodels.foundation.patterns import FloatArray
from clvmodels.foundation.records import CustomerSummary, Forecast, HoldoutSummary, TransactionLog
from clvmodels.foundation.results import ComparisonSection, EvidenceSection, TrackingPoint
from clvmodels.foundation.units import days_per_unit
from clvmodels.inference import Fit
from clvmodels.inference.diagnostics import require_passed
from clvmodels.strategy import ValueMatrix, class_calibration, pyramid, value_matrix
from clvmodels.study.config import Study
from clvmodels.study.customers import summarise, training_for
from clvmodels.study.drift import Trialled, drift_ends, stationary_at, up_to, with_conformal, with_drift
from clvmodels.study.fits import fit_pair
from clvmodels.study.labels import matrix_options
from clvmodels.study.progress import seed_for
from clvmodels.study.ranking import BEST, Best, best_at

PIT_BINS = 20


@dataclass(frozen=True)
class Trial:
    """A pair of fits held against the holdout; the draws of their forecast are not held on to.

    Attributes
    ----------
    fits : of purchases and of spend
    forecasts : "purchases" and "spend", without a replay
    checks : of the same
    tracking : purchases of each period
    """

    fits: tuple[Fit, Fit]
    forecasts: dict[str, Forecast]
    checks: dict[str, calibration.PredictiveCheck]
    tracking: list[TrackingPoint]


@dataclass(frozen=True)
class Seen:
    """The customers of the calibration, and what they did in the holdout."""

    customers: CustomerSummary
    holdout: HoldoutSummary


@dataclass(frozen=True)
class Beside:
    """The study's two models by another method: the fits, or why there are none."""

    fits: tuple[Fit, Fit] | None
    problem: str = ""


@dataclass(frozen=True)
class HeldClasses:
    """Chances of classes, as they were told at the end of the calibration, held against the holdout.

    A stage is never seen: whether a silent customer has gone, the data do not say. What its probability rests on is the
    chance to buy again, and that is.
    """

    tiers: list[ClassCalibrationRow]
    bought: list[ClassCalibrationRow]


@dataclass(frozen=True)
class Held:
    """The main fits held against the holdout; the draws of the forecast are not held on to.

    Attributes
    ----------
    matrix : the value matrix of that day, of what customers bring in the holdout, undiscounted
    classes : tiers of the same, and the chance to buy, held against what came
    stationary : totals of the forecast by period, as the fits alone have it
    """

    trial: Trial
    section: EvidenceSection
    matrix: ValueMatrix
    classes: HeldClasses
    stationary: Stationary


@dataclass(frozen=True)
class Evidence:
    """What the holdout says.

    Attributes
    ----------
    fits : of purchases and of spend; the forecast rests on them
    trial : of these
    matrix, classes : see `Held`
    """

    customers: CustomerSummary
    holdout: HoldoutSummary
    fits: tuple[Fit, Fit]
    trial: Trial
    matrix: ValueMatrix
    classes: HeldClasses


def see_customers(study: Study, log: TransactionLog, traits: pd.DataFrame | None) -> Seen:
    """Summarise the calibration and the holdout."""
    window = study.contest_window
    return Seen(summarise(study, log, traits, window), holdout_summary(log, window))


def fit_calibration(study: Study, seen: Seen) -> tuple[Fit, Fit]:
    """Both models on the calibration.

    Raises
    ------
    FitError
        If one cannot be fitted, or fails a check that the study does not allow: a forecast would refuse it later.
    """
    fits = fit_pair(study, seen.customers, study.fit.method, "calibration")
    for fitted in fits:
        require_passed(fitted)
    return fits


def fit_beside(study: Study, seen: Seen, *, method: str) -> Beside:
    """Both models by another method. No forecast rests on them: where there are none, the study says so and goes on."""
    try:
        return Beside(fit_pair(study, seen.customers, method, "calibration"))
    except FitError as problem:
        return Beside(None, str(problem))


def hold_main(study: Study, log: TransactionLog, seen: Seen, fits: tuple[Fit, Fit]) -> Held:
    """Forecast the holdout and check it."""
    customers = seen.customers
    drift_at = drift_ends(study, fits[0], study.contest_window.holdout_length)
    drawn = forecast_holdout(
        study,
        log,
        fits,
        customers,
        ends=drift_at,
        draws=study.fit.forecast_draws(len(customers)),
    )
    trial = _trial(study, log, fits, customers, seen.holdout, drawn=drawn)
    matrix = value_matrix(customers.current_value * study.value.margin, drawn.future.clv, **matrix_options(study))
    return Held(
        trial, _section(trial), matrix, _held_classes(study, drawn, seen.holdout), stationary_at(drawn, drift_at)
    )


def _held_classes(study: Study, drawn: FutureByPeriod, holdout: HoldoutSummary) -> HeldClasses:
    """Tiers of the holdout's value, and the chance to buy in it, against what came."""
    clv = drawn.future.clv
    came = replace(clv, mean=holdout.amount * study.value.margin, replay=None)
    stated, landed = (pyramid(value, shares=study.pyramid.shares).by_class for value in (clv, came))
    bought = (holdout.purchases > 0).astype(np.float64)
    return HeldClasses(
        tiers=class_calibration(stated, landed),
        bought=class_calibration({"bought": drawn.p_buy}, {"bought": bought}),
    )


def section_with_drift(study: Study, log: TransactionLog, seen: Seen, held: Held) -> EvidenceSection:
    """The section with whether the base buys as it did, and totals if it does not."""
    return with_drift(study, log, _trialled(seen, held), held.section)


def section_with_conformal(
    study: Study, log: TransactionLog, traits: pd.DataFrame | None, seen: Seen, held: Held, section: EvidenceSection
) -> EvidenceSection:
    """The section with intervals of customers that are set right inside the calibration."""
    return with_conformal(study, log, traits, _trialled(seen, held), section)


def _trialled(seen: Seen, held: Held) -> Trialled:
    return Trialled(seen.customers, seen.holdout, held.trial.fits, held.trial.forecasts, held.stationary)


def best_of_contest(study: Study, log: TransactionLog) -> Best | None:
    """The models that rank best inside the calibration; None where the study asks for no ranking."""
    return best_at(study, log, study.contest_window) if study.contest.best else None


def score_contest(study: Study, log: TransactionLog, seen: Seen, held: Held, best: Best | None) -> ComparisonSection:
    """The main fits and the baselines of the study, scored on the holdout."""
    return _contest(study, log, seen.customers, seen.holdout, held.trial, best)


def gather_evidence(_study: Study, seen: Seen, held: Held) -> Evidence:
    """What further sections rest on."""
    return Evidence(seen.customers, seen.holdout, held.trial.fits, held.trial, held.matrix, held.classes)


def forecast_holdout(
    study: Study,
    log: TransactionLog,
    fits: tuple[Fit, Fit],
    customers: CustomerSummary,
    *,
    ends: FloatArray,
    stream: str = "",
    draws: int | None = None,
) -> FutureByPeriod:
    """What customers buy in the holdout, in periods of the study's unit; its `clv` is margin, not discounted.

    Parameters
    ----------
    customers : in the unit that the fit of purchases counts in
    ends : further ends of periods, counted from the calibration's end
    stream : name of the random numbers, apart from those of other fits
    draws : of the forecast; by default those of the fits
    """
    return sample_future_by_period(
        *fits,
        customers,
        ends=np.union1d(_ends_after(study, log, customers), ends),
        discount_per_unit=0.0,
        margin=study.value.margin,
        seed=_holdout_seed(study, stream),
        draws=draws,
    )


def _ends_after(study: Study, log: TransactionLog, customers: CustomerSummary) -> FloatArray:
    """Ends of the holdout's periods, in the customers' unit from the calibration's end on."""
    window = study.contest_window
    days = [(end - window.calibration_end).days for end in period_ends(log, window) if end > window.calibration_end]
    return np.array(days) / days_per_unit(customers.unit)


def _holdout_seed(study: Study, stream: str) -> int:
    return seed_for(study.seed, f"holdout forecast {stream}".rstrip())


def hold_against(
    study: Study,
    log: TransactionLog,
    fits: tuple[Fit, Fit],
    customers: CustomerSummary,
    holdout: HoldoutSummary,
    *,
    stream: str = "",
    draws: int | None = None,
) -> Trial:
    """Forecast the holdout by a pair of fits, as `forecast_holdout` does, and check the forecast."""
    drawn = forecast_holdout(study, log, fits, customers, ends=np.empty(0), stream=stream, draws=draws)
    return _trial(study, log, fits, customers, holdout, drawn=drawn, stream=stream)


def _trial(
    study: Study,
    log: TransactionLog,
    fits: tuple[Fit, Fit],
    customers: CustomerSummary,
    holdout: HoldoutSummary,
    *,
    drawn: FutureByPeriod,
    stream: str = "",
) -> Trial:
    """The forecast's check, and its purchases by period."""
    checks = _predictive_checks(study, drawn.future, customers, holdout)
    forecasts = {name: replace(getattr(drawn.future, name), replay=None) for name in checks}
    predicted = up_to(_ends_after(study, log, customers), drawn.flows["purchases"], drawn.ends)
    seed = _holdout_seed(study, stream)
    return Trial(fits, forecasts, checks, _tracking(study, log, customers, fits[0], predicted=predicted, seed=seed))


def _predictive_checks(
    study: Study, future: Future, customers: CustomerSummary, holdout: HoldoutSummary
) -> dict[str, calibration.PredictiveCheck]:
    outcomes = {"purchases": holdout.purchases, "spend": holdout.amount}
    return {
        name: calibration.predictive_check(
            getattr(future, name),
            outcome,
            frequency=customers.frequency,
            rng=np.random.default_rng(seed_for(study.seed, f"pit {name}")),
        )
        for name, outcome in outcomes.items()
    }


def _section(trial: Trial) -> EvidenceSection:
    checks = trial.checks
    return EvidenceSection(
        purchases=estimate(trial.forecasts["purchases"].total_draws),
        spend=estimate(trial.forecasts["spend"].total_draws),
        actual_purchases=int(checks["purchases"].outcome.sum()),
        actual_spend=float(checks["spend"].outcome.sum()),
        tracking=trial.tracking,
        by_frequency=calibration.calibration_rows(checks["purchases"]),
        counts=calibration.count_rows(checks["purchases"]),
        coverage=calibration.coverage_rows(list(checks.values())),
        pit_purchases=calibration.pit_histogram(checks["purchases"], bins=PIT_BINS),
        pit_spend=calibration.pit_histogram(checks["spend"], bins=PIT_BINS),
        draws=len(trial.forecasts["purchases"].total_draws),
    )


def _tracking(
    study: Study, log: TransactionLog, customers: CustomerSummary, fitted: Fit, *, predicted: FloatArray, seed: int
) -> list[TrackingPoint]:
    """Purchases a period: the cohort's expectation through the calibration, draws (S, periods) after it."""
    window = study.contest_window
    ends = period_ends(log, window)
    before_end = np.array([(window.calibration_end - end).days for end in ends if end <= window.calibration_end])
    expected = expected_by_day(fitted, customers, before_end=before_end, seed=seed)
    return tracking_points(
        ends,
        purchases_by_period(log, window, ends=ends),
        calibration_expected=np.diff(expected, prepend=0.0),
        holdout_draws=predicted,
    )


def _contest(
    study: Study,
    log: TransactionLog,
    customers: CustomerSummary,
    holdout: HoldoutSummary,
    trial: Trial,
    best: Best | None,
) -> ComparisonSection:
    model = study.models.purchases
    window = study.contest_window
    horizon = window.holdout_length
    training = training_for(study.contest.baselines, log, window, horizon=horizon)
    forecasts = {model: trial.forecasts}
    left_out = {}
    for name in study.contest.baselines:
        try:
            forecasts[name] = BASELINES[name].forecasts(customers, horizon, training=training)
        except FitError as problem:  # another package's fit; the study goes on without it and says so
            left_out[name] = str(problem)
    if best is not None:
        forecasts |= {BEST: best.forecasts} if best.forecasts else {}
        left_out |= {BEST: best.choice.problem} if best.choice.problem else {}
    comparison = contest(
        forecasts,
        holdout,
        model=model,
        rng=np.random.default_rng(seed_for(study.seed, "bootstrap")),
        replicates=study.contest.replicates,
        checks={model: trial.checks},
    )
    return replace(comparison, left_out=left_out, best=None if best is None else best.choice)


def holdout_table(_study: Study, seen: Seen, held: Held) -> pd.DataFrame:
    """A row a customer: history, forecast of the holdout, and what happened."""
    frame = seen.customers.to_pandas()
    for name, forecast in held.trial.forecasts.items():
        for column in ("mean", "sd", "q05", "q50", "q95"):
            frame[f"{name}_{column}"] = getattr(forecast, column)
    frame["actual_purchases"] = seen.holdout.purchases.astype(np.int64)
    frame["actual_spend"] = seen.holdout.amount
    return frame
