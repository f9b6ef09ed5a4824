"""What makes the parameters of one customer differ from another's: covariates, and groups with pooling.

A positive parameter theta of customer i is, by the standard proportional form of [1]_ and with the levels of the
customer's groups,

    log theta_i = log theta + sign gamma' z_i + sum_c u_c,g(c, i)

with covariates z and coefficients gamma, and for each grouping column c the group g(c, i) of the customer in it;
u_c,g is normal with mean 0 over the groups of the column, with a standard deviation of its own a column: crossed
effects, such as of a segment and of a cohort. Of another parameter the unknown (`Parameter`) stands for the logarithm.

References
----------
.. [1] Fader and Hardie (2007), Incorporating Time-Invariant Covariates into the Pareto/NBD and BG/NBD
   Models, note 019.
"""

import datetime as dt
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from clvmodels.foundation.errors import DataError, FitError
from clvmodels.foundation.model import Model
from clvmodels.foundation.patterns import FloatArray, IntArray
from clvmodels.foundation.records import CustomerSummary, IdArray
from clvmodels.foundation.retention import Customers
from clvmodels.foundation.units import days_per_unit

MOST_CATEGORIES = 50
ALIKE = 1e-12  # of its size: a covariate that differs by less is one number but for rounding
FAR_FROM_ZERO = 50.0  # standard deviations between a covariate's mean and 0
FAR_OUTSIDE = 10.0  # standard deviations beyond what the fit has seen
ACQUISITION = {
    "acquisition_week": "%G-W%V",
    "acquisition_month": "%Y-%m",
    "acquisition_year": "%Y",
}
ByParameter = Mapping[str, Sequence[str]] | Sequence[str]
Grouping = Mapping[str, Sequence[str] | str] | Sequence[str] | str


@dataclass(frozen=True)
class Covariate:
    """A column of the design: a numeric covariate, or one category against the reference category.

    Attributes
    ----------
    name : "age", or "channel[web]"
    source : the customers' column
    category : what the source must be for a 1, or None for a numeric covariate
    reference : the category that has no column of its own, or None
    centre, scale : the fit works with (z - centre) / scale; coefficients are reported for z itself. The scale is
        the standard deviation, or 1 for a category and a column of 0 and 1
    lowest, highest : of the customers that were fitted
    """

    name: str
    source: str
    category: str | None
    reference: str | None
    centre: float
    scale: float
    lowest: float
    highest: float


@dataclass(frozen=True)
class Effects:
    """Which parameters depend on which covariates, and which are pooled over which groups.

    Attributes
    ----------
    covariates : parameter -> columns of its design
    groups : parameter -> grouping columns
    labels : grouping column -> its groups, sorted
    """

    covariates: Mapping[str, tuple[Covariate, ...]] = field(default_factory=dict)
    groups: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    labels: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def none(self) -> bool:
        """Whether all customers share their parameters."""
        return not self.covariates and not self.groups

    @property
    def pooled(self) -> tuple[tuple[str, str], ...]:
        """Each parameter with each of its grouping columns."""
        return tuple((parameter, column) for parameter, columns in self.groups.items() for column in columns)

    def by_name(self, parameter: str, column: str) -> str:
        """The variable with the parameter of each group: "alpha_by_segment"."""
        return f"{parameter}_by_{column}"

    def sd_name(self, parameter: str, column: str) -> str:
        """The variable with the standard deviation between groups: "alpha_group_sd"; of several "..._segment"."""
        name = f"{parameter}_group_sd"
        return name if len(self.groups[parameter]) == 1 else f"{name}_{column}"


@dataclass(frozen=True)
class Cells:
    """Customers alike in everything that the parameters depend on, counted as one cell.

    Attributes
    ----------
    cell : ndarray, shape (N,), the cell of each customer
    covariates : parameter -> ndarray, shape (C, Q), its covariates as they are
    groups : grouping column -> ndarray, shape (C,), the place of the cell's group among the labels
    size : number of cells C
    """

    cell: IntArray
    covariates: Mapping[str, FloatArray]
    groups: Mapping[str, IntArray]
    size: int


