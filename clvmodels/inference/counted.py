"""Models with a counted parameter: at each of its values an ordinary model, and the values weighed by the data.

The posterior chance of a value k is its prior times its evidence, the integral of likelihood x prior over the
other parameters, which is the mean importance weight of laplace's proposals [1]_. Draws are shared out over
the values in these proportions, so that they are of the whole posterior.

References
----------
.. [1] Geweke (1989), Bayesian Inference in Econometric Models Using Monte Carlo Integration, Econometrica 57(6),
   doi 10.2307/1913710.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import xarray as xr
from scipy import special

from clvmodels.foundation.errors import FitError
from clvmodels.foundation.model import Model
from clvmodels.foundation.patterns import FloatArray, IntArray
from clvmodels.foundation.priors import OneOf
from clvmodels.inference.laplace import WeightedSample, importance_sample, resample
from clvmodels.inference.natural import Problem, natural_covariance, with_draws
from clvmodels.inference.optimise import Mode, find_mode
from clvmodels.inference.result import Fit

HOPELESS = 50.0  # log density below the highest mode at which a search over greater values ends
HARDLY = 1e-3  # chance of a value whose few draws need not be perfect
NO_DRAW = 20.0  # log evidence below the highest at which not one draw in a hundred million is of that value


@dataclass(frozen=True)
class Candidate:
    """A value of the counted parameter with the problem that is left and its mode."""

    value: int
    problem: Problem
    mode: Mode

    @property
    def log_evidence(self) -> float:
        """Laplace's approximation to it: a first look."""
        root = np.diag(self.mode.root)
        return self.mode.log_density + float(np.sum(np.log(root)) + len(root) / 2 * np.log(2 * np.pi))


@dataclass(frozen=True)
class WeighedCounts:
    """Values of the counted parameter with their posterior chances and draws of the other parameters.

    Attributes
    ----------
    candidates, samples : of the values that a draw may be of
    chances : ndarray, shape (values,), posterior chance of each
    """

    candidates: tuple[Candidate, ...]
    samples: tuple[WeightedSample, ...]
    chances: FloatArray

    @property
    def best(self) -> Candidate:
        """The most probable value."""
        return self.candidates[int(np.argmax(self.chances))]

    @property
    def chance_of_best(self) -> float:
        """Its posterior chance."""
        return float(self.chances.max())

    @property
    def pareto_k(self) -> float:
        """The worst of the values that draws will be of."""
        told = [s.pareto_k for s, chance in zip(self.samples, self.chances, strict=True) if chance > HARDLY]
        return max(told)

    def shares(self, draws: int, rng: np.random.Generator) -> IntArray:
        """Draws of each value, shape (values,): by systematic sampling, so each is its chance to within one."""
        rungs = (np.arange(draws) + rng.random()) / draws
        chosen = np.searchsorted(np.cumsum(self.chances)[:-1], rungs, side="right")
        return np.bincount(chosen, minlength=len(self.chances))


def candidates(problem: Problem) -> tuple[Candidate, ...]:
    """Values with the modes of the other parameters, from the least value up to where the density is hopeless.

    A value at which the other parameters have no mode is left out.

    Raises
    ------
    FitError
        If no value has a mode.
    """
    found: list[Candidate] = []
    refused: list[FitError] = []
    for value in _values(problem):
        remaining = _at(problem, value)
        try:
            found.append(Candidate(value, remaining, find_mode(remaining.target)))
        except FitError as problem_at_value:
            refused.append(problem_at_value)
            continue
        if found[-1].mode.log_density < max(c.mode.log_density for c in found) - HOPELESS:
            break
    if not found:
        raise refused[0]
    return tuple(found)


