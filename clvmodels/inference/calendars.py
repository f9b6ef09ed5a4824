"""Models on a calendar: which terms act on which parameter, and what fits and customers must have in common."""

import datetime as dt
from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from clvmodels.foundation.calendar import Calendar, Timetable
from clvmodels.foundation.effects import ByParameter, covariates_by_parameter
from clvmodels.foundation.errors import DataError, FitError
from clvmodels.foundation.model import Model
from clvmodels.foundation.patterns import FloatArray
from clvmodels.foundation.retention import Customers, RetentionTable
from clvmodels.foundation.units import days_per_unit

SMALLEST_SCALE, LARGEST_SCALE = 0.02, 50.0  # of a term: beyond them its coefficient is too large or small to search for
FAR_FROM_ZERO = 50.0  # standard deviations between a term's mean and 0
DEFAULT = "alpha"  # season and campaigns change purchases


def on_calendar(
    model: Model, customers: Customers, covariates: ByParameter = ()
) -> tuple[Model, ByParameter, tuple[str, ...]]:
    """The model with the terms of the customers' calendar, the covariates that are left, and notes.

    Parameters
    ----------
    covariates : terms by parameter, or a list for every parameter that they may act on; by default all terms
        act on alpha

    Raises
    ------
    FitError
        If a parameter takes no terms.
    DataError
        If there is no such term, it does not vary while the customers are seen, or follows from the others.
    """
    if model.on_calendar is None or isinstance(customers, RetentionTable):
        return model, covariates, ()
    if customers.calendar is None:
        return model, covariates, (f"the customers have no calendar, so {model.name} is pareto_nbd",)
    if customers.calibration_end is None or customers.term_sums is None:
        raise DataError("customers with a calendar need dates: customer_summary(log, window, calendar=...) has them.")
    chosen = covariates_by_parameter(model, covariates) or {DEFAULT: customers.calendar.names}
    acting = {parameter: tuple(names) for parameter, names in chosen.items() if names}
    per_unit = days_per_unit(customers.unit)
    first = customers.calibration_end - dt.timedelta(days=int(np.ceil(customers.T.max() * per_unit - 1e-6)))
    for parameter, names in acting.items():
        _require_told_apart(customers.calendar, parameter, names, first, customers.calibration_end)
    timetable = Timetable(customers.calendar, acting, customers.calibration_end, customers.unit)
    return model.on_calendar(timetable), (), ()


def _require_told_apart(
    calendar: Calendar, parameter: str, names: tuple[str, ...], first: dt.date, last: dt.date
) -> None:
    """Refuse terms that are constant, out of scale or collinear over the days that customers are seen on."""
    calendar.require(first, last)
    values = calendar.some(names).at(np.arange(first.toordinal() + 1.0, last.toordinal() + 1.0))
    mean, scale = values.mean(axis=0), values.std(axis=0)
    for name, centre, sd in zip(names, mean, scale, strict=True):
        if not sd > 0:
            raise DataError(
                f'calendar term "{name}" is {centre:g} on every day from {first} to {last}, while the customers are '
                f"seen: the data say nothing of it. Leave it out, or choose a later calibration_end."
            )
        if not (SMALLEST_SCALE <= sd <= LARGEST_SCALE and abs(centre) <= FAR_FROM_ZERO * sd):
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
    if model.on_calendar is None or today is None:
        raise FitError(f"{model.name} with a calendar: expected a model that takes one, and calibration_end=... .")
    taking = [parameter.name for parameter in model.parameters if parameter.covariates]
    acting = {name: tuple(t for t in calendar.names if f"gamma_{name}[{t}]" in values) for name in taking}
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
    if model.timetable is None or isinstance(customers, RetentionTable):
        return
    today = model.timetable.today
    if customers.calibration_end is None:
        raise DataError(f"{model.name} reads the calendar, and these customers have no dates: summarise a log.")
    if customers.calibration_end != today:
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
