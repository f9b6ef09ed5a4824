"""Ceilings on spend, and what each cell of the value matrix is worth.

To keep a customer, no more than a stated share of the customer's expected future value; to win one, no
more than a share of a new customer's expected CLV. A cell's budget is its ceiling times its customers.
"""

from collections.abc import Mapping

import numpy as np

from clvmodels.forecast.draws import sums_by_segment
from clvmodels.foundation.errors import DataError
from clvmodels.foundation.estimates import estimate
from clvmodels.foundation.patterns import FloatArray
from clvmodels.foundation.records import Forecast
from clvmodels.foundation.results import Cell, Cut
from clvmodels.strategy.value_matrix import CELLS, CutDraws, ValueMatrix

ACQUISITION_SHARE = 0.40


def acquisition_ceiling(new_customer_clv: float, *, share: float = ACQUISITION_SHARE) -> float:
    """Most to spend on winning a customer: a share of a new customer's expected CLV."""
    return _require_share(share, "share") * max(new_customer_clv, 0.0)


def retention_ceilings(matrix: ValueMatrix, clv: Forecast, *, shares: Mapping[str, float]) -> FloatArray:
    """Most to spend on keeping each customer, shape (N,): the cell's share of expected future value.

    Parameters
    ----------
    shares : cell to share, for each of `CELLS`

    Raises
    ------
    DataError
        If a cell has no share, a share is not between 0 and 1, or the customers differ.
    """
    require_same_customers(matrix, clv)
    of_cell = _require_shares(shares)
    return np.array([of_cell[key] for key in matrix.cell]) * np.maximum(clv.mean, 0.0)


def cell_totals(matrix: ValueMatrix, value: Forecast) -> dict[str, FloatArray]:
    """Sum over the customers labelled with each cell, draw by draw: cell to ndarray, shape (S,).

    A forecast without draws gives one sum of means.
    """
    require_same_customers(matrix, value)
    members = [matrix.cell == key for key in CELLS]
    if value.replay is None:
        return {key: np.array([value.mean[mask].sum()]) for key, mask in zip(CELLS, members, strict=True)}
    (totals,), _ = sums_by_segment(value, [(np.stack(members).argmax(axis=0), len(CELLS))])
    return dict(zip(CELLS, totals, strict=True))


def cells(
    matrix: ValueMatrix,
    *,
    clv: Forecast,
    current_value: FloatArray,
    p_alive: FloatArray,
    purchases: FloatArray,
    shares: Mapping[str, float],
    totals: Mapping[str, FloatArray] | None = None,
) -> list[Cell]:
    """The cells as a report shows them, in the order of `CELLS`.

    Parameters
    ----------
    clv : predictive future value
    current_value, p_alive, purchases : ndarrays, shape (N,): value at a yearly rate, and expectations
        of being alive and of purchases; a cell shows the sum of the first, the means of the others
    shares : cell to the share of expected future value that may be spent on keeping a customer
    totals : `cell_totals(matrix, clv)`, where it has been worked out before

    Raises
    ------
    DataError
        If a cell has no share, a share is not between 0 and 1, or the customers differ.
    """
    ceilings = retention_ceilings(matrix, clv, shares=shares)
    totals = cell_totals(matrix, clv) if totals is None else totals
    everything = float(clv.mean.sum())
    return [
        _cell(
            key,
            matrix,
            totals[key],
            everything,
            (current_value, p_alive, purchases, ceilings),
            shares[key],
        )
        for key in CELLS
    ]


def _cell(
    key: str,
    matrix: ValueMatrix,
    totals: FloatArray,
    everything: float,
    columns: tuple[FloatArray, ...],
    share: float,
) -> Cell:
    """One cell; `columns` are current value, P(alive), purchases and ceiling of every customer."""
    members = matrix.cell == key
    held = float(totals.mean())
    probability = matrix.probabilities[:, CELLS.index(key)]
    current_value, p_alive, purchases, ceilings = (column[members] for column in columns)
    return Cell(
        key=key,
        name=matrix.names[key],
        customers=int(members.sum()),
        undecided=int(matrix.undecided[members].sum()),
        expected_customers=float(probability.sum()),
        mean_probability=_mean(probability[members]),
        current_value=float(current_value.sum()),
        clv=estimate(totals),
        clv_share=held / everything if everything > 0 else 0.0,
        p_alive=_mean(p_alive),
        purchases=_mean(purchases),
        ceiling_share=share,
        ceiling_per_customer=_mean(ceilings),
        budget=float(ceilings.sum()),
    )


def cut_estimate(cut: CutDraws) -> Cut:
    """A cut as a report shows it, in currency."""
    return Cut(cut.dimension, cut.kind, cut.setting, estimate(cut.values))


def require_same_customers(matrix: ValueMatrix, value: Forecast) -> None:
    """Refuse a forecast of other customers.

    Raises
    ------
    DataError
        If the ids differ, or their order.
    """
    if not np.array_equal(matrix.customer_id, value.customer_id):
        raise DataError(f"the matrix and the forecast of {value.quantity} list different customers, or another order.")


def _mean(values: FloatArray) -> float:
    """Mean, 0 for an empty cell."""
    return float(values.mean()) if len(values) else 0.0


def _require_shares(shares: Mapping[str, float]) -> dict[str, float]:
    missing = [key for key in CELLS if key not in shares]
    if missing:
        raise DataError(f"no share of future value is stated for the cell {missing[0]}.")
    return {key: _require_share(shares[key], key) for key in CELLS}


def _require_share(share: float, name: str) -> float:
    if not 0 <= share <= 1:
        raise DataError(f"{name} = {share}: expected a share between 0 and 1.")
    return share
