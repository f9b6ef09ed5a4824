"""What cohorts will still pay: retention, revenue per active and per acquired customer by age, and what comes in."""

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from clvmodels.forecast.draws import row_statistics
from clvmodels.foundation.errors import FitError
from clvmodels.foundation.patterns import BoolArray, FloatArray, IntArray
from clvmodels.foundation.whole import require_count, require_seed
from clvmodels.inference.diagnostics import require_checks
from clvmodels.inference.revenue_retention import RevenueRetentionFit
from clvmodels.models import revenue_retention as model

if TYPE_CHECKING:  # slow to import and only named here
    import pandas as pd

EXPECTED = ("retention", "revenue_per_active", "revenue_per_acquired", "cumulative_revenue_per_acquired")
PREDICTIVE = ("active", "revenue", "cumulative_revenue")
STATISTICS = ("mean", "sd", "q05", "q50", "q95")
MOST_BYTES = 2**32
CELL, AGE, COHORT, UNIT = range(4)  # purposes of random numbers


@dataclass(frozen=True)
class RevenueRetention:
    """Revenue retention of each cohort and of a new one, by age, seen and to come.

    Attributes
    ----------
    draws : xarray.Dataset, dims (draw, cohort, age); NaN beyond the horizon. Expectations, given parameters and
        effects: "retention" (share of the customers won that is active), "revenue_per_active",
        "revenue_per_acquired" (their product) and "cumulative_revenue_per_acquired" (up to and with the age).
        Predictive, with the noise of each cell: "active", "revenue" and "cumulative_revenue" of the whole cohort; in
        cells that are seen they are what was seen, and sums begin with that. The last cohort is "new"
    seen : xarray.Dataset, dims (cohort, age): "active" and "revenue" that are known, else NaN
    totals : xarray.Dataset, dims (draw, unit): predictive "active" and "revenue" of all cohorts but the new one in
        each calendar unit to come
    starts : first day of each cell's calendar unit, dims (cohort, age)
    new_customers : that the new cohort is of
    horizon : calendar units to come
    """

    draws: xr.Dataset
    seen: xr.Dataset
    totals: xr.Dataset
    starts: xr.DataArray
    new_customers: int
    horizon: int
    unit: str
    currency: str

    def to_pandas(self) -> "pd.DataFrame":
        """A frame a quantity, cohort and age: quantity, cohort, age, start, seen, mean, sd, q05, q50, q95.

        `seen` is the number of the data where there is one.
        """
        import pandas as pd

        within = np.isfinite(self.draws["retention"].isel(draw=0).values)
        cohort, age = np.nonzero(within)
        place = {"cohort": self.draws.cohort.values[cohort], "age": age, "start": self.starts.values[within]}
        frames = [
            pd.DataFrame({"quantity": name, **place, "seen": known[within], **_statistics(self.draws[name], within)})
            for name, known in self._known().items()
        ]
        return pd.concat(frames, ignore_index=True)

    def totals_to_pandas(self) -> "pd.DataFrame":
        """A frame a quantity and calendar unit to come: quantity, start, mean, sd, q05, q50, q95."""
        import pandas as pd

        start = self.totals.unit.values.astype("datetime64[ns]")
        every = np.ones(len(start), dtype=bool)
        frames = [
            pd.DataFrame({"quantity": name, "start": start, **_statistics(self.totals[name], every)})
            for name in ("active", "revenue")
        ]
        return pd.concat(frames, ignore_index=True)

    def _known(self) -> dict[str, FloatArray]:
        """Each quantity in the data, shape (cohort, age)."""
        active, revenue = self.seen["active"].values, self.seen["revenue"].values
        acquired = self.seen["acquired"].values[:, None]
        with np.errstate(invalid="ignore", divide="ignore"):
            return {
                "retention": active / acquired,
                "revenue_per_active": np.where(active > 0, revenue / active, np.nan),
                "revenue_per_acquired": revenue / acquired,
                "cumulative_revenue_per_acquired": np.cumsum(revenue, axis=1) / acquired,
                "active": active,
                "revenue": revenue,
                "cumulative_revenue": np.cumsum(revenue, axis=1),
            }


def _statistics(values: xr.DataArray, within: BoolArray) -> dict[str, FloatArray]:
    """Mean, sd and quantiles of draws (draw, ...) at the places chosen."""
    return dict(zip(STATISTICS, row_statistics(np.ascontiguousarray(values.values[:, within].T)), strict=True))


