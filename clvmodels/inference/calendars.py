"""Models on a calendar: which terms act on which parameter, and what fits and customers must have in common."""

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from clvmodels.foundation.calendar import Calendar, Timetable
from clvmodels.foundation.effects import ByParameter, column_names, covariates_by_parameter
from clvmodels.foundation.errors import DataError, FitError
from clvmodels.foundation.model import CHURN, Model
from clvmodels.foundation.patterns import FloatArray
from clvmodels.foundation.retention import Customers, RetentionTable
from clvmodels.foundation.units import days_per_unit

SMALLEST_SCALE, LARGEST_SCALE = 0.02, 50.0  # of a term: beyond them its coefficient is too large or small to search for
SMALLEST_PART = 0.001  # the same of means over units of time: a campaign of a day is a thirtieth of a month
FAR_FROM_ZERO = 50.0  # standard deviations between a term's mean and 0
ROUNDING = 1e-9  # by which the means of a constant term may differ
DEFAULT = "alpha"  # season and campaigns change purchases


def on_calendar(
    model: Model, customers: Customers, covariates: ByParameter = ()
) -> tuple[Model, ByParameter, tuple[str, ...]]:
    """The model with the terms of the customers' calendar, the covariates that are left, and notes.

    Parameters
    ----------
    covariates : terms by parameter, or a list for every parameter that they may act on; by default all terms
        act on alpha. Of a model of retention the terms of "churn"; by default all; what is given for other
        parameters, or as a list, are columns of the table

    Raises
    ------
    FitError
        If a parameter takes no terms.
    DataError
        If there is no such term, it does not vary while the customers are seen, or follows from the others.
    """
    if isinstance(customers, RetentionTable):
        return *_churn_on_calendar(model, customers, covariates), ()
    if model.on_calendar is None:
        return model, covariates, ()
    if customers.calendar is None:
        return model, covariates, (f"the customers have no calendar, so {model.name} is pareto_nbd",)
    if customers.calibration_end is None or customers.term_sums is None:
        raise DataError("customers with a calendar need dates: customer_summary(log, window, calendar=...) has them.")
    chosen = covariates_by_parameter(model, covariates) or {DEFAULT: customers.calendar.names}
    acting = {parameter: tuple(names) for parameter, names in chosen.items() if names}
    per_unit = days_per_unit(customers.unit)
    first = customers.calibration_end - dt.timedelta(days=int(np.ceil(customers.T.max() * per_unit - 1e-6)))
    customers.calendar.require(first, customers.calibration_end)
    days = np.arange(first.toordinal() + 1.0, customers.calibration_end.toordinal() + 1.0)
    for parameter, names in acting.items():
        span = f"on every day from {first} to {customers.calibration_end}"
        _require_told_apart(customers.calendar.some(names).at(days), parameter, names, span)
    timetable = Timetable(customers.calendar, acting, customers.calibration_end, customers.unit)
    return model.on_calendar(timetable), (), ()


def _churn_on_calendar(model: Model, table: RetentionTable, covariates: ByParameter) -> tuple[Model, ByParameter]:
    """The model of retention with the terms of the table's calendar, and the covariates that are left."""
    by_parameter = covariates if isinstance(covariates, Mapping) else {}
    rest = {name: columns for name, columns in by_parameter.items() if name != CHURN} if by_parameter else covariates
    calendar = table.calendar
    if calendar is None:
        if by_parameter.get(CHURN):
            raise DataError('terms of "churn" are those of a calendar, and the table has none: give it calendar=... .')
        return model, rest
    names = column_names(by_parameter.get(CHURN, calendar.names), f"covariates of {CHURN}")
    if not names:
        return model, rest
    if model.on_calendar is None:
        raise FitError(
            f'{model.name} takes no calendar: leave the terms of the table\'s out, covariates={{"churn": []}}, or fit '
            "geometric, sbg or bdw, whose customers leave at renewals."
        )
    for parameter, columns in by_parameter.items():
        _refuse_misplaced(model, table, parameter, columns)
    dated = calendar.some(names).by_unit(table.unit)
    seen = _renewals_seen(table)
    dated.require(seen, "renewals are seen")
    span = f"in every {table.unit} in which renewals are seen"
    _require_told_apart(dated.values[dated.places(seen)], CHURN, names, span, smallest=SMALLEST_PART)
    today = min(table.observation_end or calendar.end, calendar.end)
    return model.on_calendar(Timetable(calendar, {CHURN: names}, today, table.unit)), rest


