"""How a fit, and the forecast made with it, give way to demand that was higher or lower in some period.

A fit knows nothing of calendar time: when customers buy more in some week, the rates and lifetimes that it finds are
others, and the histories that the forecast starts from are too. Both are worked out to first order, on customers of
the model's own story: a demand of exp(u_t) in period t adds a share u_t of the purchases made in it, so that the
derivative of any sum over customers by u_t is the sum, over purchases of period t, of what the customer adds with
that purchase less what they add without it. The fit moves by the inverse of its information times the derivative of
the score (the infinitesimal jackknife of [1]_).

References
----------
.. [1] Efron (1982), The Jackknife, the Bootstrap and Other Resampling Plans, SIAM, doi 10.1137/1.9781611970319.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from clvmodels.forecast.by_period import expected_by_day, told
from clvmodels.forecast.checks import history_of
from clvmodels.forecast.expectations import History, purchases_until
from clvmodels.foundation.effects import cells_of
from clvmodels.foundation.errors import FitError
from clvmodels.foundation.events import purchase_columns
from clvmodels.foundation.patterns import FloatArray, IntArray
from clvmodels.foundation.records import CustomerSummary
from clvmodels.foundation.units import days_per_unit
from clvmodels.inference.likelihood import log_likelihood
from clvmodels.inference.parameters import parameters_at_point
from clvmodels.inference.result import Fit

TOLD = 4_000  # customers of the story: the response is then known to some 3 %
STEP = 0.03  # of an unknown, for central differences
PRIOR_SD = 1.5  # of an unknown: keeps the information regular where customers hardly leave
KNOTS = 13  # ends of future periods at which the forecast's response is worked out; it is smooth between them


@dataclass(frozen=True)
class DriftResponse:
    """First-order response of a fit and its forecast to log demand u of the P periods seen.

    Attributes
    ----------
    fitted : ndarray, shape (P, P), derivative of the log of the fit's expectation in period t by u_s
    ahead : ndarray, shape (H, P), derivative of the log of the forecast of the future period h by u_s
    other : ndarray, shape (P, P), covariance of the log of the fit's expectation from all else that it learns from
    """

    fitted: FloatArray
    ahead: FloatArray
    other: FloatArray


def drift_response(
    fit: Fit,
    customers: CustomerSummary,
    *,
    before_end: IntArray,
    expected: FloatArray,
    ends: FloatArray,
    rng: np.random.Generator,
) -> DriftResponse:
    """The response of a fit of purchases to demand by period.

    Parameters
    ----------
    before_end : ndarray, shape (P,), whole days from the end of each period to the end of the calibration
    expected : ndarray, shape (P,), the fit's expectation of each period
    ends : ndarray, shape (H,), ends of the future periods, counted from T

    Raises
    ------
    FitError
        If the model has no story or no expectation, or reads a calendar, which has periods of its own.
    """
    require_story(fit)
    base, without, row, period = _with_and_without(fit, customers, before_end, rng)
    scale = len(customers) / len(base)
    score, score_without = _scores(fit, base), _scores(fit, without)
    by_demand = _by_period(score[row] - score_without, period, len(before_end)).T  # (k, P)
    information = score.T @ score + np.eye(score.shape[1]) / scale / PRIOR_SD**2
    moved = np.linalg.solve(information, by_demand)  # unknowns by u, (k, P)
    slope = _slopes(fit, lambda at: _expected(at, customers, before_end)) / expected[:, None]  # (P, k)
    spread = np.linalg.inv(information) / scale - (moved / expected) @ moved.T
    return DriftResponse(
        slope @ moved,
        _ahead(fit, (base, without), row, period, moved, ends, len(before_end)),
        slope @ _positive(spread) @ slope.T,
    )


def require_story(fit: Fit) -> None:
    """Refuse models whose response to demand cannot be worked out.

    Raises
    ------
    FitError
        If the model has no story or no expectation, or reads a calendar.
    """
    needed = {"expected_purchases", "expected_purchases_new"}
    if fit.model.timetable is not None or fit.model.simulate is None or not needed <= {*fit.model.formulas}:
        raise FitError(
            f"{fit.model.name}: a period effect needs a model of purchases that has a story and an expectation, and no "
            "calendar of its own, such as bg_nbd, mbg_nbd or pareto_nbd."
        )


def expected_by_period(fit: Fit, customers: CustomerSummary, *, before_end: IntArray) -> FloatArray:
    """Repeat purchases that the fit expected in each period of the calibration, shape (P,)."""
    return _expected(fit, customers, before_end)


def slopes_by_period(fit: Fit, customers: CustomerSummary, *, before_end: IntArray) -> FloatArray:
    """Derivatives of `expected_by_period` by the unknowns of the fit, shape (P, k)."""
    return _slopes(fit, lambda at: _expected(at, customers, before_end))


def told_by_period(
    fit: Fit, customers: CustomerSummary, *, before_end: IntArray, size: int, rng: np.random.Generator
) -> FloatArray:
    """Repeat purchases by period of bases told by the model at the fit's point, shape (size, P)."""
    parameters = parameters_at_point(fit, cells_of(fit.effects, customers))
    told_counts = np.empty((size, len(before_end)))
    for row in told_counts:
        buyer, time = told(fit, customers, parameters, rng)
        period = periods_of(customers, buyer, time, before_end)
        row[:] = np.bincount(np.minimum(period, len(row) - 1), minlength=len(row))
    return told_counts


def periods_of(customers: CustomerSummary, buyer: IntArray, time: FloatArray, before_end: IntArray) -> IntArray:
    """The period of each purchase, shape (E,), by its time since the buyer's first."""
    days = np.ceil(time * days_per_unit(customers.unit) - 1e-6)  # a purchase counts on its whole day
    left = np.rint(customers.T[buyer] * days_per_unit(customers.unit)) - days
    return len(before_end) - np.searchsorted(before_end[::-1], left, side="right")


