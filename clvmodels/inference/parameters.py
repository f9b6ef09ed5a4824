"""Each customer's own parameters at the draws of a fit, by covariates and groups."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import xarray as xr

from clvmodels.foundation.effects import Cells, cells_of
from clvmodels.foundation.model import Model
from clvmodels.foundation.patterns import FloatArray, IntArray
from clvmodels.foundation.retention import Customers
from clvmodels.inference.result import Fit


@dataclass(frozen=True)
class CustomerParameters:
    """Parameters of cells of customers at draws: their unknowns linear in covariates, with levels of their groups.

    Attributes
    ----------
    model : whose parameters they are
    base : ndarray, shape (S, P), unknowns of the base, in the paper's order
    coefficients : place of the parameter -> ndarray, shape (S, Q), sign x gamma
    levels : (place of the parameter, grouping column) -> ndarray, shape (S, G), level of each group against the base
    covariates : place of the parameter -> ndarray, shape (C, Q)
    groups : grouping column -> ndarray, shape (C,), place of the group
    cell : ndarray, shape (N,), the cell of each customer
    """

    model: Model
    base: FloatArray
    coefficients: Mapping[int, FloatArray]
    levels: Mapping[tuple[int, str], FloatArray]
    covariates: Mapping[int, FloatArray]
    groups: Mapping[str, IntArray]
    cell: IntArray

    @property
    def n_draws(self) -> int:
        """Number of draws S."""
        return len(self.base)

    @property
    def alike(self) -> bool:
        """Whether all customers share their parameters."""
        return not self.covariates and not self.groups

    def take(self, draws: IntArray) -> "CustomerParameters":
        """The same at some draws."""
        return replace(
            self,
            base=self.base[draws],
            coefficients={place: values[draws] for place, values in self.coefficients.items()},
            levels={pooled: values[draws] for pooled, values in self.levels.items()},
        )

    def unknowns_at(self, cells: IntArray, draws: slice = slice(None)) -> FloatArray:
        """Unknowns of some cells at some draws, shape (cells, draws, P)."""
        base = self.base[draws]
        eta = np.repeat(base[None], len(cells), axis=0)
        for place, matrix in self.covariates.items():
            for column, coefficient in zip(matrix[cells].T, self.coefficients[place][draws].T, strict=True):
                eta[:, :, place] += np.multiply.outer(column, coefficient)  # `@` would round by the slice's shape
        for (place, column), levels in self.levels.items():
            eta[:, :, place] += levels[draws].T[self.groups[column][cells]]
        return eta

    def at(self, cells: IntArray, draws: slice = slice(None)) -> FloatArray:
        """Parameters of some cells at some draws, shape (cells, draws, P); one cell where all are alike."""
        if self.alike:
            return np.ascontiguousarray(self.model.natural(self.base[draws])[None])
        return self.model.natural(self.unknowns_at(cells, draws))


def customer_parameters(fit: Fit, customers: Customers) -> CustomerParameters:
    """The parameters of these customers at every draw of the fit.

    Raises
    ------
    DataError
        If the customers lack a covariate or a group that the fit depends on, or it has not seen theirs.
    """
    return _parameters(fit, fit.draws, cells_of(fit.effects, customers))


def parameters_at_point(fit: Fit, cells: Cells) -> CustomerParameters:
    """The parameters of cells at the fit's point: one draw."""
    drawn = _parameters(fit, fit.draws, cells)
    return replace(
        drawn,
        base=fit.model.unknowns(np.array([[fit.point[name] for name in fit.model.parameter_names]])),
        coefficients={place: values.mean(axis=0, keepdims=True) for place, values in drawn.coefficients.items()},
        levels={pooled: values.mean(axis=0, keepdims=True) for pooled, values in drawn.levels.items()},
    )


def _parameters(fit: Fit, draws: xr.Dataset, cells: Cells) -> CustomerParameters:
    size = int(draws.sizes["chain"] * draws.sizes["draw"])
    place_of = {name: place for place, name in enumerate(fit.model.parameter_names)}
    sign = {parameter.name: parameter.covariates for parameter in fit.model.parameters}
    base = fit.model.unknowns(np.column_stack([draws[name].values.reshape(size) for name in place_of]))

    def stacked(variable: str) -> FloatArray:
        return np.asarray(draws[variable].values.reshape(size, -1))

    def levels(parameter: str, column: str) -> FloatArray:
        by_group = stacked(fit.effects.by_name(parameter, column))
        place = place_of[parameter]
        return fit.model.parameters[place].unknown(by_group) - base[:, [place]]

    return CustomerParameters(
        model=fit.model,
        base=base,
        coefficients={place_of[name]: sign[name] * stacked(f"gamma_{name}") for name in fit.effects.covariates},
        levels={(place_of[name], column): levels(name, column) for name, column in fit.effects.pooled},
        covariates={place_of[name]: matrix for name, matrix in cells.covariates.items()},
        groups=cells.groups,
        cell=cells.cell,
    )