def revenue_retention(
    fit: RevenueRetentionFit, *, horizon: int, seed: int, new_customers: int | None = None
) -> RevenueRetention:
    """Retention and revenue of each cohort, and of a new one, by age, up to `horizon` calendar units to come.

    Parameters
    ----------
    fit : by `fit_revenue_retention`
    horizon : calendar units, 1 or more. The new cohort is won in the first of them, and has ages 0 to horizon - 1
    seed : of the random numbers; a longer horizon changes none of a shorter one
    new_customers : of the new cohort; by default as many as a cohort has on average

    Returns
    -------
    RevenueRetention
        Expectations hold what is not known of parameters and effects, those of ages, units and cohorts that nobody
        has seen among them; predictive draws also the noise of each cell.

    Raises
    ------
    FitError
        If the fit failed its checks, the draws would fill the memory, or an argument cannot be.

    Notes
    -----
    With contracts the retention of a cohort seen in part goes on from those seen there last.
    """
    require_checks(fit.checks, fit.allowed, "revenue retention by nuts")
    horizon, seed = require_count("horizon", horizon), require_seed(seed, error=FitError)
    triangle, last = fit.triangle, model.last_unit(fit.triangle)
    if new_customers is None:
        new_customers = max(1, round(float(triangle.acquired[triangle.acquired > 0].mean())))
    acquired = np.append(triangle.acquired, require_count("new_customers", new_customers))
    begins = np.append(np.arange(len(triangle.cohorts)), max(last + 1, len(triangle.cohorts)))
    cells = model.grid(triangle, begins, last + horizon + 1, fit.season)
    _refuse_size(fit.n_draws, cells.age.size)
    effects = {part: _effects(fit, part, cells, seed) for part in model.PARTS}
    seen = {name: _padded(getattr(triangle, name), cells.age.shape) for name in ("active", "revenue")}
    draws = _by_age(fit, effects, cells, acquired, seen, seed)
    within = cells.unit <= last + horizon
    starts = model.unit_starts(triangle, int(cells.unit.max()) + 1)
    to_come = last + 1 + np.arange(horizon)
    totals = {name: _totals(draws[name][:, :-1], cells.unit[:-1], to_come) for name in ("active", "revenue")}
    cohorts = np.array([*triangle.cohorts, "new"], dtype=object)
    place = {"cohort": cohorts, "age": np.arange(cells.age.shape[1])}
    return RevenueRetention(
        draws=xr.Dataset(
            {name: (("draw", "cohort", "age"), np.where(within, values, np.nan)) for name, values in draws.items()},
            coords=place,
        ),
        seen=xr.Dataset(
            {name: (("cohort", "age"), values) for name, values in seen.items()} | {"acquired": ("cohort", acquired)},
            coords=place,
        ),
        totals=xr.Dataset(
            {name: (("draw", "unit"), values) for name, values in totals.items()},
            coords={"unit": starts[to_come].astype("datetime64[ns]")},
        ),
        starts=xr.DataArray(starts[cells.unit].astype("datetime64[ns]"), dims=("cohort", "age"), coords=place),
        new_customers=new_customers,
        horizon=horizon,
        unit=triangle.unit,
        currency=triangle.currency,
    )


def _refuse_size(draws: int, cells: int) -> None:
    size = 8 * draws * cells * 2 * len(EXPECTED + PREDICTIVE)
    if size > MOST_BYTES:
        raise FitError(
            f"{draws} draws of {cells} cells take {size / 2**30:.1f} GB (limit {MOST_BYTES / 2**30:.0f}): "
            "fit with fewer draws, a longer unit, or ask for a shorter horizon."
        )


def _padded(values: FloatArray, shape: tuple[int, ...]) -> FloatArray:
    """Values of the triangle in a larger table of NaN."""
    table = np.full(shape, np.nan)
    ages = min(values.shape[1], shape[1])
    table[: len(values), :ages] = values[:, :ages]
    return table


# ----------------------------------------------------------------------------------------------------------- effects
def _effects(fit: RevenueRetentionFit, part: str, cells: model.Cells, seed: int) -> model.Effects:
    """Draws of one part's parameters, (S, 1), and effects, (S, n), also of ages, cohorts and units not seen."""
    stream = [seed, model.PARTS.index(part)]
    sd = {group: _flat(fit, f"{part}_{group}_sd") for group in ("age", "cohort", "unit")}
    walk = _flat(fit, f"{part}_age")
    ages = cells.age.shape[1]
    steps = model.age_steps(ages)[walk.shape[1] :]
    start = walk[:, -1:] if walk.shape[1] else np.zeros((len(walk), 1))
    beyond = start + np.cumsum(
        sd["age"] * steps * _normal([*stream, AGE], walk.shape[1], len(steps), len(walk)), axis=1
    )
    zero = np.zeros_like(sd["age"])
    first = _flat(fit, "revenue_first") if part == "revenue" else zero
    return model.Effects(
        level=_flat(fit, f"{part}_level"),
        slope=_flat(fit, f"{part}_slope"),
        age=np.concatenate([first, zero, walk, beyond], axis=1),
        cohort=_extended(fit, f"{part}_cohort", sd["cohort"], len(cells.cohort), [*stream, COHORT]),
        unit=_extended(fit, f"{part}_unit", sd["unit"], int(cells.unit.max()) + 1, [*stream, UNIT]),
        season=_flat(fit, f"{part}_season") if fit.season != "none" else zero,
    )


