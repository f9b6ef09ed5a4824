"""RFM as a forecast: the mean of those who had the same three grades in the training windows.

References
----------
.. [1] Buehlmann, H. & Gisler, A. (2005). A Course in Credibility Theory and its Applications, chapter 4 (the
   Buehlmann-Straub model). doi:10.1007/3-540-29273-X
"""

import numpy as np

from clvmodels.baselines.graded import graded_forecasts
from clvmodels.baselines.method import Baseline, Training
from clvmodels.baselines.rfm import GRADES
from clvmodels.foundation.patterns import FloatArray, IntArray
from clvmodels.foundation.records import CustomerSummary, Forecast

CELLS = (GRADES, GRADES, GRADES)
ROUNDS = 1000
SETTLED = 1e-12


def cell_means(grades: IntArray, outcome: FloatArray) -> FloatArray:
    """Mean outcome of each cell of three grades, drawn to the margins where customers are few.

    The margins are one factor a grade, that multiply and give each grade its total. A cell's own mean counts by its
    credibility w / (w + phi / tau2) [1]_: w is the outcome that the margins expect of the cell's customers, phi the
    variance of one customer's outcome around the cell's mean, relative to its mean, and tau2 the variance of the
    cells' true means around the margins, relative to their square. Cells without customers have what the margins say.

    Parameters
    ----------
    grades : ndarray of int, shape (M, 3), 1 to 5
    outcome : ndarray, shape (M,), at or above 0

    Returns
    -------
    ndarray, shape (5, 5, 5), by grade of recency, frequency, monetary, the lowest first
    """
    cell = np.ravel_multi_index(tuple((grades - 1).T), CELLS)
    size = GRADES**3
    customers = np.bincount(cell, minlength=size).astype(np.float64)
    total = np.bincount(cell, weights=outcome, minlength=size)
    by_margins = margin_means(customers.reshape(CELLS), total.reshape(CELLS)).ravel()
    expected = customers * by_margins
    told = expected > 0
    ratio = np.divide(total, expected, out=np.ones(size), where=told)
    own = np.divide(total, customers, out=np.zeros(size), where=customers > 0)
    squares = np.bincount(cell, weights=(outcome - own[cell]) ** 2, minlength=size)
    within = np.divide(squares, by_margins, out=np.zeros(size), where=told).sum()
    phi = within / max(customers[told].sum() - told.sum(), 1.0)
    levels = 1 + sum(len(np.unique(column)) - 1 for column in grades.T)
    between = (expected * (ratio - 1) ** 2).sum() - max(told.sum() - levels, 0) * phi
    tau2 = max(between, 0.0) / max(expected.sum(), np.finfo(float).tiny)
    weight = np.divide(expected * tau2, expected * tau2 + phi, out=np.zeros(size), where=expected * tau2 > 0)
    return np.asarray(by_margins * (1 + weight * (ratio - 1))).reshape(CELLS)


def margin_means(customers: FloatArray, total: FloatArray) -> FloatArray:
    """Mean outcome of each cell as a product of one factor a grade, that gives each grade its total.

    By iterative proportional fitting. A grade that nobody had has the factor between its neighbours'.

    Parameters
    ----------
    customers, total : ndarray, shape (5, 5, 5), number of customers and sum of their outcomes
    """
    factors = [np.ones(GRADES) for _ in CELLS]
    for _ in range(ROUNDS):
        moved = 0.0
        for axis in range(len(CELLS)):
            others = tuple(other for other in range(len(CELLS)) if other != axis)
            expected = (customers * _product(factors)).sum(axis=others)
            step = np.divide(total.sum(axis=others), expected, out=np.ones(GRADES), where=expected > 0)
            factors[axis] = factors[axis] * step
            moved = max(moved, float(np.abs(step - 1).max()))
        if moved < SETTLED:
            break
    for axis, factor in enumerate(factors):
        had = customers.sum(axis=tuple(other for other in range(len(CELLS)) if other != axis)) > 0
        factors[axis] = np.interp(np.arange(GRADES), np.flatnonzero(had), factor[had])
    return _product(factors)


def _product(factors: list[FloatArray]) -> FloatArray:
    r, f, m = factors
    return np.asarray(r[:, None, None] * f[:, None] * m)


def forecasts(customers: CustomerSummary, horizon: float, training: Training) -> dict[str, Forecast]:
    """Purchases and spend of the customer's cell of grades.

    Returns
    -------
    dict with "purchases", and "spend" (currency) where the training windows know it

    Raises
    ------
    DataError
        If spend is not known.
    """
    return graded_forecasts("rfm_cells", _of_cell, customers=customers, horizon=horizon, training=training)


def _of_cell(learnt: IntArray, outcome: FloatArray, grades: IntArray) -> FloatArray:
    return np.asarray(cell_means(learnt, outcome)[tuple((grades - 1).T)])


RFM_CELLS = Baseline(
    name="rfm_cells",
    rule=forecasts,
    inputs=("frequency", "recency", "T", "monetary_value", "first_amount"),
    choices=2,  # number of grades, how small cells are drawn to the margins
    trained=True,
)
