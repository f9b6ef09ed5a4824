"""Customers who moved between two dates: from cell to cell of the value matrix, new, lost and won back.

A customer's state on a date is lost (gone, by P(alive)), or a cell of that date's matrix. States have an order, lost
below the cells, and cells in the order of `CELLS`: VIP above develop above maintain above release (future value
before current value). By label a customer is lost who is more likely gone than active, and else in the cell of the
matrix's label.

In expectation: what is believed of a customer on either date is a distribution over the states, and customers move as
little as the two allow. In each draw one uniform number of the customer says where in both distributions the customer
stands, so that nobody moves of whom the same is believed as before, and somebody moves for each part of a customer
that must have. P(alive) is that of the draw, on both dates, so that customers are lost and kept together as the
parameters have it.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from clvmodels.forecast.draws import by_draw
from clvmodels.foundation.decision_results import Movement, MovementKind
from clvmodels.foundation.errors import DataError
from clvmodels.foundation.estimates import estimate
from clvmodels.foundation.patterns import FloatArray, IntArray
from clvmodels.foundation.records import Forecast
from clvmodels.strategy.budgets import require_same_customers
from clvmodels.strategy.lifecycle import ALIVE_LIMIT
from clvmodels.strategy.value_matrix import CELLS, ValueMatrix

STATES = ("lost", *CELLS[::-1])  # from the worst to the best
LOST, NONE = 0, len(STATES)  # none: not yet a customer
CODES = (len(STATES) + 1) * len(STATES)
KINDS = ("new", "upgraded", "downgraded", "lost", "won_back", "same")


@dataclass(frozen=True)
class DatedMatrix:
    """What is believed of the customers on a date.

    Attributes
    ----------
    alive : of "p_alive", of the matrix's customers, with draws
    current_value : ndarray, shape (N,), at a yearly rate
    """

    matrix: ValueMatrix
    alive: Forecast
    current_value: FloatArray


def movements(
    before: DatedMatrix, after: DatedMatrix, *, rng: np.random.Generator
) -> tuple[list[Movement], list[MovementKind]]:
    """From where to where customers moved, and the same in a word each.

    Parameters
    ----------
    before, after : the two dates; customers of the first are all among those of the second
    rng : draws one number a customer and draw

    Returns
    -------
    movements : those that some customer made by label or in some draw; in each draw they add up to all customers
    kinds : "new" (not there before), "lost" (into that state), "won_back" (out of it), "upgraded" and "downgraded"
        (among cells), "same" (a cell to itself, and who was lost and is)

    Raises
    ------
    DataError
        If a customer of the first date is missing on the second, or P(alive) has no draws, or not as many
        on both.
    """
    row = _rows_before(before, after)
    drawn = np.stack([_counted(codes) for codes in _codes_by_draw(before, after, row, rng)], axis=1)  # (CODES, S)
    code = _codes(_label(before), _label(after), row)
    was = np.where(row < 0, 0.0, before.current_value[row])
    by_label = [_counted(code, weights) for weights in (None, was, after.current_value)]
    moved = [
        Movement(*_ends(i), int(by_label[0][i]), estimate(drawn[i]), float(by_label[1][i]), float(by_label[2][i]))
        for i in range(CODES)
        if by_label[0][i] or drawn[i].any()
    ]
    kind = np.array([_kind(*divmod(i, len(STATES))) for i in range(CODES)])
    kinds = []
    for key in KINDS:
        own = kind == key
        customers, value_before, value_after = (float(column[own].sum()) for column in by_label)
        kinds.append(MovementKind(key, int(customers), estimate(drawn[own].sum(axis=0)), value_before, value_after))
    return moved, kinds


def _rows_before(before: DatedMatrix, after: DatedMatrix) -> IntArray:
    """The place of each customer of the second date on the first, shape (N,); -1 of those who were not there."""
    for dated in (before, after):
        require_same_customers(dated.matrix, dated.alive)
    if len(before.alive.total_draws) != len(after.alive.total_draws):
        raise DataError("P(alive) has different numbers of draws on the two dates: use the same draws=.")
    places = {customer: place for place, customer in enumerate(before.matrix.customer_id.tolist())}
    row = np.array([places.get(customer, -1) for customer in after.matrix.customer_id.tolist()], dtype=np.int64)
    if (row >= 0).sum() < len(places):
        left = set(places) - set(after.matrix.customer_id.tolist())
        raise DataError(
            f"{len(left)} customers of the first date are missing on the second (first: {min(left)}): a customer who "
            "has left the base is lost, not missing."
        )
    return row


def _codes(first: IntArray, second: IntArray, row: IntArray) -> IntArray:
    """Where from and where to in one number, shape (N,): `divmod(code, len(STATES))` are the two states."""
    return np.where(row < 0, NONE, first[row]) * len(STATES) + second


def _counted(codes: IntArray, weights: FloatArray | None = None) -> FloatArray:
    """Customers, or the sum of something of theirs, by code, shape (CODES,)."""
    return np.bincount(codes, weights=weights, minlength=CODES).astype(np.float64)


def _ends(code: int) -> tuple[str, str]:
    first, second = divmod(code, len(STATES))
    return ("none" if first == NONE else STATES[first]), STATES[second]


def _kind(first: int, second: int) -> str:
    """A movement in a word."""
    if first == NONE:
        return "new"
    if first == second:
        return "same"
    if second == LOST:
        return "lost"
    if first == LOST:
        return "won_back"
    return "upgraded" if second > first else "downgraded"


def _label(dated: DatedMatrix) -> IntArray:
    """Place of each customer's state by label, shape (N,)."""
    place = {key: state for state, key in enumerate(STATES)}
    cell = np.array([place[key] for key in dated.matrix.cell.tolist()], dtype=np.int64)
    return np.where(dated.alive.mean < ALIVE_LIMIT, LOST, cell)


def _codes_by_draw(
    before: DatedMatrix, after: DatedMatrix, row: IntArray, rng: np.random.Generator
) -> Iterator[IntArray]:
    """Where each customer goes from and to, draw by draw."""
    up_to = [np.cumsum(dated.matrix.probabilities.T[:0:-1], axis=0) for dated in (before, after)]
    for alive_before, alive_after in zip(_each_draw(before.alive), _each_draw(after.alive), strict=True):
        u = rng.random(len(row))
        own = np.empty(len(alive_before))
        own[row[row >= 0]] = u[row >= 0]
        yield _codes(_states(own, 1 - alive_before, up_to[0]), _states(u, 1 - alive_after, up_to[1]), row)


def _states(u: FloatArray, gone: FloatArray, up_to: FloatArray) -> IntArray:
    """The state in which each customer stands at u, shape (N,).

    Who is gone has no future value, so that the part of the gone is one of the cells of low future value.

    Parameters
    ----------
    up_to : ndarray, shape (3, N), probability of the worst cell, of the two worst, and of the three worst
    """
    return np.where(u < gone, LOST, 1 + (u >= up_to).sum(axis=0, dtype=np.int8))


def _each_draw(forecast: Forecast) -> Iterator[FloatArray]:
    """All customers in one draw after the other, shape (N,)."""
    if forecast.replay is None:
        raise DataError(f"the forecast of {forecast.quantity} by {forecast.method} has no draws.")
    for draws in by_draw(forecast):
        yield from draws
