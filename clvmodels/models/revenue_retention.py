"""Revenue retention: what a cohort still pays at each age, as the share that is active times what an active one pays.

The story. Of the n customers that cohort c won in its calendar unit, y are active at age a, that is in calendar unit
k = c + a, and pay R together. Revenue per customer won is R / n = (y / n) (R / y): retention times revenue per active
customer, as in [1]_ and [2]_. Each factor has its own law.

    y ~ BetaBinomial(n, p kappa, (1 - p) kappa),    kappa = cell_sd^-2                                   a >= 1
    R ~ Gamma with mean y m and relative variance customer_cv^2 / y + cell_cv^2                          a >= 0

The beta-binomial [3]_ lets the chance of a cell stray from p by cell_sd sqrt(p (1 - p)), and the Gamma lets its mean
stray from m by the share cell_cv: so a large cohort is not taken for exact. A sum of y independent Gamma amounts has
relative variance customer_cv^2 / y alone. In both,

    logit p, log m = level + slope log a + age_a + cohort_c + unit_k + season_s(k)

    age_1 = 0 and age_a - age_(a-1) ~ Normal(0, age_sd^2 (log a - log(a - 1)))
    cohort_c ~ Normal(0, cohort_sd^2),  unit_k ~ Normal(0, unit_sd^2),  season_s ~ Normal(0, season_sd^2)

Why so. With heterogeneous customers who drop out, the chance to be active falls like a power of age ([4]_, the tail
of Pareto/NBD), so that logit p has a straight line in log a in the end: it is what carries the curve beyond the ages
seen. The age effects are a Brownian motion in log age: they follow a curve that is not straight, are small between
late ages, and go on from the last age seen, rather than jump back to the line. Age, cohort and calendar unit are
linearly dependent (k = c + a), so that of three trends two can be learnt only [5]_; here age has the trend, and
cohorts and units none: their effects are exchangeable and pooled [6]_. A lasting rise in the quality of cohorts is
so far read as differences between cohorts.

At age 0 all are active, and log m = level + first + cohort_c + unit_k + season: the unit of the first purchase has
its own mean.

Contracts. A customer who is gone stays gone: then n is the number there at age a - 1 and p the retention rate, the
chance to stay from a - 1 to a. A beta-geometric cohort [7]_ has retention odds (beta + a - 1) / alpha, whose logarithm
is that straight line too, with slope 1 where beta = 1.

References
----------
.. [1] Fader and Hardie (2010), Customer-Base Valuation in a Contractual Setting: The Perils of Ignoring
   Heterogeneity, Marketing Science 29(1), doi 10.1287/mksc.1080.0482.
.. [2] Gupta, Lehmann and Stuart (2004), Valuing Customers, Journal of Marketing Research 41(1),
   doi 10.1509/jmkr.41.1.7.25084.
.. [3] Williams (1975), The Analysis of Binary Responses from Toxicological Experiments Involving Reproduction and
   Teratogenicity, Biometrics 31(4), doi 10.2307/2529820.
.. [4] Schmittlein, Morrison and Colombo (1987), Counting Your Customers, Management Science 33(1),
   doi 10.1287/mnsc.33.1.1.
.. [5] Holford (1983), The Estimation of Age, Period and Cohort Effects for Vital Rates, Biometrics 39(2),
   doi 10.2307/2531004.
.. [6] Gelman (2006), Prior distributions for variance parameters in hierarchical models, Bayesian Analysis 1(3),
   doi 10.1214/06-BA117A.
.. [7] Fader and Hardie (2007), How to Project Customer Retention, Journal of Interactive Marketing 21(1),
   doi 10.1002/dir.20074.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from clvmodels.foundation.cohorts import CohortTriangle
from clvmodels.foundation.errors import DataError, FitError
from clvmodels.foundation.ops import Ops
from clvmodels.foundation.patterns import BoolArray, FloatArray, IntArray
from clvmodels.foundation.priors import HalfNormal, Normal, Prior
from clvmodels.models.retention import stirling_remainder

PARTS = ("retention", "revenue")
STIRLING = 16.0
SHARED = ("level", "slope", "age_sd", "cohort_sd", "unit_sd", "season_sd")  # of both parts
PARAMETERS = (
    *(f"retention_{name}" for name in (*SHARED, "cell_sd")),
    *(f"revenue_{name}" for name in (*SHARED, "first", "customer_cv", "cell_cv")),
)
NUMPY_UNIT = {"day": "D", "month": "M", "year": "Y"}
SEASONS = {"month": 12, "weekday": 7}
UNITS_FOR_SEASON = {"month": ("month", 24), "week": ("month", 104), "day": ("weekday", 28)}  # two rounds; four weeks


@dataclass(frozen=True)
class Cells:
    """Where cells of a triangle stand; all arrays have one shape.

    Attributes
    ----------
    cohort, age, unit : counted from 0; unit = cohort + age counts calendar units from the first cohort's
    season : of the unit: month or weekday from 0, or 0 where there is no season
    """

    cohort: IntArray
    age: IntArray
    unit: IntArray
    season: IntArray

    def where(self, chosen: BoolArray) -> "Cells":
        """Some of the cells, in a line."""
        return Cells(self.cohort[chosen], self.age[chosen], self.unit[chosen], self.season[chosen])


@dataclass(frozen=True)
class Effects:
    """One part's parameters and effects: variables of a graph, or draws with the draws first.

    Attributes
    ----------
    level, slope : scalars, or shape (S, 1, ...) to broadcast against cells
    age : shape (..., A), by age; at age 0 the difference of the first unit
    cohort, unit, season : shapes (..., C), (..., K), (..., 12 or 7)
    """

    level: Any
    slope: Any
    age: Any
    cohort: Any
    unit: Any
    season: Any


# ------------------------------------------------------------------------------------------------------ the calendar
def unit_starts(triangle: CohortTriangle, size: int) -> NDArray[np.datetime64]:
    """First day of each calendar unit from the first cohort's on, shape (size,)."""
    first = triangle.start[0].astype("datetime64[D]")
    if triangle.unit == "week":
        return np.asarray(first + np.arange(0, 7 * size, 7).astype("timedelta64[D]"))
    letter = NUMPY_UNIT[triangle.unit]
    coarse = first.astype(f"datetime64[{letter}]")
    return np.asarray((coarse + np.arange(size).astype(f"timedelta64[{letter}]")).astype("datetime64[D]"))