def weigh(found: Sequence[Candidate], draws: int, rng: np.random.Generator) -> WeighedCounts:
    """The posterior chance of each value, by the mean weight of enough proposals to resample `draws` from."""
    highest = max(candidate.log_evidence for candidate in found)
    worth = tuple(candidate for candidate in found if candidate.log_evidence > highest - NO_DRAW)
    samples = tuple(importance_sample(c.problem.target, c.mode, draws, rng) for c in worth)
    return WeighedCounts(worth, samples, special.softmax([sample.log_evidence for sample in samples]))


def mixed(weighed: WeighedCounts, model: Model, draws: int, rng: np.random.Generator) -> tuple[Fit, float]:
    """A fit with draws of all values in random order, and the independent draws that they are worth.

    Its point and covariance are those of the most probable value.
    """
    assert model.counted is not None
    parts, effective = [], 0.0
    shares = weighed.shares(draws, rng)
    for candidate, sample, share in zip(weighed.candidates, weighed.samples, shares, strict=True):
        if share > 0:
            phi = resample(sample, int(share), rng)[None]
            part = with_draws(candidate.problem, phi, {}, {})
            part = replace(part, covariance=natural_covariance(candidate.problem.target, candidate.mode))
            parts.append(with_count(part, model, candidate.value))
            effective += min(float(share), sample.effective_size)
    together = xr.concat([part.draws for part in parts], dim="draw")
    shuffled = together.isel(draw=rng.permutation(draws)).assign_coords(draw=np.arange(draws))
    (best,) = (part for part in parts if part.point[model.counted.name] == weighed.best.value)
    return replace(best, draws=shuffled), effective


def with_count(fit: Fit, model: Model, value: int) -> Fit:
    """The fit of a model at a value of its counted parameter as a fit of the model.

    Its covariance has 0 in the row and column of the counted parameter: it is that at the value of `point`.
    """
    assert model.counted is not None
    name, place = model.counted.name, model.parameter_names.index(model.counted.name)
    like = fit.draws[model.parameter_names[place - 1]]
    draws = fit.draws.assign({name: xr.full_like(like, float(value))})
    covariance = fit.covariance
    for axis in (0, 1):
        covariance = np.insert(covariance, place, 0.0, axis=axis)
    return replace(
        fit,
        model=model,
        draws=draws[_with_name(list(map(str, fit.draws.data_vars)), place, name)],
        point=_with_item(fit.point, place, name, float(value)),
        covariance=covariance,
    )


def left_out_note(found: Sequence[Candidate], problem: Problem) -> tuple[str, ...]:
    """What a reader must know of values at which the other parameters have no mode."""
    tried = {candidate.value for candidate in found}
    missing = [value for value in _values(problem) if value < max(tried) and value not in tried]
    if not missing:
        return ()
    assert problem.target.model.counted is not None
    name, values = problem.target.model.counted.name, ", ".join(map(str, missing))
    return (f"{name} = {values} left out: the data barely identify the other parameters there",)


def counted_note(weighed: WeighedCounts, model: Model) -> str:
    """What a reader must know of draws at the most probable value alone."""
    assert model.counted is not None
    return (
        f"draws are at {model.counted.name} = {weighed.best.value}, which has a posterior chance of "
        f"{weighed.chance_of_best:.3f}"
    )


def _values(problem: Problem) -> tuple[int, ...]:
    """The values that the prior allows, all without one."""
    counted = problem.target.model.counted
    assert counted is not None
    prior = problem.target.priors.get(counted.name)
    return prior.values if isinstance(prior, OneOf) else counted.values


def _at(problem: Problem, value: int) -> Problem:
    """The problem that is left at a value of the counted parameter."""
    target = problem.target
    assert target.model.counted is not None
    priors = {name: prior for name, prior in target.priors.items() if name != target.model.counted.name}
    return replace(problem, target=replace(target, model=target.model.at_counts[value], priors=priors))


def _with_name(names: list[str], place: int, name: str) -> list[str]:
    return [*names[:place], name, *names[place:]]


def _with_item(values: Mapping[str, float], place: int, name: str, value: float) -> dict[str, float]:
    return {key: values.get(key, value) for key in _with_name(list(values), place, name)}
