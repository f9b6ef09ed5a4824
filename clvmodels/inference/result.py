"""`Fit`: what every way of fitting returns."""

import datetime as dt
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from clvmodels.foundation.effects import Effects
from clvmodels.foundation.errors import FitError
from clvmodels.foundation.model import Model
from clvmodels.foundation.patterns import FloatArray
from clvmodels.foundation.priors import Prior
from clvmodels.foundation.records import as_date
from clvmodels.foundation.results import Check

if TYPE_CHECKING:  # slow to import and only named here
    import pandas as pd


@dataclass(frozen=True)
class Fit:
    """A model fitted to data, or set at known parameters.

    Attributes
    ----------
    model : the model's record
    method : "mle", "laplace", "nuts" or "known"
    draws : xarray.Dataset, dims (chain, draw), one variable a parameter, natural scale; one draw for
        "mle" and "known". With covariates the parameter is that of a customer whose covariates are all 0,
        and "gamma_alpha" has alpha's coefficients; with groups it is that of the middle group, and
        "alpha_by_channel" and "alpha_group_sd" have the groups' own and the standard deviation of their logs. With
        several grouping columns of alpha there is an "alpha_by_..." of each, at the middle of the others, and an
        "alpha_group_sd_channel"
    point : parameter values (and coefficients): the mode of the likelihood for "mle", else the mean of the
        draws; with covariates or groups the mean of the logarithms, since at covariates of 0 a parameter can
        have a very long tail. A counted parameter has its most probable value, the others their mean at that
    log_likelihood : at `point`, without the prior; NaN where there were no data
    covariance : ndarray, shape (P, P), of the values of `point`, on the natural scale (at the mode for "mle"
        and "laplace", of the draws for "nuts"), with 0 for a counted parameter, since it is that at its value in
        `point`; NaN for "known"
    unit, currency : of the parameters
    n_customers, n_patterns : the fit was made on
    priors : by parameter; empty for "mle" and "known"
    effects : which parameters depend on which covariates and groups
    checks : diagnostics with their limits
    allowed : diagnostics that may fail; see `allowing`
    pareto_k : of the importance weights, for "laplace"
    effective_draws : independent draws that the draws are worth, for "laplace"
    notes : what a reader must know, such as an escalation
    """

    model: Model
    method: str
    draws: xr.Dataset
    point: dict[str, float]
    log_likelihood: float
    covariance: FloatArray
    unit: str
    currency: str
    n_customers: int
    n_patterns: int
    priors: dict[str, Prior] = field(default_factory=dict)
    effects: Effects = field(default_factory=Effects)
    checks: tuple[Check, ...] = ()
    allowed: tuple[str, ...] = ()
    pareto_k: float = float("nan")
    effective_draws: float = float("nan")
    notes: tuple[str, ...] = ()

    @property
    def n_draws(self) -> int:
        """Draws over all chains."""
        return int(self.draws.sizes["chain"] * self.draws.sizes["draw"])

    @property
    def passed(self) -> bool:
        """Whether every diagnostic is within its limit."""
        return all(check.passed for check in self.checks)

    def allowing(self, *checks: str) -> "Fit":
        """The same fit, which forecasts and reports take although these checks may have failed.

        Raises
        ------
        FitError
            If there is no check of that name.
        """
        from clvmodels.inference.diagnostics import require_check_names

        return replace(self, allowed=tuple(dict.fromkeys((*self.allowed, *require_check_names(checks)))))

    def as_of(self, calibration_end: str | dt.date) -> "Fit":
        """The same fit for customers whose histories end on another day, where the model reads a calendar.

        Raises
        ------
        DataError
            If the day is outside the calendar of the fit.
        """
        from clvmodels.inference.calendars import as_of

        return replace(self, model=as_of(self.model, as_date(calibration_end, "calibration_end")))

    def columns(self) -> dict[str, FloatArray]:
        """Draws of each parameter stacked over chains, shape (S, 1): they broadcast against rows (K,).

        With covariates or groups they are those of the base; `customer_parameters` has each customer's.
        """
        return {name: self.draws[name].values.reshape(-1, 1) for name in self.model.parameter_names}

    def summary(self) -> "pd.DataFrame":
        """A frame by parameter: mean, sd, q05, q50, q95, ess_bulk, ess_tail, r_hat, pareto_k.

        "mle" and "known" have one draw: sd and quantiles are NaN. `standard_errors` are another thing.
        """
        from clvmodels.inference.diagnostics import parameter_summary

        return parameter_summary(self)

    @property
    def standard_errors(self) -> dict[str, float]:
        """Square roots of the diagonal of `covariance`."""
        return dict(zip(self.point, np.sqrt(np.diag(self.covariance)).tolist(), strict=True))

    def to_arviz(self) -> xr.DataTree:
        """The draws as a DataTree that ArviZ reads."""
        return xr.DataTree.from_dict({"posterior": self.draws})

    def save(self, path: str | Path) -> None:
        """Write the fit as netCDF: draws as variables, the rest as JSON attributes; no customer rows, no code."""
        from clvmodels.inference.storage import save_fit

        save_fit(self, Path(path))