def _expected(fit: Fit, customers: CustomerSummary, before_end: IntArray) -> FloatArray:
    return np.diff(expected_by_day(fit, customers, before_end=before_end, seed=0), prepend=0.0)


def _with_and_without(
    fit: Fit, customers: CustomerSummary, before_end: IntArray, rng: np.random.Generator
) -> tuple[CustomerSummary, CustomerSummary, IntArray, IntArray]:
    """Customers of the story; the same without each purchase in turn, whose it was, and its period."""
    few = rng.choice(len(customers), min(TOLD, len(customers)), replace=False)
    rows = np.tile(few, -(-TOLD // len(few)))
    chosen = _renamed(customers, rows)
    parameters = parameters_at_point(fit, cells_of(fit.effects, chosen))
    buyer, time = told(fit, chosen, parameters, rng)
    base = replace(chosen, **purchase_columns(buyer, time, len(chosen)))
    period = periods_of(chosen, buyer, time, before_end)
    order = np.argsort(buyer, kind="stable")
    bought = np.bincount(buyer, minlength=len(chosen))
    first = np.cumsum(bought) - bought
    # each purchase e has a copy of its buyer, with the purchases of theirs but e
    copy = np.repeat(np.arange(len(buyer)), bought[buyer])
    place = np.arange(len(copy)) - np.repeat(np.cumsum(bought[buyer]) - bought[buyer], bought[buyer])
    event = order[first[buyer[copy]] + place]
    kept = event != copy
    columns = purchase_columns(copy[kept], time[event[kept]], len(buyer))
    without = replace(_renamed(base, buyer), **columns)
    return base, without, buyer, np.minimum(period, len(before_end) - 1)


def _renamed(customers: CustomerSummary, rows: IntArray) -> CustomerSummary:
    """Some of the customers, some more than once, as customers of their own of whose spend nothing is said."""
    names = np.array([str(place) for place in range(len(rows))], dtype=object)
    unknown = np.full(len(customers), np.nan)
    plain = replace(customers, monetary_value=unknown, paid_purchases=None, log_amount=None, log_amount_sd=None)
    counted = replace(plain, n_customers=np.ones(len(customers)))  # rows of one name are refused unless they count
    return replace(counted.take(rows), customer_id=names, n_customers=None)


def _shifted(fit: Fit, place: int, step: float) -> Fit:
    """The fit with one unknown moved."""
    parameter = fit.model.parameters[place]
    unknown = parameter.unknown(np.array([fit.point[parameter.name]])) + step
    theta = {**fit.point, parameter.name: float(fit.model.natural(_alone(fit, place, unknown))[place])}
    return replace(fit, point=theta)


def _alone(fit: Fit, place: int, unknown: FloatArray) -> FloatArray:
    unknowns = fit.model.unknowns(np.array([fit.point[name] for name in fit.model.parameter_names]))
    unknowns[place] = unknown[0]
    return unknowns


def _slopes(fit: Fit, value: Callable[[Fit], FloatArray]) -> FloatArray:
    """Central differences of values by each unknown that is not a count, shape (..., k)."""
    places = [place for place, parameter in enumerate(fit.model.parameters) if parameter.support != "whole"]
    return np.stack(
        [(value(_shifted(fit, p, STEP)) - value(_shifted(fit, p, -STEP))) / (2 * STEP) for p in places], axis=-1
    )


def _scores(fit: Fit, customers: CustomerSummary) -> FloatArray:
    """Derivatives of each customer's log likelihood by the unknowns, shape (N, k)."""
    return _slopes(fit, lambda at: log_likelihood(at, customers))


def _by_period(values: FloatArray, period: IntArray, periods: int) -> FloatArray:
    """Sums of the rows of each period, shape (periods, ...)."""
    sums = np.zeros((periods, *values.shape[1:]))
    np.add.at(sums, period, values)
    return sums


def _ahead(
    fit: Fit,
    rows: tuple[CustomerSummary, CustomerSummary],
    row: IntArray,
    period: IntArray,
    moved: FloatArray,
    ends: FloatArray,
    periods: int,
) -> FloatArray:
    """Derivative of the log of the forecast of each future period by u, shape (H, P)."""
    knots = np.unique(np.linspace(0, len(ends), KNOTS + 1).round().astype(int)[1:]) - 1
    base, without = (_expectations(fit, customers, ends[knots]) for customers in rows)
    total = base.sum(axis=0)
    learnt = _slopes(fit, lambda at: _expectations(at, rows[0], ends[knots]).sum(axis=0)) @ moved
    seen = _by_period(base[row] - without, period, periods).T
    response = (learnt + seen) / total[:, None]
    return response[np.searchsorted(knots, np.arange(len(ends)))]


def _expectations(fit: Fit, customers: CustomerSummary, ends: FloatArray) -> FloatArray:
    """Expected purchases of each customer between one end and the next, shape (N, len(ends))."""
    parameters = parameters_at_point(fit, cells_of(fit.effects, customers))
    history = History(parameters, slice(0, 1), parameters.cell, history_of(customers, fit.model))
    return np.diff(purchases_until(fit, history, ends, 0.0)[:, 0, 0], prepend=0.0, axis=1)


def _positive(spread: FloatArray) -> FloatArray:
    """The nearest covariance: simulation can leave a small negative eigenvalue."""
    values, vectors = np.linalg.eigh((spread + spread.T) / 2)
    return (vectors * np.maximum(values, 0.0)) @ vectors.T