def learn_effects(
    model: Model, customers: Customers, *, covariates: ByParameter = (), groups: Grouping = ()
) -> Effects:
    """The effects that a fit is to learn, with categories and groups as these customers have them.

    Parameters
    ----------
    covariates : by parameter, or a list for all parameters that the model lets depend on covariates. Text
        becomes categories, of which the most frequent is the reference
    groups : grouping columns by parameter, or those of all parameters; one alone or a list

    Raises
    ------
    FitError
        If a parameter is unknown or takes no covariates, or a grouping column is named twice.
    DataError
        If a column is missing, has missing values, is constant, or follows from the others.
    """
    chosen = covariates_by_parameter(model, covariates)
    coded = {parameter: _coded(customers, names) for parameter, names in chosen.items() if names}
    for parameter, columns in coded.items():
        _refuse_collinear(parameter, _matrix(customers, columns), columns)
    by_group = groups_by_parameter(model, groups)
    used = dict.fromkeys(name for names in by_group.values() for name in names)
    labels = {name: tuple(sorted(set(group_labels(customers, name)))) for name in used}
    for name, found in labels.items():
        if len(found) < 2:
            raise DataError(f'groups "{name}": all customers are of one group, so there is nothing to pool.')
    return Effects(coded, by_group, labels)


def cells_of(effects: Effects, customers: Customers) -> Cells:
    """The cells of customers under the effects of a fit.

    Raises
    ------
    DataError
        If the customers lack a column, or have a category or group that the fit has not seen.
    """
    for parameter, columns in effects.covariates.items():
        _refuse_unseen(customers, columns, parameter)
    matrices = {parameter: _matrix(customers, columns) for parameter, columns in effects.covariates.items()}
    places = {name: _places(effects, customers, name) for name in effects.labels}
    if effects.none:
        return Cells(np.zeros(len(customers), dtype=np.int64), {}, {}, 1)
    known = [column for matrix in matrices.values() for column in matrix.T] + list(places.values())
    cell = np.zeros(len(customers), dtype=np.int64)
    for column in known:
        values, index = np.unique(column, return_inverse=True)
        _, cell = np.unique(cell * len(values) + index, return_inverse=True)
    _, first = np.unique(cell, return_index=True)
    return Cells(
        cell,
        {parameter: matrix[first] for parameter, matrix in matrices.items()},
        {name: place[first] for name, place in places.items()},
        len(first),
    )


def group_labels(customers: Customers, name: str) -> IdArray:
    """The group of each customer, shape (N,): a column of `groups`, or acquisition_week, _month or _year.

    Raises
    ------
    DataError
        If there is no such column, or a customer has no group.
    """
    if name in customers.groups:
        labels = customers.groups[name]
    elif name in ACQUISITION:
        labels = _acquired(customers, ACQUISITION[name])
    else:
        known = ", ".join([*customers.groups, *ACQUISITION])
        raise DataError(f'groups "{name}": the customers have no such column; there are: {known}.')
    _refuse_missing(customers, f'groups "{name}"', np.array([label is None for label in labels]))
    return labels


def covariates_by_parameter(model: Model, covariates: ByParameter) -> dict[str, Sequence[str]]:
    """The covariates of each parameter; a list is of every parameter that takes covariates.

    Raises
    ------
    FitError
        If a parameter is unknown or takes none.
    """
    taking = [parameter.name for parameter in model.parameters if parameter.covariates]
    if not isinstance(covariates, Mapping):
        names = column_names(covariates, "covariates")
        if names and not taking:
            raise FitError(f"{model.name} has no parameter that takes covariates.")
        return dict.fromkeys(taking, names) if names else {}
    for parameter in covariates:
        if parameter not in taking:
            acts = dict.fromkeys([*taking, *model.terms_act_on])
            raise FitError(f'covariates of "{parameter}": in {model.name} they act on {", ".join(acts) or "nothing"}.')
    return {parameter: column_names(names, f"covariates of {parameter}") for parameter, names in covariates.items()}


def column_names(columns: object, what: str) -> tuple[str, ...]:
    """Names of columns, checked.

    Raises
    ------
    FitError
        If they are no list of names; the message has `what` they are.
    """
    if isinstance(columns, Sequence) and not isinstance(columns, str):
        names = tuple(columns)
        if all(isinstance(name, str) for name in names):
            return names
    raise FitError(f'{what} = {columns!r}: expected a list of column names, such as ["age"].')


