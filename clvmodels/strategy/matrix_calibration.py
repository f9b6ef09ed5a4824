"""Were probabilities of cells and classes right? Customers by stated probability, and how many landed there."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import ArrayLike, NDArray

from clvmodels.foundation.decision_results import ClassCalibrationRow
from clvmodels.foundation.errors import DataError
from clvmodels.foundation.patterns import FloatArray
from clvmodels.strategy.value_matrix import CELLS, ValueMatrix, value_matrix

TENTHS = np.arange(10) / 10
OUTSIDE = 0.05  # on either side of the bounds of a share


def matrix_calibration(matrix: ValueMatrix, current: ArrayLike, actual: ArrayLike) -> list[ClassCalibrationRow]:
    """The matrix of a past day, held against what each customer brought after it, by tenths of probability.

    The cell that a customer landed in has the cuts of the matrix's kinds, found again from what happened: the same
    quantile or share of the actual values, or the same amount.

    Parameters
    ----------
    matrix : made on the past day, of a future value over as long as `actual` is of
    current, actual : value of the matrix's customers on that day, and what they brought after it, shape (N,)

    Returns
    -------
    list of ClassCalibrationRow
        Of all cells together and of each, the tenths in which there are customers. A cell that a customer's current
        value rules out is not counted. Bounds hold the share in 90 % of samples if the probabilities are right and
        customers independent: errors that they share (parameters, the cut) widen them.

    Raises
    ------
    DataError
        If values are missing, or of other customers than the matrix.
    """
    cuts = {cut.dimension: (cut.kind, cut.setting) for cut in matrix.cuts}
    landed = value_matrix(current, actual, cuts=cuts).cell
    if len(landed) != len(matrix):
        raise DataError(f"the matrix has {len(matrix)} customers, the values are of {len(landed)}.")
    hit = landed[:, None] == np.array(CELLS)
    p = matrix.probabilities
    row_is_open = np.stack([p[:, [0, 2]].sum(axis=1), p[:, [1, 3]].sum(axis=1)], axis=1)[:, [0, 1, 0, 1]] > 0
    rows = _rows("all", p[row_is_open], hit[row_is_open])
    for place, cell in enumerate(CELLS):
        counted = row_is_open[:, place]
        rows += _rows(cell, p[counted, place], hit[counted, place])
    return rows


def class_calibration(stated: Mapping[str, FloatArray], landed: Mapping[str, FloatArray]) -> list[ClassCalibrationRow]:
    """Probabilities of classes, held against the classes in which customers landed, by tenths of probability.

    Parameters
    ----------
    stated : class -> P(class) of each customer, shape (N,)
    landed : the same classes -> 1 for a customer who landed there, 0 for others, shape (N,); a part of one where
        customers share a place

    Returns
    -------
    list of ClassCalibrationRow
        Of all classes together, where there is more than one, and of each; bounds are those of `matrix_calibration`.

    Raises
    ------
    DataError
        If the classes differ, or the customers do.
    """
    if list(stated) != list(landed):
        raise DataError(f"probabilities are of {list(stated)}, outcomes of {list(landed)}: expected the same classes.")
    if len({len(values) for values in (*stated.values(), *landed.values())}) > 1:
        raise DataError("probabilities and outcomes are of different numbers of customers.")
    each = [row for key in stated for row in _rows(key, stated[key], landed[key])]
    if len(stated) < 2:
        return each
    together = _rows("all", np.concatenate(list(stated.values())), np.concatenate(list(landed.values())))
    return together + each


def _rows(cell: str, stated: FloatArray, hit: NDArray[np.bool_] | FloatArray) -> list[ClassCalibrationRow]:
    from scipy import stats  # slow to import

    tenth = np.searchsorted(TENTHS, stated, side="right") - 1
    counts = np.bincount(tenth, minlength=len(TENTHS))
    mean = np.bincount(tenth, weights=stated, minlength=len(TENTHS)) / np.maximum(counts, 1)
    hits = np.bincount(tenth, weights=hit, minlength=len(TENTHS))
    low, high = (np.asarray(stats.binom.ppf(part, counts, mean)) for part in (OUTSIDE, 1 - OUTSIDE))
    return [
        ClassCalibrationRow(
            cell=cell,
            low=float(TENTHS[i]),
            high=float(TENTHS[i] + 0.1) if i < len(TENTHS) - 1 else 1.0,
            customers=int(counts[i]),
            stated=float(mean[i]),
            share=float(hits[i] / counts[i]),
            share_low=float(low[i] / counts[i]),
            share_high=float(high[i] / counts[i]),
        )
        for i in np.flatnonzero(counts)
    ]
