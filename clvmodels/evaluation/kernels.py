"""Compiled sums over customers in bootstrap replicates, and over the draws of a customer.

Counts of customers are bytes: all replicates of 20,000 customers are 8 MB, and one replicate stays in the fastest
memory while its customers are read in the order of a ranking. Each sum has one order of its own, so that it is the same
bits however many replicates, columns or threads there are. numba keeps the loops on disk and releases the GIL.
"""

from typing import Any

import numba
import numpy as np
from numba import types

F64, I64, U64 = types.float64, types.int64, types.uint64
COUNTS = types.Array(types.uint8, 2, "C")
TABLE = types.Array(F64, 2, "C")
READ_ROW, READ_TABLE = (types.Array(F64, n, "C", readonly=True) for n in (1, 2))
READ_COUNTS = types.Array(types.uint8, 2, "C", readonly=True)
PLACES = types.Array(I64, 1, "C", readonly=True)
KEYS = types.Array(U64, 1, "C", readonly=True)

TILE = 2048  # customers that are read for all replicates and columns before the next
TENTHS = 10
GOLDEN, FIRST, SECOND = np.uint64(0x9E3779B97F4A7C15), np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)
LOW_BITS = np.uint64(11)  # of 64: the other 53 are a number from 0 to 1


@numba.njit(U64(U64), cache=True, nogil=True)
def mixed(word: Any) -> Any:
    """A word of 64 bits made another that looks random: the finaliser of SplitMix64."""
    word += GOLDEN
    word = (word ^ (word >> np.uint64(30))) * FIRST
    word = (word ^ (word >> np.uint64(27))) * SECOND
    return word ^ (word >> np.uint64(31))


@numba.njit(types.void(KEYS, U64, U64, READ_ROW, COUNTS), cache=True, nogil=True)
def count_customers(keys: Any, seed: Any, first: Any, chances: Any, counts: Any) -> None:
    """Fill `counts`, shape (R, N), by a hash of (seed, customer, replicate): replicate r has the number first + r.

    `chances` are P(count <= k), k = 0, 1, ...
    """
    of_seed = mixed(seed)
    for r in range(counts.shape[0]):
        of_replicate = mixed(first + np.uint64(r) + of_seed)
        for i in range(len(keys)):
            uniform = np.float64(mixed(keys[i] ^ of_replicate) >> LOW_BITS) * 2.0**-53
            count = 0
            while count < len(chances) and chances[count] <= uniform:
                count += 1
            counts[r, i] = count


@numba.njit(types.void(READ_COUNTS, READ_TABLE, TABLE), cache=True, nogil=True, fastmath={"reassoc", "contract"})
def weigh(counts: Any, columns: Any, sums: Any) -> None:
    """Fill `sums`, shape (K, R), with the sum over customers of columns, shape (K, N), times counts, shape (R, N)."""
    n = columns.shape[1]
    own = np.empty(TILE)
    sums[:] = 0.0
    for first in range(0, n, TILE):
        size = min(TILE, n - first)
        for r in range(counts.shape[0]):
            for i in range(size):
                own[i] = counts[r, first + i]
            for k in range(columns.shape[0]):
                total = 0.0
                for i in range(size):
                    total += own[i] * columns[k, first + i]
                sums[k, r] += total


@numba.njit(types.void(READ_COUNTS, PLACES, TABLE), cache=True, nogil=True)
def count_places(counts: Any, place: Any, held: Any) -> None:
    """Fill `held`, shape (R, G), with the customers counted at each place; `place` has shape (N,)."""
    held[:] = 0.0
    for r in range(counts.shape[0]):
        for i in range(len(place)):
            held[r, place[i]] += counts[r, i]


@numba.njit(
    types.void(READ_COUNTS, PLACES, PLACES, READ_ROW, READ_ROW, PLACES, READ_TABLE, TABLE, TABLE, TABLE),
    cache=True,
    nogil=True,
)
def go_down(
    counts: Any,
    order: Any,
    last: Any,
    outcome: Any,
    forecast: Any,
    rank_of: Any,
    ranks: Any,
    outcome_of_tenths: Any,
    forecast_of_tenths: Any,
    sums: Any,
) -> None:
    """Go down a ranking once in each replicate, place by place, as `RankedSums` has it.

    `order` and `last` are those of `Ranking`; outcome, forecast and rank_of, shape (N,), are of the customers in that
    order; ranks, shape (R, P), are the outcome's at the places that rank_of names. Fills two tables of shape (10, R)
    and `sums`, shape (3, R): the Gini coefficient times customers times outcome, product of ranks, variance of ranks.
    """
    for r in range(counts.shape[0]):
        total = 0.0
        for i in range(len(order)):
            total += counts[r, i]
        tenth, begin = 0, 0
        customers, bought, expected = 0.0, 0.0, 0.0
        crossed, product, cubes = 0.0, 0.0, 0.0
        for g in range(len(last)):
            here, bought_here, expected_here, rank_here = 0.0, 0.0, 0.0, 0.0
            for i in range(begin, last[g] + 1):
                count = np.float64(counts[r, order[i]])
                here += count
                bought_here += count * outcome[i]
                expected_here += count * forecast[i]
                rank_here += count * ranks[r, rank_of[i]]
            begin = last[g] + 1
            if here == 0.0:
                continue
            while tenth < TENTHS and customers + here >= (tenth + 1) / TENTHS * total:
                part = ((tenth + 1) / TENTHS * total - customers) / here
                outcome_of_tenths[tenth, r] = bought + part * bought_here
                forecast_of_tenths[tenth, r] = expected + part * expected_here
                tenth += 1
            crossed += bought * here - bought_here * customers
            product += (customers + 0.5 * here - 0.5 * total) * rank_here
            cubes += here * here * here
            customers += here
            bought += bought_here
            expected += expected_here
        for nothing in range(tenth, TENTHS):  # a replicate without customers
            outcome_of_tenths[nothing, r], forecast_of_tenths[nothing, r] = np.nan, np.nan
        sums[0, r], sums[1, r], sums[2, r] = crossed, product, (total * total * total - cubes) / 12.0


@numba.njit(types.void(READ_TABLE, READ_ROW, TABLE), cache=True, nogil=True, fastmath={"reassoc", "contract"})
def hold_draws(ordered: Any, outcome: Any, sums: Any) -> None:
    """Fill `sums`, shape (5, N), as `HeldDraws` has them, from draws, shape (N, S), in increasing order."""
    S = ordered.shape[1]
    for n in range(ordered.shape[0]):
        y = outcome[n]
        distance, spread, below, equal, above = 0.0, 0.0, 0.0, 0.0, 0.0
        for s in range(S):
            x = ordered[n, s]
            distance += abs(x - y)
            spread += (2.0 * s + 1.0 - S) * x
            below += np.float64(x < y)
            equal += np.float64(x == y)
            above += np.float64(x > 0.0)
        sums[0, n], sums[1, n], sums[2, n], sums[3, n], sums[4, n] = distance / S, spread, below, equal, above


@numba.njit(types.void(READ_TABLE, TABLE), cache=True, nogil=True)
def count_values(values: Any, counts: Any) -> None:
    """Add to `counts`, shape (C, S), the rows of `values`, shape (N, S), at 0, 1, ..., and at anything else last."""
    most = counts.shape[0] - 1
    for n in range(values.shape[0]):
        for s in range(values.shape[1]):
            value = values[n, s]
            counts[int(value) if 0.0 <= value < most and value == int(value) else most, s] += 1.0
