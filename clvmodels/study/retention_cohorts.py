"""Cohorts of a purchase log in a study of retention: the triangle, and its forecast against what came after."""

from dataclasses import dataclass

import numpy as np

from clvmodels.data import cohort_triangle, read_transactions
from clvmodels.forecast import RevenueRetention, revenue_retention
from clvmodels.foundation.cohorts import CohortTriangle
from clvmodels.foundation.errors import StudyError
from clvmodels.foundation.estimates import estimate
from clvmodels.foundation.patterns import BoolArray, FloatArray
from clvmodels.foundation.retention_results import AgePoint, CohortSection, RevenuePoint
from clvmodels.inference.revenue_retention import RevenueRetentionFit, fit_revenue_retention
from clvmodels.study.progress import seed_for
from clvmodels.study.retention_config import CohortsTable

PREDICTIVE = ("active", "revenue")


@dataclass(frozen=True)
class Cohorts:
    """The section, and the digest of the log."""

    section: CohortSection
    digest: str


def forecast_cohorts(table: CohortsTable, seed: int) -> Cohorts:
    """The cohorts of a log: learnt from the calendar units before `learn_to`, forecast from there to its end.

    Raises
    ------
    StudyError
        If no unit is left to forecast.
    """
    log = read_transactions(table.source, currency=table.currency)
    whole = cohort_triangle(log, unit=table.unit).to_last_won
    learnt = whole.before(table.learn_to).to_last_won
    later = np.unique(whole.units[whole.seen & (whole.units > learnt.units[learnt.seen].max())])
    if not len(later):
        raise StudyError(f"[cohorts] learn_to = {table.learn_to}: the log has no whole {table.unit} from then on.")
    fitted = fit_revenue_retention(learnt, draws=table.draws, seed=seed_for(seed, "cohorts"))
    forecast = revenue_retention(fitted, horizon=len(later), seed=seed_for(seed, "cohorts ahead"))
    held, cells = _held(whole, learnt, forecast)
    section = CohortSection(
        source=table.source,
        unit=table.unit,
        cohorts=list(whole.cohorts),
        acquired=[int(number) for number in whole.acquired],
        retention=_rows(whole.retention),
        revenue_per_acquired=_rows(whole.revenue_per_acquired),
        learnt_to=table.learn_to.isoformat(),
        points=_points(whole, learnt, forecast, later),
        by_age=_by_age(forecast),
        held=held,
        cells=cells,
        errors=_errors(whole, learnt, forecast, later),
        notes=_notes(fitted),
    )
    return Cohorts(section, log.digest)


def _notes(fitted: RevenueRetentionFit) -> list[str]:
    """Keys of what a reader must know of the fit."""
    unpaid = (fitted.triangle.active > 0) & (fitted.triangle.revenue <= 0)
    said = {"season_left_out": fitted.season == "none", "unpaid_cells": bool(unpaid.any())}
    return [key for key, so in said.items() if so]


def _rows(values: FloatArray) -> list[list[float | None]]:
    return [[float(value) if np.isfinite(value) else None for value in row] for row in values]


def _later(whole: CohortTriangle, learnt: CohortTriangle) -> BoolArray:
    """Cells of the learnt cohorts that came later, shape (C, A) of those cohorts."""
    rows = len(learnt.cohorts)
    return np.asarray(whole.seen[:rows] & (whole.units[:rows] > learnt.units[learnt.seen].max()))


def _held(whole: CohortTriangle, learnt: CohortTriangle, forecast: RevenueRetention) -> tuple[int, int]:
    """Of the later numbers of active customers and revenue by cohort and age, how many lie in their bands; and all."""
    later, rows = _later(whole, learnt), len(learnt.cohorts)
    held, cells = 0, 0
    for name in PREDICTIVE:
        draws = forecast.draws[name].values[:, :rows, : later.shape[1]][:, later]
        low, high = np.quantile(draws, [0.05, 0.95], axis=0)
        actual = getattr(whole, name)[:rows][later]
        held += int(((actual >= low) & (actual <= high)).sum())
        cells += int(later.sum())
    return held, cells


def _of_units(whole: CohortTriangle, name: str, rows: int, units: FloatArray) -> FloatArray:
    """Sums over the first cohorts in each calendar unit."""
    values, of_cell = getattr(whole, name)[:rows], whole.units[:rows]
    return np.array([np.nansum(values[(of_cell == unit) & ~np.isnan(values)]) for unit in units])


def _points(
    whole: CohortTriangle, learnt: CohortTriangle, forecast: RevenueRetention, later: FloatArray
) -> list[RevenuePoint]:
    rows = len(learnt.cohorts)
    units = np.unique(whole.units[:rows][whole.seen[:rows]])
    actual = {name: _of_units(whole, name, rows, units) for name in PREDICTIVE}
    ahead = {unit: place for place, unit in enumerate(later)}
    points = []
    for place, unit in enumerate(units):
        drawn = {name: forecast.totals[name].values[:, ahead[unit]] for name in PREDICTIVE} if unit in ahead else None
        points.append(
            RevenuePoint(
                period=str(unit),
                holdout=unit in ahead,
                active=int(actual["active"][place]),
                revenue=float(actual["revenue"][place]),
                active_forecast=None if drawn is None else estimate(drawn["active"]),
                revenue_forecast=None if drawn is None else estimate(drawn["revenue"]),
            )
        )
    return points


def _by_age(forecast: RevenueRetention) -> list[AgePoint]:
    """A new cohort by age."""
    new = forecast.draws.sel(cohort="new")
    return [
        AgePoint(
            age=age,
            retention=estimate(new["retention"].values[:, age]),
            revenue_per_active=estimate(new["revenue_per_active"].values[:, age]),
            revenue_per_acquired=estimate(new["revenue_per_acquired"].values[:, age]),
            cumulative=estimate(new["cumulative_revenue_per_acquired"].values[:, age]),
        )
        for age in range(forecast.horizon)
    ]


def _errors(
    whole: CohortTriangle, learnt: CohortTriangle, forecast: RevenueRetention, later: FloatArray
) -> dict[str, float]:
    """Mean relative error of the revenue of all cohorts in a later unit, of the model and of carrying on."""
    rows = len(learnt.cohorts)
    actual = _of_units(whole, "revenue", rows, later)
    modelled = forecast.totals["revenue"].values.mean(axis=0)
    last = np.array([row[~np.isnan(row)][-1] for row in learnt.revenue]).sum()
    return {
        "model": float(np.mean(np.abs(modelled / actual - 1))),
        "carried_on": float(np.mean(np.abs(last / actual - 1))),
    }
