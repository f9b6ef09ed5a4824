"""Compiled passes over draws: packed blocks, classes by threshold, sums by segment. They release the GIL.

Values of all customers are laid out draw by draw, shape (D, N).
"""

from typing import Any

import numba
from numba import types

F64, I64 = types.float64, types.int64
VECTOR, TABLE, CUBE = (types.Array(F64, n, "C") for n in (1, 2, 3))
GIVEN, OF_CUSTOMERS = types.Array(F64, 2, "C", readonly=True), types.Array(F64, 1, "C", readonly=True)
PLACES, NUMBERS = types.Array(I64, 1, "C"), types.Array(I64, 2, "C")
CODES = types.Array(types.int32, 2, "C")


@numba.njit(
    [
        types.void(PLACES, types.Array(types.uint8, 1, "C"), types.Array(held, 1, "C"), I64, PLACES, TABLE)
        for held in (F64, types.uint16)
    ],
    cache=True,
    nogil=True,
)
def unpack(begin: Any, row: Any, values: Any, first: Any, place: Any, by_draw: Any) -> None:
    """Write the draws from `first` on of a packed block into `by_draw`, shape (D, K), which has zeros where it has.

    Parameters
    ----------
    begin, row, values : as of `clvmodels.forecast.draws._Packed`
    place : ndarray, shape (rows of the block,), the column of each; -1 for one that is not asked for
    """
    for d in range(len(by_draw)):
        for at in range(begin[first + d], begin[first + d + 1]):
            column = place[row[at]]
            if column >= 0:
                by_draw[d, column] = values[at]


@numba.njit(types.void(GIVEN, VECTOR, GIVEN, VECTOR, I64, I64, NUMBERS), cache=True, nogil=True)
def count_cells(
    current: Any, current_cut: Any, future: Any, future_cut: Any, first: Any, last: Any, counts: Any
) -> None:
    """Add to `counts`, shape (N, 4), the draws in which customers first to last are in each cell of the value matrix.

    current, future : shape (D, N), or (1, N) where certain, with a cut each. The cells are high and high, low now and
    high later, high now and low later, low and low; high is what reaches the cut and is above 0.
    """
    for d in range(max(len(current), len(future))):
        i, j = d if len(current) > 1 else 0, d if len(future) > 1 else 0
        for n in range(first, last):
            now = current[i, n] >= current_cut[i] and current[i, n] > 0.0
            later = future[j, n] >= future_cut[j] and future[j, n] > 0.0
            counts[n, (0 if later else 2) + (0 if now else 1)] += 1


@numba.njit(types.void(GIVEN, TABLE, TABLE, I64, I64, TABLE), cache=True, nogil=True)
def count_reached(by_draw: Any, borders: Any, level_share: Any, first: Any, last: Any, reached: Any) -> None:
    """Add to `reached`, shape (K, N), the draws in which customers first to last reach each of K borders.

    Parameters
    ----------
    by_draw : shape (D, N)
    borders : shape (D, K)
    level_share : shape (D, K), the part of a draw that counts for a customer who is level with the border
    """
    for d in range(len(by_draw)):
        for tier in range(len(reached)):
            border, level = borders[d, tier], level_share[d, tier]
            for n in range(first, last):
                if by_draw[d, n] > border:
                    reached[tier, n] += 1.0
                elif by_draw[d, n] == border:
                    reached[tier, n] += level


@numba.njit(types.void(GIVEN, CODES, OF_CUSTOMERS, CUBE, VECTOR), cache=True, nogil=True)
def add_segments(by_draw: Any, codes: Any, slope: Any, sums: Any, sloped: Any) -> None:
    """Add each draw's values to the segments of the customers who have them, in the customers' order.

    Parameters
    ----------
    by_draw : shape (D, N)
    codes : shape (N, P), the place of each customer's segment in each of P segmentations; -1 for none
    slope : shape (N,)
    sums : shape (D, P, segments of the largest)
    sloped : shape (D,), sums of slope x value
    """
    for d in range(len(by_draw)):
        for n in range(by_draw.shape[1]):
            value = by_draw[d, n]
            if value != 0.0:
                sloped[d] += slope[n] * value
                for p in range(codes.shape[1]):
                    if codes[n, p] >= 0:
                        sums[d, p, codes[n, p]] += value
