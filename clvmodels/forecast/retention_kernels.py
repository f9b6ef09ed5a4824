"""Compiled loops over rows and draws in which customers leave one after the other.

In each period every one of those still there stays with the row's retention rate, so that the numbers of successive
periods are one path. A stream belongs to (seed, row, draw): see `foundation.streams`. As in
`forecast.kernels` signatures are written out, so that numba keeps the loops on disk, and they release the GIL.
"""

import math
from typing import Any

import numba
import numpy as np
from numba import types

from clvmodels.foundation.streams import OTHERS, STAYING, Stream, binomial, open_stream, uniform

F64, I64, U64 = types.float64, types.int64, types.uint64
VECTOR, TABLE, CUBE = (types.Array(F64, n, "C") for n in (1, 2, 3))
PLACES, COUNTS = types.Array(I64, 1, "C"), types.Array(types.int32, 3, "C")
KEYS = types.Array(U64, 1, "C")
STREAMS = types.Array(Stream, 1, "C")


@numba.njit(types.Tuple((I64, F64, F64))(Stream, I64, F64, F64, F64), cache=True, nogil=True)
def _after_a_period(stream: Any, there: Any, lone: Any, chance: Any, rate: Any) -> Any:
    """How many of those there stay, each with chance `rate`; and what is needed of the last one.

    The last one leaves when the product of the rates, `chance`, falls to one uniform number, `lone`, drawn when there
    is nobody else: a customer alone costs one number, not one a period.
    """
    if there > 1:
        return binomial(stream, there, rate), lone, chance
    if lone < 0.0:
        lone = uniform(stream)
    chance *= rate
    return np.int64(lone < chance), lone, chance


@numba.njit(types.void(STREAMS, CUBE, PLACES, PLACES, KEYS, U64, U64, COUNTS), cache=True, nogil=True)
def draw_retained(
    streams: Any, rates: Any, place: Any, customers: Any, keys: Any, seed: Any, first_draw: Any, retained: Any
) -> None:
    """Fill `retained`, shape (K, D, periods), which is all 0, with the customers still there after each period.

    rates has shape (R, D, periods), place, customers and keys (K,): row k has customers[k] of them, and of those there
    before period t each is there after it with chance rates[place[k], s, t] at draw first_draw + s.
    """
    stream = streams[0]
    for k in range(len(keys)):
        for s in range(rates.shape[1]):
            open_stream(stream, seed, keys[k], first_draw + np.uint64(s), np.uint64(STAYING))
            there, lone, chance = customers[k], -1.0, 1.0
            for t in range(rates.shape[2]):
                there, lone, chance = _after_a_period(stream, there, lone, chance, rates[place[k], s, t])
                if there == 0:
                    break
                retained[k, s, t] = there


@numba.njit(types.void(STREAMS, CUBE, PLACES, PLACES, KEYS, U64, U64, PLACES, VECTOR, CUBE), cache=True, nogil=True)
def draw_residual(
    streams: Any,
    rates: Any,
    place: Any,
    customers: Any,
    keys: Any,
    seed: Any,
    first_draw: Any,
    periods: Any,
    discounts: Any,
    residual: Any,
) -> None:
    """Fill `residual`, shape (2, K, D), which is all 0, with sums of exp(-d t) over the periods that customers stay.

    First of one customer of the row, then of all. They stay as in `draw_retained`; the one customer does with the
    share of those there who do. periods (how many count) and discounts have shape (K,).
    """
    stream, other = streams[0], streams[1]
    for k in range(len(keys)):
        for s in range(rates.shape[1]):
            draw = first_draw + np.uint64(s)
            open_stream(stream, seed, keys[k], draw, np.uint64(STAYING))
            open_stream(other, seed, keys[k], draw, np.uint64(OTHERS))
            there, lone, chance, stays = customers[k], -1.0, 1.0, True
            discount, worth = math.exp(-discounts[k]), 1.0
            for t in range(periods[k]):
                left, lone, chance = _after_a_period(stream, there, lone, chance, rates[place[k], s, t])
                if left == 0:
                    break
                if stays and left < there:
                    stays = uniform(other) * there < left
                there = left
                worth *= discount
                residual[0, k, s] += worth * stays
                residual[1, k, s] += worth * there


@numba.njit(types.void(STREAMS, KEYS, U64, U64, TABLE), cache=True, nogil=True)
def draw_chances(streams: Any, keys: Any, seed: Any, first_draw: Any, chances: Any) -> None:
    """Fill `chances`, shape (K, D), with a uniform number of each row and draw."""
    stream = streams[0]
    for k in range(len(keys)):
        for s in range(chances.shape[1]):
            open_stream(stream, seed, keys[k], first_draw + np.uint64(s), np.uint64(STAYING))
            chances[k, s] = uniform(stream)
