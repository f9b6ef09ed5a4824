"""What each part of revenue retention reads of a triangle, and coordinates in which its posterior is nearly round.

The unknowns of a part are its parameters theta (spreads and standard deviations in logs) and its effects. An effect
of which the data tell much is best drawn as it is, and one of which they tell little in units of its standard
deviation sd, or sampling is slow [1]_. Between the two stands

    effect = w sd^c sd_0^(1 - c),    w ~ Normal(0, (sd / sd_0)^(2 (1 - c)))

with sd_0 a typical sd, and c the share of its prior variance that the data leave an effect [2]_: 1 draws in units of
sd, 0 as it is. That share is taken at an sd far below sd_0, where sampling is hardest. Their covariance at sd_0 is
taken out, too.

What no data tell apart is not sampled at all: the mean of the cohorts' effects and the level, or the age effects'
straight line and the slope. The mean of C effects of standard deviation sd is Normal(0, sd^2 / C) and independent of
what is left of them; so the sampler has the sum of level and means, whose prior variance is the sum of theirs, and
effects of sum 0. `apart` draws the means afterwards. Of a Brownian motion W over T = log of the last age seen the end
W(T) is such a mean: what is left is a bridge, and W(T) / T has variance sd^2 / T.

References
----------
.. [1] Papaspiliopoulos, Roberts and Skold (2007), A General Framework for the Parametrization of Hierarchical Models,
   Statistical Science 22(1), doi 10.1214/088342307000000014.
.. [2] Gorinova, Moore and Hoffman (2020), Automatic Reparameterisation of Probabilistic Programs, ICML.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.linalg import block_diag

from clvmodels.foundation.cohorts import CohortTriangle
from clvmodels.foundation.ops import NUMPY_OPS, Ops
from clvmodels.foundation.patterns import BoolArray, FloatArray, IntArray
from clvmodels.foundation.priors import Normal, Prior
from clvmodels.models import revenue_retention as model

STEP = 1e-3  # of differences: second ones lose 1e-16 / STEP^2
ROUNDS = 40  # towards typical standard deviations; the draws do not hang on how near they come
LONGEST = 2.0  # of a step, in any unknown
LEAST_CURVATURE = 0.01
LEAST_SD = 0.2  # of the prior's
FAR_BELOW = 5.0  # standard deviations of log sd
SPREADS = {"retention": ("cell_sd",), "revenue": ("customer_cv", "cell_cv")}


@dataclass(frozen=True)
class PartTarget:
    """One part, retention or revenue, of M cells with Q parameters and Z effects.

    Attributes
    ----------
    part : "retention" or "revenue"
    names : parameters, shape (Q,)
    positive : ndarray, shape (Q,), which of them are in logs
    prior_mean, prior_sd : ndarrays, shape (Q,); a half-normal prior has mean 0
    line : ndarray, shape (M, Q), what level, slope and first weigh in each cell
    bases : by group (age from age 0 on, cohort, unit and perhaps season), ndarray, shape (members, effects): what is
        left of its members' effects once their mean is taken out
    index : ndarray, shape (M, 4), each cell's age, cohort, unit and season in a line of all groups
    sd_of : ndarray, shape (Z,), place in theta of each effect's standard deviation
    shift : ndarray, shape (Q, Q), what each variance adds to the prior variance of level and slope
    outcome, size : ndarrays, shape (M,): active among those who can be, or revenue of the active
    """

    part: str
    names: tuple[str, ...]
    positive: BoolArray
    prior_mean: FloatArray
    prior_sd: FloatArray
    line: FloatArray
    bases: dict[str, FloatArray]
    index: IntArray
    sd_of: IntArray
    shift: FloatArray
    outcome: FloatArray
    size: FloatArray

    @property
    def n_unknowns(self) -> int:
        """Q + Z."""
        return len(self.names) + len(self.sd_of)

    def place(self, name: str) -> int:
        """Of a parameter in x."""
        return self.names.index(name)

    def log_likelihood(self, eta: Any, spreads: tuple[Any, ...], ops: Ops) -> Any:
        """Of each cell, from its predictor and the parameters in SPREADS; shape (M,)."""
        if self.part == "retention":
            (cell_sd,) = spreads
            return model.active_log_likelihood(eta, cell_sd, self.outcome, self.size, ops)
        customer_cv, cell_cv = spreads
        return model.revenue_log_likelihood(eta, customer_cv, cell_cv, self.outcome, self.size, ops)


def part_target(part: str, triangle: CohortTriangle, season: str, priors: Mapping[str, Prior]) -> PartTarget:
    """What one part reads of the triangle."""
    told = model.retention_cells(triangle) if part == "retention" else model.revenue_cells(triangle)
    cells = model.grid(triangle, np.arange(len(triangle.cohorts)), triangle.active.shape[1], season).where(told)
    bases = _bases(triangle, season)
    names = tuple(name.removeprefix(f"{part}_") for name in priors if name.startswith(f"{part}_"))
    names = tuple(name for name in names if season in model.SEASONS or name != "season_sd")
    of_part = [priors[f"{part}_{name}"] for name in names]
    weights = {"level": np.ones(len(cells.age)), "slope": np.log(np.maximum(cells.age, 1)), "first": cells.age == 0}
    starts = np.cumsum([0, *(len(basis) for basis in bases.values())])
    return PartTarget(
        part=part,
        names=names,
        positive=np.array([not isinstance(prior, Normal) for prior in of_part]),
        prior_mean=np.array([prior.mean if isinstance(prior, Normal) else 0.0 for prior in of_part]),
        prior_sd=np.array([prior.sd for prior in of_part]),  # type: ignore[union-attr]
        line=np.stack([weights.get(name, np.zeros(len(cells.age))) for name in names], axis=1).astype(np.float64),
        bases=bases,
        index=np.stack([getattr(cells, group) for group in bases], axis=1) + starts[:-1],
        sd_of=np.repeat([names.index(f"{g}_sd") for g in bases], [basis.shape[1] for basis in bases.values()]),
        shift=_shift(names, triangle),
        outcome=triangle.active[told] if part == "retention" else triangle.revenue[told],
        size=model.at_risk(triangle)[told] if part == "retention" else triangle.active[told],
    )


def _bases(triangle: CohortTriangle, season: str) -> dict[str, FloatArray]:
    """What effects of sum 0, and a bridge over log age, are made of."""
    steps = model.age_steps(model.ages_seen(triangle))
    bridge = np.cumsum(steps[:, None] * _complement(steps), axis=0)
    bases = {
        "age": np.pad(bridge, ((2, 0), (0, 0))),
        "cohort": _complement(np.ones(len(triangle.cohorts))),
        "unit": _complement(np.ones(model.last_unit(triangle) + 1)),
    }
    return bases | ({"season": _complement(np.ones(model.SEASONS[season]))} if season in model.SEASONS else {})


def _complement(direction: FloatArray) -> FloatArray:
    """An orthonormal basis of what is at right angles to a direction, shape (n, n - 1), by Householder's reflection.

    It is near to the unit vectors, so that a coordinate stands for one effect.
    """
    size = len(direction)
    normal = direction / np.linalg.norm(direction)
    normal[-1] += 1.0
    return np.eye(size)[:, :-1] - np.outer(normal, normal[:-1]) * 2 / (normal @ normal)


def _shift(names: tuple[str, ...], triangle: CohortTriangle) -> FloatArray:
    """Variance of the means, in units of the effects' variances: of the level (row 0) and the slope (row 1)."""
    shift = np.zeros((len(names), len(names)))
    level, slope = names.index("level"), names.index("slope")
    shift[level, names.index("cohort_sd")] = 1 / len(triangle.cohorts)
    shift[level, names.index("unit_sd")] = 1 / (model.last_unit(triangle) + 1)
    shift[slope, names.index("age_sd")] = 1 / np.log(model.ages_seen(triangle) - 1)
    return shift