def seasons_of(starts: NDArray[np.datetime64], unit: str, season: str) -> IntArray:
    """Month of the year (of a week's fourth day) or weekday from Monday, from 0; all 0 without a season."""
    if season == "month":
        middle = starts + np.timedelta64(3 if unit == "week" else 0, "D")
        return middle.astype("datetime64[M]").astype(np.int64) % 12
    if season == "weekday":
        return (starts.astype("datetime64[D]").astype(np.int64) + 3) % 7  # 1970-01-01 was a Thursday
    return np.zeros(len(starts), dtype=np.int64)


def grid(triangle: CohortTriangle, cohorts: IntArray, ages: int, season: str) -> Cells:
    """Cells of cohorts that begin in the given units at ages 0 to `ages` - 1, shape (len(cohorts), ages)."""
    cohort, age = np.meshgrid(np.arange(len(cohorts)), np.arange(ages), indexing="ij")
    unit = cohorts[:, None] + age
    of_unit = seasons_of(unit_starts(triangle, int(unit.max()) + 1), triangle.unit, season)
    return Cells(cohort, age, unit, of_unit[unit])


def last_unit(triangle: CohortTriangle) -> int:
    """The last calendar unit of which a cell is seen, counted from the first cohort's."""
    cohort, age = np.nonzero(triangle.seen)
    return int((cohort + age).max())


def ages_seen(triangle: CohortTriangle) -> int:
    """Ages up to the last one that is seen of some cohort, age 0 with them."""
    return int(np.nonzero(triangle.seen)[1].max()) + 1