def groups_by_parameter(model: Model, groups: Grouping) -> dict[str, tuple[str, ...]]:
    """The grouping columns of each parameter that is pooled; columns alone are of every parameter.

    Raises
    ------
    FitError
        If a parameter is unknown, or counted or common: those are the same for all; or a column is named twice.
    """
    pooled = [p.name for p in model.parameters if p.support != "whole" and not p.common]
    if not isinstance(groups, Mapping):
        names = _grouping_columns(groups, "groups") if groups else ()
        return dict.fromkeys(pooled, names) if names else {}
    for parameter in groups:
        if parameter not in pooled:
            known = ", ".join(pooled)
            raise FitError(f'groups of "{parameter}": {model.name} has the parameters {known} to pool.')
    by_parameter = {name: _grouping_columns(columns, f"groups of {name}") for name, columns in groups.items()}
    return {name: columns for name, columns in by_parameter.items() if columns}


def _grouping_columns(columns: object, what: str) -> tuple[str, ...]:
    """One column or several, checked."""
    names = (columns,) if isinstance(columns, str) else columns
    if not isinstance(names, Sequence) or not all(isinstance(name, str) for name in names):
        raise FitError(
            f'{what} = {columns!r}: expected a column name or a list of them, or these by parameter: {{"alpha": '
            '["segment", "cohort"]}.'
        )
    twice = [name for place, name in enumerate(names) if name in names[:place]]
    if twice:
        raise FitError(f'{what} has "{twice[0]}" twice: its groups have one level each.')
    return tuple(names)


def _acquired(customers: Customers, pattern: str) -> IdArray:
    """The week, month or year of the first purchase."""
    if not isinstance(customers, CustomerSummary):
        raise DataError('the table has no period of acquisition: retention_table(..., cohort="month") makes "cohort".')
    if customers.calibration_end is None:
        raise DataError("the period of acquisition needs a summary of a log: these customers have no dates.")
    end = customers.calibration_end
    days, place = np.unique(np.rint(customers.T * days_per_unit(customers.unit)), return_inverse=True)
    names = np.array([(end - dt.timedelta(days=int(day))).strftime(pattern) for day in days], dtype=object)
    return names[place]


def _coded(customers: Customers, names: Sequence[str]) -> tuple[Covariate, ...]:
    """Design columns of some covariates, each checked."""
    return tuple(column for name in names for column in _coded_column(customers, name))


def _coded_column(customers: Customers, name: str) -> list[Covariate]:
    column = _column(customers, name)
    if column.dtype == object:
        return _coded_categories(customers, name, column)
    lowest, highest = float(column.min()), float(column.max())
    largest = max(abs(lowest), abs(highest))
    if not highest - lowest > ALIKE * largest:
        raise DataError(
            f'covariate "{name}" is {column[0]:g} for all customers: it cannot tell them apart, leave it out.'
        )
    centre = _mean(customers, column)
    scale = largest * math.sqrt(_mean(customers, (column / largest - centre / largest) ** 2))
    if set(np.unique(column).tolist()) == {0.0, 1.0}:
        scale = 1.0
    if abs(centre) > FAR_FROM_ZERO * scale:
        raise DataError(
            f'covariate "{name}" is {centre:g} on average with a standard deviation of {scale:.3g}, far from 0, where '
            "the parameters are told. Subtract a typical value from it."
        )
    return [Covariate(name, name, None, None, centre, scale, lowest, highest)]


def _mean(customers: Customers, column: FloatArray) -> float:
    """The mean over customers; summed exactly, so that the order of rows does not matter."""
    if customers.n_customers is None:
        return math.fsum(column) / len(column)
    return math.fsum(column * customers.n_customers) / math.fsum(customers.n_customers)


def _coded_categories(customers: Customers, name: str, column: NDArray[Any]) -> list[Covariate]:
    """A column of 0 and 1 for each category but the most frequent."""
    weights = np.ones(len(column)) if customers.n_customers is None else customers.n_customers
    categories, index = np.unique(column.astype(str), return_inverse=True)
    if len(categories) < 2:
        raise DataError(f'covariate "{name}" is "{categories[0]}" for all customers: leave it out.')
    if len(categories) > MOST_CATEGORIES:
        raise DataError(
            f'covariate "{name}" has {len(categories)} categories, at most {MOST_CATEGORIES} are taken: '
            f'join rare ones, or pool over them with groups="{name}" (method="nuts").'
        )
    shares = np.bincount(index, weights=weights) / weights.sum()
    reference = int(np.argmax(shares))
    return [
        Covariate(f"{name}[{category}]", name, str(category), str(categories[reference]), float(share), 1.0, 0.0, 1.0)
        for i, (category, share) in enumerate(zip(categories, shares, strict=True))
        if i != reference
    ]


