"""Customers who are still there, brought together where they are alike, and what is asked of them checked."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from clvmodels.forecast import checks
from clvmodels.forecast.draws import row_statistics
from clvmodels.forecast.expectations import History, distinct
from clvmodels.foundation.effects import group_labels
from clvmodels.foundation.errors import DataError, FitError
from clvmodels.foundation.patterns import FloatArray, IntArray
from clvmodels.foundation.records import DrawBlock, Forecast
from clvmodels.foundation.retention import RetentionTable
from clvmodels.inference.likelihood import require_same_units
from clvmodels.inference.parameters import CustomerParameters
from clvmodels.inference.result import Fit

if TYPE_CHECKING:  # slow to import and only named here
    import pandas as pd

ALL = "all"
STATISTICS = ("mean", "sd", "q05", "q50", "q95")


@dataclass(frozen=True)
class Alike:
    """Rows of a table, worked out once for those alike in parameters, history and what else is asked of them.

    Attributes
    ----------
    parameters : of the cells of customers
    chains : number of chains and of draws in each
    cell : ndarray, shape (R,)
    columns : what the model's formulas read, each shape (R,); the age is the first
    others : further columns in which the customers of a row are alike, each shape (R,)
    row_of : ndarray, shape (N,), the row of each customer of the table
    """

    parameters: CustomerParameters
    chains: tuple[int, int]
    cell: FloatArray
    columns: tuple[FloatArray, ...]
    others: tuple[FloatArray, ...]
    row_of: IntArray

    @classmethod
    def of(
        cls, fit: Fit, table: RetentionTable, draws: int | None, *others: FloatArray, outcomes: bool = False
    ) -> "Alike":
        """The rows of a table; they are sorted by the last of the other columns, then the one before, then by cell.

        Raises
        ------
        FitError
            If the fit failed its checks, or `draws` cannot be met.
        DataError
            If the table lacks a covariate or a group that the fit depends on.
        """
        (parameters,), chains = checks.joint_draws((fit,), table, draws, outcomes=outcomes)
        history = checks.history_of(table, fit.model)
        columns, row_of = distinct((*history, parameters.cell.astype(np.float64), *others))
        size = len(history)
        return cls(parameters, chains, columns[size], columns[:size], columns[size + 1 :], row_of)

    @property
    def n_draws(self) -> int:
        """Number of draws S."""
        return self.chains[0] * self.chains[1]

    @property
    def every(self) -> slice:
        """All draws."""
        return slice(0, self.n_draws)

    def __len__(self) -> int:
        return len(self.cell)

    def at(self, rows: IntArray, draws: slice) -> History:
        """Some of the rows at some draws, as formulas take them."""
        return History.of(self.parameters, draws, self.cell[rows], *(column[rows] for column in self.columns))

    def counted(self, weights: FloatArray) -> FloatArray:
        """Weights of customers, shape (N,), added up by row, shape (R,)."""
        return np.bincount(self.row_of, weights=weights).astype(np.float64)


def still_there(fit: Fit, table: RetentionTable) -> RetentionTable:
    """The rows of a table that are still there, for a fit of a model of retention.

    Raises
    ------
    FitError
        If the fit is of another family of models or in another unit than the table.
    DataError
        If `table` is no table of retention, has losses at times that the model does not know, or has nobody left.
    """
    checks.require_family(fit, "retention", "the first argument")
    require_same_units(fit, table)
    return table.active


def newcomers(fit: Fit, table: RetentionTable | None) -> RetentionTable:
    """Customers like those of a table, or just one, at the beginning of their relations.

    Raises
    ------
    FitError
        As `still_there`; or if there is no table, and the fit needs to know what customers it is about.
    """
    checks.require_family(fit, "retention", "the first argument")
    if table is None:
        table = _anyone(fit)
    require_same_units(fit, table)
    return table.newcomers


def _anyone(fit: Fit) -> RetentionTable:
    if not fit.effects.none or len(fit.model.history) > 1:
        raise FitError(
            f"{fit.model.name} depends on covariates, groups or the calendar: say which customers by table=..., "
            "such as the table that it was fitted to."
        )
    none, one = np.zeros(1), np.ones(1)
    who, there = np.array(["new"], dtype=object), np.zeros(1, dtype=bool)
    return RetentionTable(who, none, none, there, one, unit=fit.unit, currency=fit.currency)


def of_those_there(value: Any, table: RetentionTable) -> Any:
    """A number; or one for each row still there, from an array with one for each row of the table."""
    if type(value).__name__ == "Series" or np.ndim(value) != 1 or len(value) != len(table):
        return value
    return np.asarray(value)[~table.lost]


def by_row(
    name: str, value: Any, table: RetentionTable, holds: Callable[[FloatArray], NDArray[np.bool_]], expected: str
) -> FloatArray:
    """One number for all, or one for each row that is still there, shape (N,).

    Parameters
    ----------
    value : a number; an array with one for each row of the table, or for each of `table.active`; or a pandas Series
        indexed by customer_id

    Raises
    ------
    DataError
        If there are more or fewer values than rows, a row has none, or a value cannot be.
    """
    return checks.by_customer(name, of_those_there(value, table), table.active, holds, expected)


def discounting(annual_discount_rate: Any, discount_per_unit: Any, table: RetentionTable) -> FloatArray:
    """Continuous discount rate per unit of time of each row that is still there, shape (N,).

    Raises
    ------
    DataError
        If both or neither are given, or it is negative, not finite, or not one a row.
    """
    annual, per_unit = (of_those_there(rate, table) for rate in (annual_discount_rate, discount_per_unit))
    rate = checks.discount_rates(annual, per_unit, table.active)
    if (rate < 0).any():
        raise DataError(
            f"the discount rate is {rate.min():g} a {table.unit}, below 0: what comes later would be worth more. "
            "Give 0 or above."
        )
    return rate


def times_to_renewal(due: Any, fit: Fit, table: RetentionTable) -> FloatArray:
    """Time to the next renewal of each row that is still there, shape (N,): as given, else the table's own, else 1.

    Raises
    ------
    DataError
        If it is not between 0 and 1, or given although losses are at any time.
    """
    if fit.model.clock == "continuous" and table.clock == "continuous":
        if due is not None:
            raise DataError("due is the time to the next renewal, and this table has losses at any time: leave it out.")
        return np.ones(int((~table.lost).sum()))
    if due is None:
        due = 1.0 if table.due is None else table.due
    expected = "a part of a unit of time, 0 to 1, to the next renewal"
    return by_row("due", due, table, lambda v: (v >= 0) & (v <= 1), expected)


@dataclass(frozen=True)
class Groups:
    """Groups of customers: `labels` (G of them), and the place of each customer's among them, shape (N,)."""

    labels: tuple[str, ...]
    place: IntArray

    @classmethod
    def of(cls, table: RetentionTable, by: str | None) -> "Groups":
        """The groups by a column, sorted; or all customers as one.

        Raises
        ------
        DataError
            If there is no such column, or a customer has no group.
        """
        if by is None:
            return cls((ALL,), np.zeros(len(table), dtype=np.int64))
        labels, place = np.unique(group_labels(table, by).astype(str), return_inverse=True)
        return cls(tuple(labels.tolist()), place.astype(np.int64))

    def customers(self, table: RetentionTable) -> FloatArray:
        """Customers of each, shape (G,)."""
        return np.bincount(self.place, weights=table.n_customers).astype(np.float64)