def choose_season(triangle: CohortTriangle, season: str) -> tuple[str, tuple[str, ...]]:
    """The season that a fit has, "month", "weekday" or "none", and a note where the data are too short for one.

    Raises
    ------
    FitError
        If there is no such season, or the unit is too long for it.
    """
    if season not in ("auto", "none", *SEASONS):
        raise FitError(f'season = "{season}": expected "auto", "month", "weekday" or "none".')
    kind, least = UNITS_FOR_SEASON.get(triangle.unit, ("none", 0))
    if season not in ("auto", "none"):
        if season != kind and not (season == "month" and triangle.unit == "day"):
            raise FitError(f'season = "{season}" for units of a {triangle.unit}: it would be the same in all of them.')
        return season, ()
    if season == "none" or kind == "none":
        return "none", ()
    units = last_unit(triangle) + 1
    if units < least:
        return "none", (f"season left out: {units} {triangle.unit}s seen, and {least} are needed to tell it apart.",)
    return kind, ()


# ----------------------------------------------------------------------------------------------- what a triangle says
def at_risk(triangle: CohortTriangle) -> FloatArray:
    """Customers of whom those active are a part, shape (C, A): those won or, of contracts, those there at age a - 1."""
    if not triangle.contractual:
        return np.repeat(triangle.acquired[:, None], triangle.active.shape[1], axis=1)
    return np.concatenate([triangle.acquired[:, None], triangle.active[:, :-1]], axis=1)


def retention_cells(triangle: CohortTriangle) -> BoolArray:
    """Cells that say something of retention, shape (C, A)."""
    with np.errstate(invalid="ignore"):
        told = triangle.seen & (at_risk(triangle) > 0)
    told[:, 0] = False
    return np.asarray(told)


def revenue_cells(triangle: CohortTriangle) -> BoolArray:
    """Cells that say something of revenue per active customer, shape (C, A)."""
    with np.errstate(invalid="ignore"):
        return np.asarray(triangle.seen & (triangle.active > 0) & (triangle.revenue > 0))


# ---------------------------------------------------------------------------------------------------------- the model
def predictor(effects: Effects, cells: Cells) -> Any:
    """Level + slope log a + effects of age, cohort, unit and season: logit p or log m of each cell."""
    line = effects.level + effects.slope * np.log(np.maximum(cells.age, 1))
    deviation = effects.age[..., cells.age] + effects.cohort[..., cells.cohort]
    return line + deviation + effects.unit[..., cells.unit] + effects.season[..., cells.season]


def age_steps(ages: int) -> FloatArray:
    """Standard deviations of the steps of the age effects at ages 2 to `ages` - 1, in units of age_sd."""
    return np.sqrt(np.diff(np.log(np.arange(1.0, ages))))


def active_log_likelihood(p_logit: Any, cell_sd: Any, active: FloatArray, n: FloatArray, ops: Ops) -> Any:
    """Log beta-binomial chance of `active` among n, shape (M,)."""
    kappa = cell_sd**-2
    a = kappa / (1 + ops.exp(-p_logit))
    b = kappa / (1 + ops.exp(p_logit))
    ways = ops.gammaln(n + 1) - ops.gammaln(active + 1) - ops.gammaln(n - active + 1)
    return ways + _log_rising(a, active, ops) + _log_rising(b, n - active, ops) - _log_rising(kappa, n, ops)


def _log_rising(x: Any, t: Any, ops: Ops) -> Any:
    """log Gamma(x + t) - log Gamma(x), from x = 16 on by Stirling's series, whose terms are subtracted one by one.

    Where hardly any spread is left, x is beyond 1e8. Log gammas of such numbers agree in so many digits that their
    difference has few, and over that noise chains of the sampler stood still.
    """
    large = ops.maximum(x, STIRLING)
    y = large + t
    series = (
        (large - 0.5) * ops.log1p(t / large)
        + t * (ops.log(y) - 1.0)
        + stirling_remainder(y)
        - stirling_remainder(large)
    )
    small = ops.where(x < STIRLING, x, STIRLING)
    return ops.where(x < STIRLING, ops.gammaln(small + t) - ops.gammaln(small), series)


