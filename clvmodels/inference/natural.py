"""From the unknowns of a target to the parameters of the paper: what every way of fitting fills in alike."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from clvmodels.foundation.effects import Cells
from clvmodels.foundation.ops import NUMPY_OPS
from clvmodels.foundation.patterns import FloatArray
from clvmodels.foundation.retention import Customers
from clvmodels.inference.optimise import Mode
from clvmodels.inference.parameters import parameters_at_point
from clvmodels.inference.result import Fit, dataset_of, flat_draws, single_draw
from clvmodels.inference.target import Target, total_log_likelihood


@dataclass(frozen=True)
class Problem:
    """What every method is given: the target, the customers it was made of, and their cells."""

    target: Target
    customers: Customers
    cells: Cells


def with_draws(
    problem: Problem,
    phi: FloatArray,
    levels: Mapping[tuple[str, str], FloatArray],
    sds: Mapping[tuple[str, str], FloatArray],
) -> Fit:
    """The record with draws on the natural scale, their mean as point, and the log likelihood there.

    Parameters
    ----------
    phi : ndarray, shape (chain, draw, U)
    levels, sds : by parameter and grouping column: level of each group (chain, draw, G), in unknowns of the
        parameter, and their sd (chain, draw)
    """
    target = problem.target
    names, effects = target.model.parameter_names, target.effects
    natural = phi @ _natural_map(target).T
    draws = dict(zip(names, np.moveaxis(target.model.natural(natural[:, :, : len(names)]), -1, 0), strict=True))
    labels: dict[str, tuple[str, tuple[str, ...]]] = {}
    for name, columns in target.coefficients.items():
        draws[f"gamma_{name}"] = natural[:, :, columns]
        labels[f"gamma_{name}"] = (f"{name}_covariate", tuple(c.name for c in effects.covariates[name]))
    for name, column in effects.pooled:
        variable, place = effects.by_name(name, column), names.index(name)
        draws[effects.sd_name(name, column)] = sds[name, column]
        unknown = natural[:, :, [place]] + levels[name, column]
        draws[variable] = target.model.parameters[place].natural(unknown, NUMPY_OPS)
        labels[variable] = (f"{column}_group", effects.labels[column])
    fit = replace(_record(problem), draws=dataset_of(draws, labels))
    by_group = tuple(f"{effects.by_name(*pooled)}[" for pooled in effects.pooled)
    flat = flat_draws(fit.draws)
    point = {name: float(values.mean()) for name, values in flat.items() if not name.startswith(by_group)}
    if not effects.none:  # at covariates of 0, or in a group apart, a parameter's mean may lie far in its tail
        middle = target.model.natural(natural[:, :, : len(names)].mean(axis=(0, 1)))
        point |= dict(zip(names, middle.tolist(), strict=True))
    fit = replace(fit, point=point)
    at_point = parameters_at_point(fit, problem.cells).unknowns_at(np.arange(problem.cells.size))
    return replace(fit, log_likelihood=float(total_log_likelihood(target, at_point.transpose(1, 0, 2))[0]))


def natural_covariance(target: Target, mode: Mode) -> FloatArray:
    """Delta method: J H^-1 J', with J the derivative of parameters and coefficients by the unknowns."""
    natural = _natural_map(target)
    size = len(target.model.parameters)
    jacobian = natural.copy()
    at_mode = target.model.natural(natural[:size] @ mode.phi[: len(natural)])
    slopes = [float(p.slope(value)) for p, value in zip(target.model.parameters, at_mode, strict=True)]
    jacobian[:size] *= np.array(slopes)[:, None]
    covariance = jacobian @ mode.covariance @ jacobian.T
    return np.asarray((covariance + covariance.T) / 2)


def _natural_map(target: Target) -> FloatArray:
    """Linear map, shape (U, U), from the unknowns to those of the base and coefficients of covariates as they are."""
    natural = np.eye(len(target.names))
    sign = {parameter.name: parameter.covariates for parameter in target.model.parameters}
    for name, places in target.coefficients.items():
        centre, scale = np.array([(c.centre, c.scale) for c in target.effects.covariates[name]]).T
        row = target.model.parameter_names.index(name)
        natural[row, places] = -sign[name] * centre / scale  # from the average customer to one whose z are 0
        natural[places, places] = np.diag(1 / scale)
    return natural


def _record(problem: Problem) -> Fit:
    """What every method fills in alike; draws, point and diagnostics follow."""
    target, customers = problem.target, problem.customers
    size = len(target.names)
    return Fit(
        model=target.model,
        method="",
        draws=single_draw(dict.fromkeys(target.model.parameter_names, float("nan"))),
        point={},
        log_likelihood=float("nan"),
        covariance=np.full((size, size), np.nan),
        unit=customers.unit,
        currency=customers.currency,
        n_customers=int(target.patterns.n_customers.sum()),
        n_patterns=len(target.patterns),
        priors=dict(target.priors),
        effects=target.effects,
    )
