"""What is left of relations: discounted expected units of time, as they are, or with fewer customers leaving.

With q(t) = S(n + t) / S(n) of a customer still there at age n, and the next renewal a unit of time away,

    sum_{t=1}^h q(t) exp(-d t)            paid at renewals
    int_0^h q(t) exp(-d t) dt             paid all the time

If a share f fewer leave, each period's chance to leave 1 - q(t) / q(t - 1) is multiplied by 1 - f; paid all the time,
the rate of leaving is, so that q(t) becomes q(t)^(1 - f).
"""

import math
from collections.abc import Callable

import numpy as np

from clvmodels.forecast.expectations import History, distinct, evaluate
from clvmodels.forecast.future import SPENT
from clvmodels.foundation.errors import DataError
from clvmodels.foundation.patterns import FloatArray, IntArray
from clvmodels.foundation.quadrature import gauss_legendre
from clvmodels.foundation.retention import RetentionTable
from clvmodels.inference.result import Fit

MOST_PERIODS = 1_000_000
NODES = 64
CELLS = 2**18  # retention rates worked out at a time: 2 MB
EXACT, DENSITY = 128, 48  # rates at ages up to the first are worked out, later ones at so many while age grows e-fold
CELLS_AT_ONCE = 2**14  # cells x draws, whose rates at all those ages take some 50 MB
CLUSTERING = 1e4  # customers leave at many scales of time: nodes are even in log(1 + 10,000 t / end)
RatesAt = Callable[[FloatArray], FloatArray]


def paid_at_renewals(fit: Fit, table: RetentionTable) -> bool:
    """Whether customers pay at renewals, and not all the time."""
    return table.clock == "renewals" or fit.model.clock == "opportunities"


def has_closed_form(fit: Fit, table: RetentionTable, horizon: float) -> bool:
    """Whether the model's own derl is what is asked for: without end, and at renewals if it counts renewals."""
    return math.isinf(horizon) and paid_at_renewals(fit, table) == (fit.model.clock == "opportunities")


def require_end(horizon: float, rate: FloatArray, *, at_renewals: bool) -> None:
    """Refuse sums over periods that do not end, or not soon.

    Raises
    ------
    DataError
        If there is no horizon, and no discount rate that would end it; or renewals are counted, and it is not whole.
    """
    lowest = float(rate.min())
    if at_renewals and math.isfinite(horizon) and horizon != math.floor(horizon):
        raise DataError(f"horizon = {horizon:g}: customers pay at renewals, one a unit of time: give a whole number.")
    if last_period(horizon, lowest) > (MOST_PERIODS if at_renewals else np.finfo(float).max):
        raise DataError(
            f"horizon = {horizon:g} with a discount rate of {lowest:g} a unit of time: there are too many periods to "
            f"add up ({MOST_PERIODS} at the most). Give a rate above 0, or a horizon."
        )


def last_period(horizon: float, discount: float) -> float:
    """The last one that counts: at the horizon, or where exp(-d t) is 1e-10."""
    return min(horizon, math.ceil(SPENT / discount)) if discount > 0 else horizon


def residual(
    fit: Fit, rows: History, discount: float, *, horizon: float, at_renewals: bool, leaving: tuple[float, ...] = (1.0,)
) -> FloatArray:
    """Discounted expected units of time at rows and draws, by adding up periods or by quadrature, shape (K, S, L).

    Parameters
    ----------
    leaving : L numbers that each period's chance to leave is multiplied by
    """
    if not at_renewals:
        return _integral(fit, rows, discount, horizon, np.array(leaving))
    weights = np.exp(-discount * np.arange(1, last_period(horizon, discount) + 1))
    numbers, on_calendar = np.array(leaving), len(rows.columns) > 1

    def added_up(some: History) -> FloatArray:
        if on_calendar:  # each row has rates of its own, and the calendar may end right after its last period
            return _sum_by_row(fit, some, weights, numbers)
        if math.isinf(horizon):
            return _sum_without_end(fit, some, discount, numbers)
        return _sum_to_horizon(fit, some, weights, numbers)

    if on_calendar:
        part = np.arange(len(rows.cell)) // max(1, 4 * CELLS // (rows.n_draws * len(weights)))
    else:
        part = np.unique(rows.cell, return_inverse=True)[1] // max(1, CELLS_AT_ONCE // rows.n_draws)
    value = np.empty((len(part), rows.n_draws, len(leaving)))
    for i in range(int(part.max()) + 1):
        some = np.flatnonzero(part == i)
        value[some] = added_up(rows.take(some))
    return value


def _sum_by_row(fit: Fit, rows: History, weights: FloatArray, leaving: FloatArray) -> FloatArray:
    """sum_t weights_t q(t), row by row."""
    rates = rates_ahead(fit, rows, len(weights))
    return np.stack(
        [(np.cumprod(1 - share * (1 - rates), axis=-1) * weights).sum(axis=-1) for share in leaving], axis=-1
    )


def _sum_to_horizon(fit: Fit, rows: History, weights: FloatArray, leaving: FloatArray) -> FloatArray:
    """sum_t weights_t q(t), age by age: rows of the same parameters share the retention rate at an age."""
    age, value = rows.columns[0], np.zeros((len(rows.cell), rows.n_draws, len(leaving)))
    ages = np.arange(age.min() + 1, age.max() + len(weights) + 1)
    rates_at, place, cells = _rates_by_age(fit, rows, ages)
    there = np.ones_like(value)
    for some in _in_blocks(ages, cells * rows.n_draws):
        rates = rates_at(some)
        for i, at in enumerate(some):
            now = np.flatnonzero((age < at) & (at <= age + len(weights)))
            there[now] *= 1 - leaving * (1 - rates[place[now], i, :, None])
            value[now] += weights[(at - 1 - age[now]).astype(np.int64), None, None] * there[now]
    return value


