"""`fit_revenue_retention`: retention and revenue per active customer of cohorts, learnt from a triangle."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from clvmodels.foundation.cohorts import CohortTriangle
from clvmodels.foundation.errors import FitError
from clvmodels.foundation.patterns import FloatArray
from clvmodels.foundation.priors import Prior
from clvmodels.foundation.results import Check
from clvmodels.foundation.whole import require_count, require_seed
from clvmodels.inference.triangle_target import PartTarget, apart, part_target
from clvmodels.models import revenue_retention as model

if TYPE_CHECKING:  # slow to import and only named here
    import pandas as pd

    from clvmodels.inference.triangle_nuts import TriangleSample

LEAST_DRAWS = 100


@dataclass(frozen=True)
class RevenueRetentionFit:
    """Revenue retention fitted to a triangle.

    Attributes
    ----------
    triangle : that was learnt from
    draws : xarray.Dataset, dims (chain, draw): the parameters of `models.revenue_retention`, and with a third
        dimension the effects, such as "retention_cohort" by cohort, "retention_age" by age from 2 on,
        "retention_unit" by the first day of a calendar unit, "retention_season"
    season : "month", "weekday" or "none"
    priors : by parameter
    checks : diagnostics with their limits
    allowed : diagnostics that may fail; see `allowing`
    notes : what a reader must know, such as a season left out
    """

    triangle: CohortTriangle
    draws: xr.Dataset
    season: str
    priors: dict[str, Prior]
    checks: tuple[Check, ...]
    allowed: tuple[str, ...] = ()
    notes: tuple[str, ...] = field(default=())

    @property
    def n_draws(self) -> int:
        """Draws over all chains."""
        return int(self.draws.sizes["chain"] * self.draws.sizes["draw"])

    @property
    def passed(self) -> bool:
        """Whether every diagnostic is within its limit."""
        return all(check.passed for check in self.checks)

    def allowing(self, *checks: str) -> "RevenueRetentionFit":
        """The same fit, from which forecasts are made although these checks may have failed.

        Raises
        ------
        FitError
            If there is no check of that name.
        """
        from clvmodels.inference.diagnostics import require_check_names

        return replace(self, allowed=tuple(dict.fromkeys((*self.allowed, *require_check_names(checks)))))

    def summary(self) -> "pd.DataFrame":
        """A frame by parameter and effect: mean, sd, q05, q50, q95, ess_bulk, ess_tail, r_hat."""
        from clvmodels.inference.diagnostics import draws_summary

        return draws_summary(self.draws)

    def to_arviz(self) -> xr.DataTree:
        """The draws as a DataTree that ArviZ reads."""
        return xr.DataTree.from_dict({"posterior": self.draws})


def fit_revenue_retention(
    triangle: CohortTriangle,
    *,
    draws: int = 1000,
    seed: int | None = None,
    season: str = "auto",
    priors: Mapping[str, Prior] | None = None,
) -> RevenueRetentionFit:
    """Retention and revenue per active customer by age, with effects of age, cohort, calendar unit and season pooled.

    The model stands in `models.revenue_retention`. It is sampled by NUTS, over 4 chains.

    Parameters
    ----------
    triangle : cohorts by age; cells that are not seen whole are NaN. With `contractual`, retention is that of the
        customers who were there a unit before, else of all that were won
    draws : posterior draws to keep, 100 or more
    seed : of the random numbers
    season : "auto" has a season where the data span two rounds of it: months of the year with units of months and
        weeks, weekdays with days. "month", "weekday" and "none" decide
    priors : replaces default priors, by parameter: `retention_` and `revenue_` with level and slope (Normal), age_sd,
        cohort_sd, unit_sd and season_sd (HalfNormal); retention_cell_sd, revenue_customer_cv and revenue_cell_cv
        (HalfNormal), revenue_first (Normal). Levels are a logit and a log amount at age 1

    Returns
    -------
    RevenueRetentionFit
        `revenue_retention(fit, horizon=..., seed=...)` makes forecasts from it.

    Raises
    ------
    DataError
        If a cell cannot be, or there is too little to learn from.
    FitError
        If a season or a prior does not fit, draws are too few, or the seed is missing.

    Notes
    -----
    Of contracts alone, without revenue or with covariates, `fit("sbg", table)` and the other models of retention say
    more: they know how customers differ. Cells in which active customers pay nothing, or less than nothing after
    refunds, are left out of the revenue part, which a note says.
    """
    model.require_readable(triangle)
    if require_count("draws", draws) < LEAST_DRAWS:
        raise FitError(f"draws = {draws}: {LEAST_DRAWS} or more are needed to tell whether the chains have met.")
    seed = require_seed(seed, error=FitError)
    chosen, notes = model.choose_season(triangle, season)
    of_parameters = model.priors_for(triangle, priors or {})
    targets = [part_target(part, triangle, chosen, of_parameters) for part in model.PARTS]
    from clvmodels.inference.triangle_nuts import sample_triangle  # imports PyMC: seconds

    sample = sample_triangle(targets, draws, seed)
    rng = np.random.default_rng(seed)
    variables: dict[str, tuple[tuple[str, ...], FloatArray]] = {}
    for target in targets:
        variables |= _variables(target, sample, rng)
    return RevenueRetentionFit(
        triangle=triangle,
        draws=xr.Dataset(variables, coords=_coordinates(triangle, chosen)),
        season=chosen,
        priors=of_parameters,
        checks=_checks(targets, sample),
        notes=(*notes, *_unpaid(triangle)),
    )


def _variables(
    target: PartTarget, sample: "TriangleSample", rng: np.random.Generator
) -> dict[str, tuple[tuple[str, ...], FloatArray]]:
    """Parameters and effects of one part at the draws that are kept."""
    kept = slice(None, None, sample.thin)
    theta, means = apart(target, sample.parameters[target.part][:, kept], rng)
    effects = sample.effects[target.part][:, kept]
    natural = np.where(target.positive, np.exp(np.where(target.positive, theta, 0.0)), theta)
    variables: dict[str, tuple[tuple[str, ...], FloatArray]] = {
        f"{target.part}_{name}": (("chain", "draw"), natural[..., i]) for i, name in enumerate(target.names)
    }
    first = 0
    for group, basis in target.bases.items():
        values = effects[..., first : first + basis.shape[1]] @ basis.T
        first += basis.shape[1]
        if group == "age":
            values = (values + means["age"][..., None] * np.log(np.maximum(np.arange(len(basis)), 1)))[..., 2:]
        elif group in means:
            values = values + means[group][..., None]
        variables[f"{target.part}_{group}"] = (("chain", "draw", group), values)
    return variables


def _coordinates(triangle: CohortTriangle, season: str) -> dict[str, object]:
    """Labels of the effects."""
    starts = model.unit_starts(triangle, model.last_unit(triangle) + 1)
    labels = {
        "age": np.arange(2, model.ages_seen(triangle)),
        "cohort": np.array(triangle.cohorts, dtype=object),
        "unit": np.array([str(start) for start in starts], dtype=object),
    }
    return labels | ({"season": np.array(model.season_labels(season), dtype=object)} if season != "none" else {})


def _checks(targets: list[PartTarget], sample: "TriangleSample") -> tuple[Check, ...]:
    """The diagnostics over all that was sampled, every draw of it."""
    from clvmodels.inference.diagnostics import nuts_checks

    every = {
        f"{target.part}_{i}": values[..., i]
        for target in targets
        for values in (np.concatenate([sample.parameters[target.part], sample.effects[target.part]], axis=-1),)
        for i in range(values.shape[-1])
    }
    return nuts_checks(every, sample.divergences, sample.energy)


def _unpaid(triangle: CohortTriangle) -> tuple[str, ...]:
    """A note on cells in which active customers pay nothing or less."""
    with np.errstate(invalid="ignore"):
        unpaid = triangle.seen & (triangle.active > 0) & (triangle.revenue <= 0)
    if not unpaid.any():
        return ()
    amount = triangle.revenue[unpaid].sum()
    return (f"{int(unpaid.sum())} cells with active customers and no revenue ({amount:g}) left out of revenue.",)