def _flat(fit: RevenueRetentionFit, name: str) -> FloatArray:
    """Draws of a parameter, shape (S, 1), or of effects, shape (S, n)."""
    values = fit.draws[name].values
    return np.asarray(values.reshape(fit.n_draws, math.prod(values.shape[2:])))


def _normal(stream: list[int], first: int, size: int, draws: int) -> FloatArray:
    """Standard normal numbers of a purpose at places from `first` on, shape (draws, size); each place has its own."""
    columns = [np.random.default_rng([*stream, first + i]).standard_normal(draws) for i in range(size)]
    return np.stack(columns, axis=1) if columns else np.empty((draws, 0))


def _extended(fit: RevenueRetentionFit, name: str, sd: FloatArray, size: int, stream: list[int]) -> FloatArray:
    """Effects with those that are new, Normal(0, sd^2), after them; shape (S, size)."""
    known = _flat(fit, name)
    more = _normal(stream, known.shape[1], size - known.shape[1], len(known))
    return np.concatenate([known, sd * more], axis=1)


# ------------------------------------------------------------------------------------------------------------- cells
def _by_age(
    fit: RevenueRetentionFit,
    effects: dict[str, model.Effects],
    cells: model.Cells,
    acquired: FloatArray,
    seen: dict[str, FloatArray],
    seed: int,
) -> dict[str, FloatArray]:
    """Draws of every quantity, shape (S, cohorts, ages), one age after the other."""
    shape = (fit.n_draws, *cells.age.shape)
    draws = {name: np.empty(shape) for name in (*EXPECTED, *PREDICTIVE)}
    share, there = np.ones(shape[:2]), np.broadcast_to(acquired, shape[:2])  # of a unit before: expected, and drawn
    for age in range(shape[2]):
        rng = np.random.default_rng([seed, len(model.PARTS), CELL, age])
        at = _column(cells, age)
        p = 1 / (1 + np.exp(-model.predictor(effects["retention"], at))) if age else np.ones(shape[:2])
        m = np.exp(model.predictor(effects["revenue"], at))
        retention = share * p
        active = model.draw_active(rng, p, _flat(fit, "retention_cell_sd"), there) if age else there
        active = np.where(np.isnan(seen["active"][:, age]), active, seen["active"][:, age])
        spreads = (_flat(fit, "revenue_customer_cv"), _flat(fit, "revenue_cell_cv"))
        drawn = model.draw_revenue(rng, m, *spreads, active)
        known = ~np.isnan(seen["revenue"][:, age])
        draws["retention"][..., age], draws["revenue_per_active"][..., age] = retention, m
        draws["revenue_per_acquired"][..., age] = retention * m
        draws["active"][..., age] = active
        draws["revenue"][..., age] = np.where(known, seen["revenue"][:, age], drawn)
        if fit.triangle.contractual:
            there = active
            with np.errstate(invalid="ignore", divide="ignore"):
                counted = seen["active"][:, age] / acquired
            share = np.where(np.isfinite(counted), counted, retention)
    with np.errstate(invalid="ignore", divide="ignore"):
        counted = seen["revenue"] / acquired[:, None]
    paid = np.where(np.isfinite(counted), counted, draws["revenue_per_acquired"])
    draws["cumulative_revenue_per_acquired"] = np.cumsum(paid, axis=-1)
    draws["cumulative_revenue"] = np.cumsum(draws["revenue"], axis=-1)
    return draws


def _column(cells: model.Cells, age: int) -> model.Cells:
    """The cells of one age."""
    return replace(
        cells,
        cohort=cells.cohort[:, age],
        age=cells.age[:, age],
        unit=cells.unit[:, age],
        season=cells.season[:, age],
    )


def _totals(values: FloatArray, unit: IntArray, to_come: IntArray) -> FloatArray:
    """Sums over cohorts by calendar unit, shape (S, units)."""
    return np.stack([values[:, unit == each].sum(axis=1) for each in to_come], axis=1)