def incidence(target: PartTarget) -> FloatArray:
    """What each effect weighs in each cell's predictor, shape (M, Z)."""
    return block_diag(*target.bases.values())[target.index].sum(axis=1)


def apart(target: PartTarget, theta: FloatArray, rng: np.random.Generator) -> tuple[FloatArray, dict[str, FloatArray]]:
    """Level and slope themselves, and by group the mean that was taken out of the effects; theta of shape (..., Q).

    Independent normal numbers are drawn, and the difference of their sum to the one known is shared out by their
    variances: that is their distribution given the sum.
    """
    means: dict[str, FloatArray] = {}
    theta = theta.copy()
    variances = np.where(target.positive, np.exp(2 * np.where(target.positive, theta, 0.0)), target.prior_sd**2)
    for name, groups in (("level", ("cohort", "unit")), ("slope", ("age",))):
        place = target.place(name)
        of_groups = [target.shift[place, sd] * variances[..., sd] for sd in (target.place(f"{g}_sd") for g in groups)]
        every = np.stack([variances[..., place], *of_groups])
        drawn = rng.standard_normal(every.shape) * np.sqrt(every)
        gap = theta[..., place] - target.prior_mean[place] - drawn.sum(axis=0)
        own, *of_groups = drawn + every * gap / every.sum(axis=0)
        theta[..., place] = target.prior_mean[place] + own
        means |= dict(zip(groups, of_groups, strict=True))
    return theta, means


# ------------------------------------------------------------------------------------------------------- coordinates
@dataclass(frozen=True)
class Coordinates:
    """Where and how wide the posterior of a part is, for the sampler.

    Attributes
    ----------
    centre : ndarray, shape (Q + Z,), of theta and w
    root : ndarray, shape (Q + Z, Q + Z), L with L L' their covariance, that of log standard deviations as if apart
    share : ndarray, shape (Z,), c of each effect
    log_sd : ndarray, shape (Z,), log sd_0 of each effect
    """

    centre: FloatArray
    root: FloatArray
    share: FloatArray
    log_sd: FloatArray


