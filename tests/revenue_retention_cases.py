"""Triangles of known truth, of CDNOW, and the simple rules that a forecast of them is held against."""

import datetime as dt
from dataclasses import replace

import numpy as np
import pandas as pd

import clvmodels as clv
from clvmodels.foundation.cohorts import CohortTriangle
from clvmodels.models import revenue_retention as model

TRUTH = {
    "retention_level": -1.2, "retention_slope": -0.5, "retention_age_sd": 0.2, "retention_cohort_sd": 0.3,
    "retention_unit_sd": 0.1, "retention_season_sd": 0.15, "retention_cell_sd": 0.05,
    "revenue_level": 3.5, "revenue_slope": 0.1, "revenue_age_sd": 0.1, "revenue_cohort_sd": 0.15,
    "revenue_unit_sd": 0.08, "revenue_season_sd": 0.1, "revenue_first": 0.3, "revenue_customer_cv": 1.2,
    "revenue_cell_cv": 0.05,
}  # fmt: skip
CONTRACTS = TRUTH | {"retention_level": 1.5, "retention_slope": 0.5}


def blank(acquired, ages, *, unit="month", first="2020-01-01", contractual=False):
    """A triangle of those cohorts and so many ages, with nobody in it."""
    acquired = np.asarray(acquired, dtype=float)
    nobody = np.zeros((len(acquired), ages))
    nobody[:, 0] = acquired
    triangle = CohortTriangle(
        cohorts=tuple(f"c{i:02d}" for i in range(len(acquired))),
        start=np.array([first] * len(acquired), dtype="datetime64[D]"),
        acquired=acquired,
        active=nobody,
        revenue=nobody,
        unit=unit,
        currency="USD",
        last_date=dt.date(2031, 12, 31),
        contractual=contractual,
    )
    return replace(triangle, start=model.unit_starts(triangle, len(acquired)))


def told(acquired, ages, *, seed, truth=TRUTH, season="none", contractual=False):
    """A triangle of the story, every cell of it seen."""
    frame = blank(acquired, ages, contractual=contractual)
    return model.simulate(np.random.default_rng(seed), truth, frame, season)


def seen_up_to(triangle, last):
    """The triangle as it was at the end of that calendar unit."""
    cohorts, ages = triangle.active.shape
    later = np.add.outer(np.arange(cohorts), np.arange(ages)) > last
    hidden = {name: np.where(later, np.nan, getattr(triangle, name)) for name in ("active", "revenue")}
    return replace(triangle, **hidden)


def cdnow_triangle(log, months=18):
    """CDNOW by month of the first purchase, straight from the log."""
    frame = log.table.execute()
    month = pd.to_datetime(frame["date"]).dt.to_period("M")
    first = month.groupby(frame["customer_id"]).transform("min")
    age = (month - first).map(lambda gap: gap.n)
    cells = frame.assign(cohort=first, age=age).groupby(["cohort", "age"])
    active = cells["customer_id"].nunique().unstack().reindex(columns=range(months))
    revenue = cells["amount"].sum().unstack().reindex(columns=range(months))
    cohorts = active.index
    full = CohortTriangle(
        cohorts=tuple(map(str, cohorts)),
        start=cohorts.start_time.to_numpy().astype("datetime64[D]"),
        acquired=active[0].to_numpy(dtype=float),
        active=active.fillna(0).to_numpy(dtype=float),
        revenue=revenue.fillna(0).to_numpy(dtype=float),
        unit="month",
        currency="USD",
        last_date=dt.date(1998, 6, 30),
        contractual=False,
    )
    return seen_up_to(full, months - 1)


def held_out(forecast, quantity, full):
    """A frame of the cells that the forecast had to foretell: its statistics, and what happened."""
    frame = forecast.to_pandas()
    ages = full.active.shape[1]
    frame = frame[(frame["quantity"] == quantity) & frame["seen"].isna() & (frame["age"] < ages)]
    frame = frame[frame["cohort"] != "new"]
    place = pd.Index(full.cohorts).get_indexer(frame["cohort"]), frame["age"]
    frame = frame.assign(truth=getattr(full, quantity)[place], row=place[0])
    return frame[frame["truth"].notna()]


def covered(frame):
    """Share of the cells within their 90 % band."""
    return float(frame["truth"].between(frame["q05"], frame["q95"]).mean())


def carried_on(values):
    """Each cohort's last number, for ever; shape of the triangle."""
    last = (~np.isnan(values)).sum(axis=1) - 1
    return np.repeat(values[np.arange(len(values)), last][:, None], values.shape[1], axis=1)


def chain_ladder(values):
    """Each cohort's last number times the factors from age to age of the cohorts that were seen at both."""
    values = values.copy()
    for age in range(1, values.shape[1]):
        both = ~np.isnan(values[:, age]) & ~np.isnan(values[:, age - 1])
        factor = values[both, age].sum() / values[both, age - 1].sum() if both.any() else 1.0
        missing = np.isnan(values[:, age])
        values[missing, age] = values[missing, age - 1] * factor
    return values


def errors(frame, full, seen, quantity):
    """Root mean square errors per acquired customer of the forecast's mean and of the two rules."""
    size = full.acquired[frame["row"]]
    rules = {"carried_on": carried_on(getattr(seen, quantity)), "chain_ladder": chain_ladder(getattr(seen, quantity))}
    guesses = {"model": frame["mean"].to_numpy()} | {n: v[frame["row"], frame["age"]] for n, v in rules.items()}
    return {name: float(np.sqrt(np.mean(((guess - frame["truth"]) / size) ** 2))) for name, guess in guesses.items()}


def forecast_of(seen, *, horizon, seed, **options):
    """A fit and its forecast."""
    fit = clv.fit_revenue_retention(seen, draws=1000, seed=seed, **options)
    return fit, clv.revenue_retention(fit, horizon=horizon, seed=seed)