def revenue_log_likelihood(
    log_m: Any, customer_cv: Any, cell_cv: Any, revenue: FloatArray, active: FloatArray, ops: Ops
) -> Any:
    """Log Gamma density of the revenue of `active` customers, shape (M,)."""
    shape = 1 / (customer_cv**2 / active + cell_cv**2)
    log_ratio = ops.log(revenue) - ops.log(active) - log_m  # of revenue to its mean
    return shape * (ops.log(shape) + log_ratio - ops.exp(log_ratio)) - ops.gammaln(shape) - ops.log(revenue)


def draw_active(rng: np.random.Generator, p: FloatArray, cell_sd: FloatArray, n: FloatArray) -> FloatArray:
    """Active customers among n, beta-binomial; all arguments broadcast."""
    kappa = np.broadcast_to(cell_sd, p.shape) ** -2.0
    tiny = np.finfo(float).tiny
    chance = rng.beta(np.maximum(p * kappa, tiny), np.maximum((1 - p) * kappa, tiny))
    return rng.binomial(np.broadcast_to(n, p.shape).astype(np.int64), chance).astype(np.float64)


def draw_revenue(
    rng: np.random.Generator, m: FloatArray, customer_cv: FloatArray, cell_cv: FloatArray, active: FloatArray
) -> FloatArray:
    """Revenue of `active` customers, Gamma; 0 of nobody. All arguments broadcast."""
    some = np.maximum(active, 1)
    shape = np.broadcast_to(1 / (customer_cv**2 / some + cell_cv**2), m.shape)
    return np.where(active > 0, rng.gamma(shape) / shape * some * m, 0.0)


# ------------------------------------------------------------------------------------------------------------- priors
def default_priors(triangle: CohortTriangle) -> dict[str, Prior]:
    """Wide priors: levels around the triangle's own, effects of up to about a half on the scale of logit and log."""
    told, paid = retention_cells(triangle), revenue_cells(triangle)
    share = (triangle.active[told].sum() + 0.5) / (at_risk(triangle)[told].sum() + 1.0)
    spend = triangle.revenue[paid].sum() / triangle.active[paid].sum()
    spreads = {"age_sd": 0.5, "cohort_sd": 0.5, "unit_sd": 0.3, "season_sd": 0.3}
    return {
        "retention_level": Normal(float(np.log(share / (1 - share))), 1.5),
        "retention_slope": Normal(0.0, 1.0),
        "retention_cell_sd": HalfNormal(0.1),
        "revenue_level": Normal(float(np.log(spend)), 1.0),
        "revenue_slope": Normal(0.0, 0.5),
        "revenue_first": Normal(0.0, 1.0),
        "revenue_customer_cv": HalfNormal(2.0),
        "revenue_cell_cv": HalfNormal(0.2),
        **{f"{part}_{name}": HalfNormal(sd) for part in PARTS for name, sd in spreads.items()},
    }


def priors_for(triangle: CohortTriangle, given: Mapping[str, Prior]) -> dict[str, Prior]:
    """The default priors with those given in their places.

    Raises
    ------
    FitError
        If there is no such parameter, or its prior is of another kind.
    """
    priors = default_priors(triangle)
    for name, prior in given.items():
        if name not in priors:
            raise FitError(f'there is no parameter "{name}" with a prior: expected some of {", ".join(PARAMETERS)}.')
        if not isinstance(prior, type(priors[name])):
            raise FitError(f"the prior of {name} is a {type(prior).__name__}: expected {type(priors[name]).__name__}.")
    return {name: given.get(name, priors[name]) for name in PARAMETERS}