def _sum_without_end(fit: Fit, rows: History, discount: float, leaving: FloatArray) -> FloatArray:
    """sum_t exp(-d t) q(t) of all ages at once, from the last one back: V(n) = q(1) exp(-d) (1 + V(n + 1))."""
    age, value = rows.columns[0], np.empty((len(rows.cell), rows.n_draws, len(leaving)))
    ages = np.arange(age.min() + 1, age.max() + last_period(math.inf, discount) + 1)
    rates_at, place, cells = _rates_by_age(fit, rows, ages)
    ahead = np.zeros((cells, rows.n_draws, len(leaving)))
    for some in reversed(_in_blocks(ages, cells * rows.n_draws)):
        rates = rates_at(some)
        for i in reversed(range(len(some))):
            ahead = math.exp(-discount) * (1 - leaving * (1 - rates[:, i, :, None])) * (1 + ahead)
            here = np.flatnonzero(age == some[i] - 1)
            value[here] = ahead[place[here]]
    return value


def _in_blocks(ages: FloatArray, size: int) -> list[FloatArray]:
    """Ages, so many at a time that their rates, `size` an age, stay in the cache."""
    step = max(1, CELLS // size)
    return np.split(ages, range(step, len(ages), step))


def _rates_by_age(fit: Fit, rows: History, ages: FloatArray) -> tuple[RatesAt, IntArray, int]:
    """(ages -> retention rates, shape (C, ages, S)), the place of each row among the cells C, and their number.

    At high ages a rate hardly changes from one age to the next: beyond `EXACT` it is interpolated in the logarithm of
    age, by cubics through four of its values, to some 1e-8 of 1 - rate.
    """
    cell, place = np.unique(rows.cell, return_inverse=True)

    def known(some: FloatArray) -> FloatArray:
        shared = History(rows.parameters, rows.draws, np.repeat(cell, len(some)), (np.tile(some, len(cell)),))
        return evaluate(fit.model.formulas["retention_rate"], fit, shared).reshape(len(cell), len(some), -1)

    if ages[-1] <= EXACT:
        return known, place, len(cell)
    # The same nodes whatever the rows, so that no row depends on the others.
    coarse = known(EXACT * np.exp(np.arange(-1, math.ceil(DENSITY * math.log(ages[-1] / EXACT)) + 3) / DENSITY))

    def rates(some: FloatArray) -> FloatArray:
        far = _interpolated(coarse, DENSITY * np.log(some[some > EXACT] / EXACT))
        return np.concatenate([known(some[some <= EXACT]), far], axis=1) if some[0] <= EXACT else far

    return rates, place, len(cell)


def _interpolated(values: FloatArray, x: FloatArray) -> FloatArray:
    """Values at -1, 0, 1, ... along the second axis, interpolated at x >= 0 by the cubic through the four around it."""
    k = np.floor(x).astype(np.int64)
    v = x - k
    before, at, after, last = v + 1, v, v - 1, v - 2
    weights = (-at * after * last / 6, before * after * last / 2, -before * at * last / 2, before * at * after / 6)
    total = np.zeros((len(values), len(x), values.shape[2]))
    for place, weight in enumerate(weights):
        total += weight[:, None] * values[:, k + place]
    return total.clip(0.0, 1.0)  # chances, whose last digit may be beyond 1


def _integral(fit: Fit, rows: History, discount: float, horizon: float, leaving: FloatArray) -> FloatArray:
    """int_0^h q(t)^leaving exp(-d t) dt by Gauss-Legendre in log(1 + 10,000 t / end)."""
    end = min(horizon, 2 * SPENT / discount) if discount > 0 else horizon
    reach, value = math.log1p(CLUSTERING), np.zeros((len(rows.cell), rows.n_draws, len(leaving)))
    for node, weight in zip(*gauss_legendre(NODES), strict=True):
        time = end * math.expm1(reach * node) / CLUSTERING
        slope = reach * (time + end / CLUSTERING)
        there = evaluate(fit.model.formulas["p_active"], fit, rows, time)
        value += weight * slope * math.exp(-discount * time) * there[..., None] ** leaving
    return value


def rates_ahead(fit: Fit, rows: History, periods: int) -> FloatArray:
    """P(there after t periods | there after t - 1) for t = 1, ..., P of rows that are there now, shape (K, S, P).

    Rows of the same parameters share the rates at an age.
    """
    age = rows.columns[0]
    if periods > EXACT and len(rows.columns) == 1 and (age == np.floor(age)).all():
        return _rates_far_ahead(fit, rows, periods)
    ages = (age[:, None] + np.arange(1.0, periods + 1)).ravel()
    others = (np.repeat(column, periods) for column in (rows.cell.astype(np.float64), *rows.columns[1:]))
    (at, cell, *columns), place = distinct((ages, *others))
    history = History.of(rows.parameters, rows.draws, cell, at, *columns)
    rates = evaluate(fit.model.formulas["retention_rate"], fit, history)
    return np.ascontiguousarray(np.moveaxis(rates[place].reshape(len(age), periods, -1), 1, 2))


def _rates_far_ahead(fit: Fit, rows: History, periods: int) -> FloatArray:
    """The same at whole ages, of which the high ones are interpolated."""
    age = rows.columns[0]
    ages = np.arange(age.min() + 1, age.max() + periods + 1)
    rates_at, place, _ = _rates_by_age(fit, rows, ages)
    rates, first = rates_at(ages), (age - age.min()).astype(np.int64)
    ahead = [rates[cell, start : start + periods].T for cell, start in zip(place, first, strict=True)]
    return np.ascontiguousarray(np.stack(ahead))
