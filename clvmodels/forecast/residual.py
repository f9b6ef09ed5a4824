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

MOST_PERIODS = 100_000
NODES = 64
CLUSTERING = 1e4  # customers leave at many scales of time: nodes are even in log(1 + 10,000 t / end)


def paid_at_renewals(fit: Fit, table: RetentionTable) -> bool:
    """Whether customers pay at renewals, and not all the time."""
    return table.clock == "renewals" or fit.model.clock == "opportunities"


def has_closed_form(fit: Fit, table: RetentionTable, horizon: float) -> bool:
    """Whether the model's own derl is what is asked for: without end, and at renewals if it counts renewals."""
    return math.isinf(horizon) and paid_at_renewals(fit, table) == (fit.model.clock == "opportunities")


def require_end(horizon: float, rate: FloatArray) -> None:
    """Refuse sums over periods that do not end, or not soon.

    Raises
    ------
    DataError
        If there is no horizon, and no discount rate that would end it.
    """
    lowest = float(rate.min())
    if last_period(horizon, lowest) > MOST_PERIODS:
        raise DataError(
            f"horizon = {horizon:g} with a discount rate of {lowest:g} a unit of time has more than {MOST_PERIODS} "
            "periods to add up: give a rate above 0 or a horizon."
        )


def last_period(horizon: float, discount: float) -> float:
    """The last one that counts: at the horizon, or where exp(-d t) is 1e-10."""
    return min(horizon, math.ceil(SPENT / discount)) if discount > 0 else horizon


def residual(
    fit: Fit, rows: History, discount: float, *, horizon: float, at_renewals: bool, leaving: float = 1.0
) -> FloatArray:
    """Discounted expected units of time at rows and draws, shape (K, S), by adding up periods or by quadrature.

    Parameters
    ----------
    leaving : what each period's chance to leave is multiplied by
    """
    if not at_renewals:
        return _integral(fit, rows, discount, horizon, leaving)
    times = np.arange(1, last_period(horizon, discount) + 1)
    return _sum_by_age(fit, rows, np.exp(-discount * times), leaving)


def _sum_by_age(fit: Fit, rows: History, weights: FloatArray, leaving: float) -> FloatArray:
    """sum_t weights_t q(t), age by age: rows of the same parameters share the retention rate at an age."""
    age, value = rows.columns[0], np.zeros((len(rows.cell), rows.n_draws))
    (cell, *others), place = distinct((rows.cell.astype(np.float64), *rows.columns[1:]))
    there = np.ones_like(value)
    for at in np.arange(age.min() + 1, age.max() + len(weights) + 1):
        now = np.flatnonzero((age < at) & (at <= age + len(weights)))
        shared = History.of(rows.parameters, rows.draws, cell, np.full(len(cell), at), *others)
        rate = evaluate(fit.model.formulas["retention_rate"], fit, shared)
        there[now] *= 1 - leaving * (1 - rate[place[now]])
        value[now] += weights[(at - 1 - age[now]).astype(np.int64), None] * there[now]
    return value


def _integral(fit: Fit, rows: History, discount: float, horizon: float, leaving: float) -> FloatArray:
    """int_0^h q(t)^leaving exp(-d t) dt by Gauss-Legendre in log(1 + 10,000 t / end)."""
    end = min(horizon, 2 * SPENT / discount) if discount > 0 else horizon
    reach, value = math.log1p(CLUSTERING), np.zeros((len(rows.cell), rows.n_draws))
    for node, weight in zip(*gauss_legendre(NODES), strict=True):
        time = end * math.expm1(reach * node) / CLUSTERING
        slope = reach * (time + end / CLUSTERING)
        there = evaluate(fit.model.formulas["p_active"], fit, rows, time)
        value += weight * slope * math.exp(-discount * time) * there**leaving
    return value