def _refuse_misplaced(model: Model, table: RetentionTable, parameter: str, names: object) -> None:
    """Refuse terms of the calendar as covariates of a parameter."""
    assert table.calendar is not None
    terms = [name for name in table.calendar.names if isinstance(names, Sequence) and name in names]
    if parameter != CHURN and terms and terms[0] not in table.covariates:
        raise FitError(
            f'covariates of {parameter}: "{terms[0]}" is a term of the calendar, which in {model.name} acts on '
            f'"churn" for all customers alike: {{"churn": ["{terms[0]}"]}}.'
        )


def _renewals_seen(table: RetentionTable) -> FloatArray:
    """The calendar units in which renewals are seen, in order, shape (U,).

    Raises
    ------
    DataError
        If the table does not say when each relation began.
    """
    start = table.column("start")
    first = start.min()
    change = np.zeros(int((start + table.age).max() - first) + 2)  # renewals that are seen from a unit on, or no longer
    np.add.at(change, (start + table.entry + 1 - first).astype(np.int64), table.age > table.entry)
    np.add.at(change, (start + table.age + 1 - first).astype(np.int64), -1.0 * (table.age > table.entry))
    return np.asarray(first + np.flatnonzero(np.cumsum(change) > 0))


def _require_told_apart(
    values: FloatArray, parameter: str, names: tuple[str, ...], span: str, *, smallest: float = SMALLEST_SCALE
) -> None:
    """Refuse terms that are constant, out of scale or collinear while customers are seen.

    Parameters
    ----------
    values : ndarray, shape (N, Q), on the days, or in the calendar units, on which customers are seen
    span : such as "on every day from 2020-01-01 to 2020-12-31"
    smallest : standard deviation that a term may have
    """
    mean, scale = values.mean(axis=0), values.std(axis=0)
    for name, centre, sd in zip(names, mean, scale, strict=True):
        if not sd > ROUNDING * max(1.0, abs(centre)):
            raise DataError(
                f'calendar term "{name}" is {centre:g} {span}: the data say nothing of it. Leave it out, or see the '
                "customers longer."
            )
        if not (smallest <= sd <= LARGEST_SCALE and abs(centre) <= FAR_FROM_ZERO * sd):
            raise DataError(
                f'calendar term "{name}" has the mean {centre:.3g} and the standard deviation {sd:.3g}: bring it to '
                "a mean near 0 and a standard deviation near 1."
            )
    standard: FloatArray = (values - mean) / scale
    if np.linalg.matrix_rank(standard, tol=1e-6 * np.sqrt(standard.size)) < len(names):
        raise DataError(
            f"calendar terms of {parameter} ({', '.join(names)}): one follows from the others. Leave it out."
        )


def at_calendar(
    model: Model, values: Mapping[str, float], calendar: Calendar | None, today: dt.date | None, unit: str
) -> Model:
    """The model at known parameters with those terms of a calendar whose coefficients are among them.

    Raises
    ------
    FitError
        If the model takes no calendar, or there is one without today.
    """
    if calendar is None:
        return model
    if model.family == "retention":
        today = today or calendar.end  # their histories end on days of their own
    if model.on_calendar is None or today is None:
        raise FitError(f"{model.name} with a calendar: expected a model that takes one, and calibration_end=... .")
    acting = {name: tuple(t for t in calendar.names if f"gamma_{name}[{t}]" in values) for name in model.terms_act_on}
    return model.on_calendar(Timetable(calendar, acting, today, unit))


def as_of(model: Model, today: dt.date) -> Model:
    """The same model on another day of its calendar; a model without one is the same on all days.

    Raises
    ------
    DataError
        If the day is outside the calendar.
    """
    if model.timetable is None:
        return model
    assert model.on_calendar is not None
    return model.on_calendar(replace(model.timetable, today=today))


def require_calendar(model: Model, customers: Customers) -> None:
    """Refuse customers whose history ends on another day than the model's, or whose calendar says something else.

    Raises
    ------
    DataError
        If they do.
    """
    if model.timetable is None:
        return
    today = model.timetable.today
    if isinstance(customers, RetentionTable):
        customers.column("start")
    elif customers.calibration_end is None:
        raise DataError(f"{model.name} reads the calendar, and these customers have no dates: summarise a log.")
    elif customers.calibration_end != today:
        raise DataError(
            f"the fit of {model.name} stands at {today}, the customers' calibration_end is "
            f'{customers.calibration_end}: take fit.as_of("{customers.calibration_end}").'
        )
    ours, theirs = model.timetable.calendar, customers.calendar
    if theirs is not None and not (ours.names == theirs.names and ours.agrees(theirs)):
        raise DataError(
            f"the calendar of these customers ({', '.join(theirs.names)}) is not that of the fit "
            f"({', '.join(ours.names)}), or has other values: summarise them with the calendar of the fit."
        )
