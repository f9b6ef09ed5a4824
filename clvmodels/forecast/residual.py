"""What is left of relations: discounted expected units of time, as they are, or with fewer customers leaving.

With q(t) = S(n + t) / S(n) of a customer still there at age n, and the next renewal a unit of time away,

    sum_{t=1}^h q(t) exp(-d t)            paid at renewals
    int_0^h q(t) exp(-d t) dt             paid all the time

If a share f fewer leave, each period's chance to leave 1 - q(t) / q(t - 1) is multiplied by 1 - f; paid all the time,
the rate of leaving is, so that q(t) becomes q(t)^(1 - f).
"""

import math

import numpy as np

from clvmodels.forecast.expectations import History, distinct, evaluate
from clvmodels.forecast.future import SPENT
from clvmodels.foundation.errors import DataError
from clvmodels.foundation.patterns import FloatArray
from clvmodels.foundation.quadrature import gauss_legendre
from clvmodels.foundation.retention import RetentionTable
from clvmodels.inference.result import Fit

MOST_PERIODS = 1_000_000
NODES = 64
CELLS = 2**18  # retention rates worked out at a time: 2 MB
CLUSTERING = 1e4  # customers leave at many scales of time: nodes are even in log(1 + 10,000 t / end)


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
    times = np.arange(1, last_period(horizon, discount) + 1)
    return _sum_by_age(fit, rows, np.exp(-discount * times), np.array(leaving))


def _sum_by_age(fit: Fit, rows: History, weights: FloatArray, leaving: FloatArray) -> FloatArray:
    """sum_t weights_t q(t), age by age: rows of the same parameters share the retention rate at an age."""
    age, value = rows.columns[0], np.zeros((len(rows.cell), rows.n_draws, len(leaving)))
    (cell, *others), place = distinct((rows.cell.astype(np.float64), *rows.columns[1:]))
    there = np.ones_like(value)
    ages = np.arange(age.min() + 1, age.max() + len(weights) + 1)
    step = max(1, CELLS // (len(cell) * rows.n_draws))
    for some in np.split(ages, range(step, len(ages), step)):
        columns = (np.tile(some, len(cell)), *(np.repeat(column, len(some)) for column in others))
        shared = History.of(rows.parameters, rows.draws, np.repeat(cell, len(some)), *columns)
        rates = evaluate(fit.model.formulas["retention_rate"], fit, shared).reshape(len(cell), len(some), -1)
        for i, at in enumerate(some):
            now = np.flatnonzero((age < at) & (at <= age + len(weights)))
            there[now] *= 1 - leaving * (1 - rates[place[now], i, :, None])
            value[now] += weights[(at - 1 - age[now]).astype(np.int64), None, None] * there[now]
    return value


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
    size = len(rows.cell)
    age = (rows.columns[0][:, None] + np.arange(1.0, periods + 1)).ravel()
    others = (np.repeat(column, periods) for column in (rows.cell.astype(np.float64), *rows.columns[1:]))
    (at, cell, *columns), place = distinct((age, *others))
    rates = evaluate(
        fit.model.formulas["retention_rate"], fit, History.of(rows.parameters, rows.draws, cell, at, *columns)
    )
    return np.ascontiguousarray(np.moveaxis(rates[place].reshape(size, periods, -1), 1, 2))