# ---------------------------------------------------------------------------------------------------------- the story
def simulate(
    rng: np.random.Generator, parameters: Mapping[str, float], triangle: CohortTriangle, season: str
) -> CohortTriangle:
    """A triangle of the story with the cohorts, ages, calendar and kind of another one, every cell of it seen.

    Parameters
    ----------
    parameters : by the names in PARAMETERS; `season_sd` is read where there is a season
    """
    cohorts, ages = triangle.active.shape
    cells = grid(triangle, np.arange(cohorts), ages, season)
    logit, log_m = (predictor(_drawn(rng, part, parameters, cells, season), cells) for part in PARTS)
    p = 1 / (1 + np.exp(-logit))
    active = np.repeat(triangle.acquired[:, None], ages, axis=1)
    cell_sd = np.array(parameters["retention_cell_sd"])
    for age in range(1, ages):
        n = active[:, age - 1] if triangle.contractual else triangle.acquired
        active[:, age] = draw_active(rng, p[:, age], cell_sd, n)
    customer_cv, cell_cv = (np.array(parameters[f"revenue_{name}"]) for name in ("customer_cv", "cell_cv"))
    revenue = draw_revenue(rng, np.exp(log_m), customer_cv, cell_cv, active)
    return replace(triangle, active=active, revenue=revenue)


def _drawn(rng: np.random.Generator, part: str, parameters: Mapping[str, float], cells: Cells, season: str) -> Effects:
    """Effects of one part at its parameters."""
    of_part = {name: parameters[f"{part}_{name}"] for name in SHARED}
    steps = age_steps(int(cells.age.max()) + 1)
    walk = np.cumsum(of_part["age_sd"] * steps * rng.standard_normal(len(steps)))
    first = parameters["revenue_first"] if part == "revenue" else 0.0

    def normal(name: str, size: int) -> FloatArray:
        return of_part[f"{name}_sd"] * rng.standard_normal(size)

    return Effects(
        level=of_part["level"],
        slope=of_part["slope"],
        age=np.concatenate([[first, 0.0], walk]),
        cohort=normal("cohort", int(cells.cohort.max()) + 1),
        unit=normal("unit", int(cells.unit.max()) + 1),
        season=normal("season", SEASONS[season]) if season in SEASONS else np.zeros(1),
    )


def require_readable(triangle: CohortTriangle) -> None:
    """Refuse a triangle from which nothing can be learnt, or that cannot be.

    Raises
    ------
    DataError
        With the cohort and age of a cell that cannot be, or what is missing.
    """
    if not isinstance(triangle, CohortTriangle):
        raise DataError(f"triangle is a {type(triangle).__name__}: expected a CohortTriangle.")
    _refuse_cells(
        triangle,
        triangle.seen[:, :1] & (triangle.active[:, :1] != triangle.acquired[:, None]),
        "not all that were won are active in the unit in which they were won. Count as won those who bought, or "
        "whose contract began",
    )
    if triangle.contractual:
        risen = triangle.active > at_risk(triangle)
        _refuse_cells(triangle, risen, "more are there than a unit before, which cannot be with contracts")
    _refuse_cells(triangle, triangle.active % 1 > 0, "customers are not counted in whole numbers")
    told = retention_cells(triangle)
    if len(np.unique(np.nonzero(told)[1])) < 2:
        raise DataError("too little to learn from: cohorts have to be seen at two ages above 0, or more.")
    if not triangle.active[told].any():
        raise DataError("nobody is ever active after age 0: there is no retention to learn of.")
    if not revenue_cells(triangle)[:, 1:].any():
        raise DataError("no revenue is known after age 0: the triangle needs amounts for revenue retention.")


def _refuse_cells(triangle: CohortTriangle, wrong: NDArray[Any], what: str) -> None:
    if wrong.any():
        row, age = np.argwhere(wrong)[0]
        raise DataError(f"cohort {triangle.cohorts[row]}, age {age} ({int(wrong.sum())} cells in all): {what}.")


def season_labels(season: str) -> Sequence[str]:
    """Names of the seasons, in order."""
    days = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
    return {"month": tuple(f"{month:02d}" for month in range(1, 13)), "weekday": days}.get(season, ("all",))