def _column(customers: Customers, name: str) -> NDArray[Any]:
    """A covariate of each customer; refused if there is none or a value is missing."""
    if name not in customers.covariates:
        known = ", ".join(customers.covariates) or "none"
        raise DataError(f'covariate "{name}": the customers have no such column; there are: {known}.')
    column = customers.covariates[name]
    if column.dtype == object:
        missing = np.array([value is None for value in column])
    else:
        missing = ~np.isfinite(np.asarray(column, dtype=np.float64))
    _refuse_missing(customers, f'covariate "{name}"', missing)
    return column if column.dtype == object else np.asarray(column, dtype=np.float64)


def _refuse_missing(customers: Customers, what: str, missing: NDArray[np.bool_]) -> None:
    if missing.any():
        first = customers.customer_id[int(np.argmax(missing))]
        raise DataError(
            f"{what} is missing or not finite for {int(missing.sum())} customers (first: customer_id {first}). "
            'Fill it in, make "unknown" a category of its own, or leave these customers out.'
        )


def _refuse_unseen(customers: Customers, columns: tuple[Covariate, ...], parameter: str) -> None:
    """Refuse text where the fit learnt a number, numbers far from those it saw, and categories that it did not see."""
    for column in columns:
        values = _column(customers, column.source)
        if (column.category is None) != (values.dtype != object):
            kind = "numbers" if column.category is None else "categories"
            raise DataError(f'covariate "{column.source}" of {parameter} had {kind} when the model was fitted.')
        if column.category is None:
            _refuse_far_outside(customers, column, values)
            continue
        known = {c.category for c in columns if c.source == column.source} | {column.reference}
        unseen = sorted(set(values.astype(str)) - known)
        if unseen:
            raise DataError(f'covariate "{column.source}": the fit has not seen {", ".join(unseen[:5])}.')


def _refuse_far_outside(customers: Customers, column: Covariate, values: FloatArray) -> None:
    """Refuse numbers that can only be a slip, such as another unit."""
    far = FAR_OUTSIDE * column.scale
    outside = (values < column.lowest - far) | (values > column.highest + far)
    if outside.any():
        first = int(np.argmax(outside))
        raise DataError(
            f'covariate "{column.source}" is {values[first]:g} for customer_id {customers.customer_id[first]} '
            f"({int(outside.sum())} customers in all), far outside what the fit has seen, {column.lowest:g} to "
            f"{column.highest:g}. Check its unit."
        )


def _matrix(customers: Customers, columns: tuple[Covariate, ...]) -> FloatArray:
    """Covariates as they are, categories as 0 and 1; shape (N, Q)."""
    parts = [
        values if column.category is None else (values.astype(str) == column.category).astype(np.float64)
        for column in columns
        for values in (_column(customers, column.source),)
    ]
    return np.column_stack(parts)


def _refuse_collinear(parameter: str, matrix: FloatArray, columns: tuple[Covariate, ...]) -> None:
    standard = (matrix - [c.centre for c in columns]) / [c.scale for c in columns]
    if np.linalg.matrix_rank(standard, tol=1e-8 * np.sqrt(standard.size)) < len(columns):
        names = ", ".join(column.name for column in columns)
        raise DataError(f"covariates of {parameter} ({names}): one of them follows from the others. Leave one out.")


def _places(effects: Effects, customers: Customers, name: str) -> IntArray:
    """The place of each customer's group among the labels of the fit, shape (N,)."""
    known = effects.labels[name]
    place_of = {label: place for place, label in enumerate(known)}
    labels = group_labels(customers, name)
    unseen = sorted({label for label in labels if label not in place_of})
    if unseen:
        raise DataError(
            f'groups "{name}": the fit has not seen {", ".join(unseen[:5])}. It knows {", ".join(known[:10])}'
            f"{', ...' if len(known) > 10 else ''}. Fit with these customers, or leave them out."
        )
    return np.array([place_of[label] for label in labels], dtype=np.int64)