def coordinates(target: PartTarget) -> Coordinates:
    """Coordinates at typical standard deviations: those of the most likely effects and what is not known of them.

    An expectation-maximisation with a normal posterior of the effects: sd^2 is the mean of their squares.
    """
    count, weights = len(target.names), incidence(target)
    is_sd = np.isin(np.arange(count), target.sd_of)
    x = np.concatenate([np.where(target.positive, np.log(target.prior_sd / 2), target.prior_mean), 0.0 * target.sd_of])
    for _ in range(ROUNDS):
        x, covariance = _newton(target, weights, x, is_sd)
        squares = np.exp(2 * x[target.sd_of]) * (x[count:] ** 2 + np.diag(covariance)[count:])
        for place in np.flatnonzero(is_sd):
            sd = _typical_sd(squares[target.sd_of == place], target.prior_sd[place])
            members = count + np.flatnonzero(target.sd_of == place)
            x[members] *= np.exp(x[place]) / sd  # the effects stay as they are
            x[place] = np.log(sd)
    x, covariance = _newton(target, weights, x, is_sd)
    left = np.diag(covariance)[count:]  # of each effect's prior variance, at sd_0
    sds = np.flatnonzero(is_sd)
    of_log_sd = 1 / (4 + 2 * np.bincount(target.sd_of, 1 - left, count))
    covariance[sds, sds] = of_log_sd[sds]
    below = np.exp(-2 * FAR_BELOW * np.sqrt(of_log_sd[target.sd_of]))  # (sd / sd_0)^2
    return Coordinates(
        centre=x,
        root=np.linalg.cholesky(covariance),
        share=left / (left + below * (1 - left)),  # 1 / (1 + information sd^2)
        log_sd=x[target.sd_of],
    )


def _typical_sd(squares: FloatArray, scale: float) -> float:
    """The mode of log sd given the effects' squares and a half-normal prior: n - 1 = sum / sd^2 - sd^2 / scale^2.

    Where it falls towards 0, most of the posterior lies above it: hence LEAST_SD.
    """
    half = (len(squares) - 1) / 2
    sd = np.sqrt(squares.sum() / (half + np.sqrt(half**2 + squares.sum() / scale**2)))
    return float(max(sd, LEAST_SD * scale))


def _newton(target: PartTarget, weights: FloatArray, x: FloatArray, is_sd: BoolArray) -> tuple[FloatArray, FloatArray]:
    """A step towards the mode of all but the standard deviations, and their covariance, 0 of those."""
    count, spreads = len(target.names), [target.place(name) for name in SPREADS[target.part]]
    jacobian = np.zeros((1 + len(spreads), len(weights), target.n_unknowns))
    jacobian[0] = np.concatenate([target.line, weights * np.exp(x[target.sd_of])], axis=1)
    for argument, place in enumerate(spreads, start=1):
        jacobian[argument, :, place] = 1.0
    first, second = _by_cell(target, jacobian[0] @ x, x[spreads])
    prior_slope, prior_curvature = _prior_derivatives(target, x)
    slope = np.einsum("am,amx->x", first, jacobian) + prior_slope
    curvature = np.diag(prior_curvature)
    for a in range(len(first)):
        for b in range(len(first)):
            curvature -= (jacobian[a].T * second[a, b]) @ jacobian[b]
    free = np.concatenate([~is_sd, np.ones(len(x) - count, dtype=bool)])
    values, vectors = np.linalg.eigh(curvature[np.ix_(free, free)])
    inverse = (vectors / np.maximum(np.abs(values), LEAST_CURVATURE)) @ vectors.T
    step, covariance = np.zeros_like(x), np.zeros_like(curvature)
    step[free], covariance[np.ix_(free, free)] = inverse @ slope[free], inverse
    return x + step * min(1.0, LONGEST / np.abs(step).max()), covariance


def _prior_derivatives(target: PartTarget, x: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Slope of the log prior, and minus its second derivatives."""
    theta, z = x[: len(target.names)], x[len(target.names) :]
    squares = np.where(target.positive, np.exp(2 * np.where(target.positive, theta, 0.0)), 0.0)
    variance = target.prior_sd**2 + target.shift @ squares
    slope = np.where(target.positive, 1 - squares / variance, (target.prior_mean - theta) / variance)
    curvature = np.where(target.positive, 2 * squares, 1.0) / variance
    return np.concatenate([slope, -z]), np.concatenate([curvature, np.ones_like(z)])


def _by_cell(target: PartTarget, eta: FloatArray, log_spreads: FloatArray) -> tuple[FloatArray, FloatArray]:
    """First and second derivatives of each cell's log likelihood by predictor and log spreads, by differences.

    Shapes (arguments, M) and (arguments, arguments, M).
    """
    e = STEP * np.eye(1 + len(log_spreads))

    def at(move: FloatArray) -> FloatArray:
        spreads = tuple(np.exp(log_spreads + move[1:]))
        return np.asarray(target.log_likelihood(eta + move[0], spreads, NUMPY_OPS))

    first = np.array([(at(a) - at(-a)) / (2 * STEP) for a in e])
    mixed = [[(at(a + b) - at(a - b) - at(b - a) + at(-a - b)) / (4 * STEP**2) for b in e] for a in e]
    return first, np.array(mixed)