def single_draw(values: dict[str, float]) -> xr.Dataset:
    """Known parameters as a dataset of one chain with one draw."""
    return dataset_of({name: np.array([[value]]) for name, value in values.items()})


def dataset_of(
    draws: dict[str, FloatArray], labels: dict[str, tuple[str, tuple[str, ...]]] | None = None
) -> xr.Dataset:
    """Arrays of shape (chain, draw) by parameter as a dataset; some have a third dimension.

    Parameters
    ----------
    labels : variable -> name of its third dimension and the labels along it
    """
    chains, size = next(iter(draws.values())).shape
    variables: dict[str, tuple[tuple[str, ...], FloatArray]] = {}
    coords: dict[str, NDArray[Any]] = {"chain": np.arange(chains), "draw": np.arange(size)}
    for name, values in draws.items():
        if labels is not None and name in labels:
            dim, along = labels[name]
            variables[name] = (("chain", "draw", dim), values)
            coords[dim] = np.array(along, dtype=object)
        else:
            variables[name] = (("chain", "draw"), values)
    return xr.Dataset(variables, coords=coords)


def flat_draws(draws: xr.Dataset) -> dict[str, FloatArray]:
    """Every scalar of the draws, shape (chain, draw): "alpha", "gamma_alpha[age]", "alpha_by_channel[web]"."""
    flat = {}
    for name, variable in draws.data_vars.items():
        if variable.dims == ("chain", "draw"):
            flat[str(name)] = variable.values
        else:
            labels = draws.coords[variable.dims[2]].values
            flat |= {f"{name}[{label}]": variable.values[:, :, i] for i, label in enumerate(labels)}
    return flat


def require_values(values: dict[str, float], model: Model) -> dict[str, float]:
    """The parameters in the paper's order, checked.

    Raises
    ------
    FitError
        If one is missing or unknown, or cannot have that value.
    """
    expected = set(model.parameter_names)
    if set(values) != expected:
        odd = ", ".join(sorted(set(values) ^ expected))
        raise FitError(
            f"{model.name} has the parameters {', '.join(model.parameter_names)}; missing or unknown: {odd}."
        )
    for parameter in model.parameters:
        value = values[parameter.name]
        if not parameter.holds(value):
            supports = {
                "positive": "a finite number above 0",
                "real": "a finite number",
                "correlation": "a number between -1 and 1",
                "probability": "a number between 0 and 1",
                "whole": f"one of {', '.join(map(str, parameter.values))}",
            }
            raise FitError(f"{model.name}: {parameter.name} = {value}: expected {supports[parameter.support]}.")
    return {name: float(values[name]) for name in model.parameter_names}
