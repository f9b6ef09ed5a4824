"""Graded dimensions: any numeric columns of the customers, each with a weight, to grades such as A, B and C."""

from collections.abc import Iterator, Mapping

import numpy as np
from numpy.typing import ArrayLike, NDArray

from clvmodels.foundation.errors import DataError
from clvmodels.foundation.patterns import FloatArray, IntArray
from clvmodels.foundation.records import Forecast, IdArray
from clvmodels.strategy.classes import CustomerClasses, labelled, require_losses, steps_apart

GRADE_CUTS = {"A": 0.8, "B": 0.5, "C": 0.0}


def grades(
    columns: Mapping[str, Forecast | ArrayLike],
    *,
    weights: Mapping[str, float],
    customer_id: IdArray,
    cuts: Mapping[str, float] = GRADE_CUTS,
    outright: Mapping[str, float] | None = None,
    undecided_below: float = 0.6,
    loss: ArrayLike | None = None,
) -> CustomerClasses:
    """P(grade) of each customer from a weighted sum of columns, a label, and its doubt.

    A column's quantile score is the share of customers who have less, those level with the customer counted half;
    with a weight below 0 the share who have more. The customer's score is

        sum_j |w_j| q_j / sum_j |w_j|,  from 0 to 1,

    and the grade the first whose cut it reaches. A forecast is scored in each of its draws, so that grades have
    probabilities; where all columns are certain, so are the grades.

    Parameters
    ----------
    columns : name -> a Forecast, whose draws are made again, or a column, shape (N,), which is certain
    weights : name -> weight, not 0; every column that has one is used
    customer_id : ndarray of text, shape (N,)
    cuts : grade -> the least score of it, the best grade first, the last at 0
    outright : name -> a limit: a value above it makes the best grade outright, whatever the score; the column need not
        have a weight
    undecided_below : a label with a lower probability is marked undecided
    loss : shape (K, K), truth by label; by default the number of grades between them

    Raises
    ------
    DataError
        If a column is missing or has a gap, customers or draws differ, or weights, cuts or losses cannot be used.
    """
    outright = {} if outright is None else outright
    _require_weights(weights, cuts)
    used = {name: _require_column(columns, name, customer_id) for name in dict.fromkeys([*weights, *outright])}
    losses = require_losses(loss, tuple(cuts), steps_apart(len(cuts)))
    whole = sum(abs(weight) for weight in weights.values())
    counts = np.zeros((len(cuts), len(customer_id)), dtype=np.int64)
    for values in _joint_draws(used):
        drawn = np.broadcast_arrays(*(_quantile_score(values[name]) * weight for name, weight in weights.items()))
        below_0 = sum(weight for weight in weights.values() if weight < 0)  # 1 - q of a weight below 0
        score = (sum(drawn) - below_0) / whole
        counts += _count_grades(np.asarray(score), list(cuts.values()), _outright(values, outright))
    by_grade = dict(zip(cuts, counts / counts[:, 0].sum(), strict=True))
    return labelled(by_grade, customer_id, scheme="grade", undecided_below=undecided_below, loss=losses)


def _quantile_score(values: FloatArray) -> FloatArray:
    """Share of customers with less, and half of those with as much, in each draw, shape (N, D)."""
    score = np.empty_like(values)
    for draw, column in enumerate(values.T):
        ordered = np.sort(column)
        score[:, draw] = np.searchsorted(ordered, column, "left") + np.searchsorted(ordered, column, "right")
    return score / (2 * len(values))


def _outright(values: Mapping[str, FloatArray], limits: Mapping[str, float]) -> NDArray[np.bool_]:
    """Who is above some limit, shape (N, D) or (N, 1)."""
    above = np.zeros((len(next(iter(values.values()))), 1), dtype=np.bool_)
    for name, limit in limits.items():
        above = above | (values[name] > limit)
    return above


def _count_grades(score: FloatArray, cuts: list[float], outright: NDArray[np.bool_]) -> IntArray:
    """Draws in which each customer has each grade, shape (K, N); score and outright (N, D) or (N, 1)."""
    best = (score >= cuts[0]) | outright
    n_draws = best.shape[1]
    reached = [best.sum(axis=1)]
    reached += [(best | (score >= cut)).sum(axis=1) for cut in cuts[1:-1]]
    return np.diff(np.stack([*reached, np.full(len(best), n_draws)]), axis=0, prepend=0)


def _joint_draws(columns: Mapping[str, Forecast | FloatArray]) -> Iterator[dict[str, FloatArray]]:
    """Values of all columns at the same draws, (N, D) of a forecast and (N, 1) of what is certain.

    Raises
    ------
    DataError
        If forecasts have different numbers of draws.
    """
    drawn = {name: value for name, value in columns.items() if isinstance(value, Forecast) and value.replay is not None}
    certain = {
        name: np.asarray(value.mean if isinstance(value, Forecast) else value)[:, None]
        for name, value in columns.items()
        if name not in drawn
    }
    if not drawn:
        yield certain
        return
    if len({len(value.total_draws) for value in drawn.values()}) > 1:
        raise DataError(f"{', '.join(drawn)} have different numbers of draws: use the same draws=.")
    for blocks in zip(*(value.replay("draws") for value in drawn.values() if value.replay is not None), strict=True):
        yield certain | {name: block.values for name, block in zip(drawn, blocks, strict=True)}


def _require_column(
    columns: Mapping[str, Forecast | ArrayLike], name: str, customer_id: IdArray
) -> Forecast | FloatArray:
    if name not in columns:
        raise DataError(f'grades have no column "{name}": there are {", ".join(columns)}.')
    value = columns[name]
    if isinstance(value, Forecast):
        if not np.array_equal(value.customer_id, customer_id):
            raise DataError(f'the forecast "{name}" lists other customers, or the same in another order.')
        return value
    try:
        column = np.asarray(value, dtype=np.float64)
    except (TypeError, ValueError):
        raise DataError(f'column "{name}" holds something that is not a number: it cannot be graded.') from None
    if column.shape != customer_id.shape:
        raise DataError(f'column "{name}" has shape {column.shape}: expected a value for each of {len(customer_id)}.')
    missing = ~np.isfinite(column)
    if missing.any():
        first = customer_id[int(np.argmax(missing))]
        raise DataError(
            f'column "{name}" is missing or not finite for {int(missing.sum())} of {len(column)} customers (first: '
            f"customer_id {first}). Fill it in, or grade by another column."
        )
    return column


def _require_weights(weights: Mapping[str, float], cuts: Mapping[str, float]) -> None:
    if not weights or not all(np.isfinite(weight) and weight != 0 for weight in weights.values()):
        raise DataError(f"weights of the grades are {dict(weights)}: expected a number other than 0 for each column.")
    levels = list(cuts.values())
    if len(levels) < 2 or levels[-1] != 0 or levels[0] > 1 or levels != sorted(set(levels), reverse=True):
        raise DataError(
            f"cuts of the grades are {dict(cuts)}: expected the least score (0 to 1) of each grade, the best first, "
            "each below the one before, the last one 0."
        )