def with_all(labels: tuple[str, ...], draws: FloatArray) -> Iterator[tuple[str, FloatArray]]:
    """Each group's draws, shape (S, ...), and before them those of all groups together, where there are several."""
    if labels != (ALL,):
        yield ALL, draws.sum(axis=0)
    yield from zip(labels, draws, strict=True)


def statistics_of(draws: FloatArray) -> dict[str, FloatArray]:
    """Mean, sd, q05, q50, q95 of draws, shape (S, K) to K of each."""
    return dict(zip(STATISTICS, row_statistics(draws.T.copy()), strict=True))


def long_frame(parts: list[dict[str, Any]]) -> "pd.DataFrame":
    """Columns of some rows each, one below the other."""
    import pandas as pd

    return pd.concat([pd.DataFrame(part) for part in parts], ignore_index=True)


def scaled(forecast: Forecast, factor: FloatArray) -> Forecast:
    """A forecast, whose totals have them already, with the rows times factors of 0 or above, shape (N,)."""
    again = forecast.replay
    assert again is not None  # it is of a table of draws

    def replay(order: str) -> Iterator[DrawBlock]:
        for block in again(order):
            yield replace(block, values=block.values * factor[block.rows, None])

    rows = {name: getattr(forecast, name) * factor for name in STATISTICS}
    return replace(forecast, **rows, replay=replay)
