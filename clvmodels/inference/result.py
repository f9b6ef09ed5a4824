"""`Fit`: what every way of fitting returns."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from clvmodels.foundation.errors import FitError
from clvmodels.foundation.model import Model
from clvmodels.foundation.patterns import FloatArray
from clvmodels.foundation.priors import LogNormal
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
        "mle" and "known"
    point : parameter values: the mode of the likelihood for "mle", else the mean of the draws
    log_likelihood : at `point`, without the prior; NaN where there were no data
    covariance : ndarray, shape (P, P), of the parameters on the natural scale (at the mode for "mle" and
        "laplace", of the draws for "nuts"); NaN for "known"
    unit, currency : of the parameters
    n_customers, n_patterns : the fit was made on
    priors : by parameter; empty for "mle" and "known"
    checks : diagnostics with their limits
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
    priors: dict[str, LogNormal] = field(default_factory=dict)
    checks: tuple[Check, ...] = ()
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

    def columns(self) -> dict[str, FloatArray]:
        """Draws of each parameter stacked over chains, shape (S, 1): they broadcast against rows (K,)."""
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
        return dict(zip(self.model.parameter_names, np.sqrt(np.diag(self.covariance)).tolist(), strict=True))

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


def dataset_of(draws: dict[str, FloatArray]) -> xr.Dataset:
    """Arrays of shape (chain, draw) by parameter as a dataset."""
    chains, size = next(iter(draws.values())).shape
    return xr.Dataset(
        {name: (("chain", "draw"), values) for name, values in draws.items()},
        coords={"chain": np.arange(chains), "draw": np.arange(size)},
    )


def require_positive(values: dict[str, float], model: Model) -> dict[str, float]:
    """The parameters in the paper's order, checked.

    Raises
    ------
    FitError
        If one is missing, unknown, or not a finite number above 0.
    """
    expected = set(model.parameter_names)
    if set(values) != expected:
        odd = ", ".join(sorted(set(values) ^ expected))
        raise FitError(
            f"{model.name} has the parameters {', '.join(model.parameter_names)}; missing or unknown: {odd}."
        )
    for name, value in values.items():
        if not (np.isfinite(value) and value > 0):
            raise FitError(f"{model.name}: {name} = {value}: expected a finite number above 0.")
    return {name: float(values[name]) for name in model.parameter_names}
