"""Compiled loops over customers and draws; each model's own steps come in as first-class functions.

numba keeps these on disk because every signature is written out; a function handed over as a
dispatcher, or held in a closure, would be compiled again in each process. They release the GIL: threads
take blocks of customers.

`streams` and `states` are memory for two streams and two states, from the caller: a record taken out of an array made
in compiled code outlives the array, and its memory is then another's. Rows are taken out of arrays that are `borrowed`.
"""

import math
from typing import Any

import numba
import numpy as np
from numba import types
from numpy.typing import NDArray

from clvmodels.foundation.streams import PURCHASES, SPEND, Stream, open_stream, stream_memory
from clvmodels.models.kernels.changes import COIN, COINS, DROPOUT_FACTOR, LEAVING, RATE_FACTOR, leaves_by_urn
from clvmodels.models.kernels.interface import NEXT_AMOUNT, NEXT_PURCHASE, ROW, START, STATE
from clvmodels.models.kernels.memory import borrowed

F64, U64 = types.float64, types.uint64
VECTOR, TABLE, CUBE = (types.Array(F64, n, "C") for n in (1, 2, 3))
CELLS = types.Array(types.int64, 1, "C")
COUNTS = types.Array(types.int64, 2, "C")
KEYS = types.Array(U64, 1, "C")
STREAMS = types.Array(Stream, 1, "C")
START_STEP = types.FunctionType(START)
PURCHASE_STEP, AMOUNT_STEP = types.FunctionType(NEXT_PURCHASE), types.FunctionType(NEXT_AMOUNT)
MEMORY = (STREAMS, TABLE)
CUSTOMERS = (CUBE, CELLS, TABLE, KEYS, U64)  # parameters, cells, history, keys, seed
FUTURES = (
    *MEMORY,
    START_STEP,
    PURCHASE_STEP,
    START_STEP,
    AMOUNT_STEP,
    CUBE,
    CELLS,
    CUBE,
    CELLS,
    TABLE,
    TABLE,
    KEYS,
    U64,
)


def memory() -> tuple[NDArray[np.void], NDArray[np.float64]]:
    """Two streams, and the states of a customer who goes on as before: of purchases and of spend. One for a thread."""
    states = np.zeros((2, STATE))
    states[0, [RATE_FACTOR, DROPOUT_FACTOR]] = 1.0
    return stream_memory(), states


@numba.njit(
    types.void(*MEMORY, START_STEP, PURCHASE_STEP, *CUSTOMERS, U64, F64, F64, TABLE),
    cache=True,
    nogil=True,
)
def draw_purchases(
    streams: Any,
    states: Any,
    start: Any,
    next_purchase: Any,
    theta: Any,
    cells: Any,
    history: Any,
    keys: Any,
    seed: Any,
    first_draw: Any,
    begin: Any,
    horizon: Any,
    purchases: Any,
) -> None:
    """Fill `purchases`, shape (K, D), with the number of purchases in (T + begin, T + horizon].

    theta has shape (C, D, P), cells (K,), history (K, 3), keys (K,): customer k has the parameters
    theta[cells[k], s] at draw first_draw + s.
    """
    theta, history, states = borrowed(theta), borrowed(history), borrowed(states)
    stream, state = streams[0], states[0]
    for k in range(len(keys)):
        for s in range(theta.shape[1]):
            own = theta[cells[k], s]
            open_stream(stream, seed, keys[k], first_draw + np.uint64(s), np.uint64(PURCHASES))
            start(stream, own, history[k], state)
            count = 0
            time = next_purchase(stream, own, state, horizon)
            while time <= horizon:
                if time > begin:
                    count += 1
                time = next_purchase(stream, own, state, horizon)
            purchases[k, s] = count


@numba.njit(
    types.void(*MEMORY, START_STEP, AMOUNT_STEP, *CUSTOMERS, U64, TABLE),
    cache=True,
    nogil=True,
)
def draw_amounts(
    streams: Any,
    states: Any,
    start_spend: Any,
    next_amount: Any,
    theta: Any,
    cells: Any,
    history: Any,
    keys: Any,
    seed: Any,
    first_draw: Any,
    amounts: Any,
) -> None:
    """Fill `amounts`, shape (K, D), with the value of the next purchase: that of the first one in `draw_futures`."""
    theta, history, states = borrowed(theta), borrowed(history), borrowed(states)
    stream, state = streams[1], states[1]
    for k in range(len(keys)):
        for s in range(theta.shape[1]):
            open_stream(stream, seed, keys[k], first_draw + np.uint64(s), np.uint64(SPEND))
            start_spend(stream, theta[cells[k], s], history[k], state)
            amounts[k, s] = next_amount(stream, theta[cells[k], s], state)


@numba.njit(
    types.void(*MEMORY, START_STEP, PURCHASE_STEP, *CUSTOMERS, U64, VECTOR, COUNTS),
    cache=True,
    nogil=True,
)
def count_by_period(
    streams: Any,
    states: Any,
    start: Any,
    next_purchase: Any,
    theta: Any,
    cells: Any,
    history: Any,
    keys: Any,
    seed: Any,
    first_draw: Any,
    ends: Any,
    totals: Any,
) -> None:
    """Add the customers' purchases to `totals`, shape (D, periods); period i is (ends[i - 1], ends[i]]."""
    theta, history, states = borrowed(theta), borrowed(history), borrowed(states)
    stream, state = streams[0], states[0]
    horizon = ends[-1]
    for k in range(len(keys)):
        for s in range(theta.shape[1]):
            own = theta[cells[k], s]
            open_stream(stream, seed, keys[k], first_draw + np.uint64(s), np.uint64(PURCHASES))
            start(stream, own, history[k], state)
            period = 0
            time = next_purchase(stream, own, state, horizon)
            while time <= horizon:
                while time > ends[period]:
                    period += 1
                totals[s, period] += 1
                time = next_purchase(stream, own, state, horizon)


@numba.njit(types.void(*FUTURES, KEYS, VECTOR, VECTOR, VECTOR, VECTOR, CUBE, CUBE, CUBE), cache=True, nogil=True)
def draw_futures(
    streams: Any,
    states: Any,
    start: Any,
    next_purchase: Any,
    start_spend: Any,
    next_amount: Any,
    theta: Any,
    cells: Any,
    spend_theta: Any,
    spend_cells: Any,
    history: Any,
    spend_history: Any,
    keys: Any,
    seed: Any,
    draws: Any,
    horizons: Any,
    discounts: Any,
    margins: Any,
    ends: Any,
    of_draws: Any,
    of_customers: Any,
    outcomes: Any,
) -> None:
    """Fill `outcomes`, shape (3, K, D): purchases in (T, T + horizon], their value, their discounted value.

    The s-th of the draws, shape (D,), has the parameters theta[cells[k], s]. Each customer has a horizon, a discount
    rate and a margin, all shape (K,). The purchases are those of `draw_purchases`: values come from a stream of their
    own. Where there are `ends` of periods, up to the horizon, purchases, value, margin and discounted margin are added
    up by period, (ends[i - 1], ends[i]]: over customers into `of_draws`, shape (4, D, periods), and over draws into
    `of_customers`, shape (4, K, periods) or (4, 0, periods), where nobody asks for them.
    """
    theta, spend_theta, states = borrowed(theta), borrowed(spend_theta), borrowed(states)
    history, spend_history = borrowed(history), borrowed(spend_history)
    stream, spend_stream = streams[0], streams[1]
    state, spend_state = states[0], states[1]
    by_period, by_customer = len(ends) > 0, of_customers.shape[1] > 0
    for k in range(len(keys)):
        horizon, discount, past, baskets = horizons[k], discounts[k], history[k], spend_history[k]
        for s in range(theta.shape[1]):
            own, basket = theta[cells[k], s], spend_theta[spend_cells[k], s]
            open_stream(stream, seed, keys[k], draws[s], np.uint64(PURCHASES))
            start(stream, own, past, state)
            time = next_purchase(stream, own, state, horizon)
            count, value, discounted, period = 0, 0.0, 0.0, 0
            if time <= horizon:
                open_stream(spend_stream, seed, keys[k], draws[s], np.uint64(SPEND))
                spend_state[:] = state
                start_spend(spend_stream, basket, baskets, spend_state)
            while time <= horizon:
                amount = next_amount(spend_stream, basket, spend_state)
                count += 1
                value += amount
                present = amount * math.exp(-discount * time)
                discounted += present
                if by_period:
                    while time > ends[period]:
                        period += 1
                    flows = (1.0, amount, margins[k] * amount, margins[k] * present)
                    for i in range(4):
                        of_draws[i, s, period] += flows[i]
                        if by_customer:
                            of_customers[i, k, period] += flows[i]
                time = next_purchase(stream, own, state, horizon)
            outcomes[0, k, s], outcomes[1, k, s], outcomes[2, k, s] = count, value, discounted


@numba.njit(types.boolean(*FUTURES, U64, VECTOR, VECTOR, CUBE, TABLE, CUBE), cache=True, nogil=True)
def draw_changed_values(
    streams: Any,
    states: Any,
    start: Any,
    next_purchase: Any,
    start_spend: Any,
    next_amount: Any,
    theta: Any,
    cells: Any,
    spend_theta: Any,
    spend_cells: Any,
    history: Any,
    spend_history: Any,
    keys: Any,
    seed: Any,
    first_draw: Any,
    horizons: Any,
    discounts: Any,
    factors: Any,
    amounts: Any,
    values: Any,
) -> Any:
    """Fill `values`, shape (V, K, D), with the discounted value of each of V futures of a customer.

    Whether it could: not if a future has more purchases than there is room for in `amounts`, whose first row is used.

    factors, shape (3, V + 1, D), multiply rate, chance to leave and amounts; where they are 1 a future is that of
    `draw_futures`. The last of them are the highest rate and the lowest chance to leave of all: who buys nothing there
    buys nothing at all. That is asked first, and most often settles the matter.
    """
    theta, spend_theta, states = borrowed(theta), borrowed(spend_theta), borrowed(states)
    history, spend_history = borrowed(history), borrowed(spend_history)
    stream, spend_stream = streams[0], streams[1]
    state, spend_state = states[0], states[1]
    most = len(values)
    for k in range(len(keys)):
        horizon, discount, past, baskets = horizons[k], discounts[k], history[k], spend_history[k]
        for s in range(theta.shape[1]):
            draw = first_draw + np.uint64(s)
            own, basket = theta[cells[k], s], spend_theta[spend_cells[k], s]
            open_stream(stream, seed, keys[k], draw, np.uint64(PURCHASES))
            state[RATE_FACTOR], state[DROPOUT_FACTOR] = factors[0, most, s], factors[1, most, s]
            start(stream, own, past, state)
            if next_purchase(stream, own, state, horizon) > horizon:
                for v in range(most):
                    values[v, k, s] = 0.0
                continue
            open_stream(spend_stream, seed, keys[k], draw, np.uint64(SPEND))
            spend_state[:] = state
            start_spend(spend_stream, basket, baskets, spend_state)
            known = 0  # the i-th purchase is worth the same in every future
            for v in range(most):
                open_stream(stream, seed, keys[k], draw, np.uint64(PURCHASES))
                state[RATE_FACTOR], state[DROPOUT_FACTOR] = factors[0, v, s], factors[1, v, s]
                start(stream, own, past, state)
                count, discounted = 0, 0.0
                time = next_purchase(stream, own, state, horizon)
                while time <= horizon:
                    if count == known:
                        if known == amounts.shape[1]:
                            return False
                        amounts[0, known] = next_amount(spend_stream, basket, spend_state)
                        known += 1
                    discounted += amounts[0, count] * math.exp(-discount * time)
                    count += 1
                    time = next_purchase(stream, own, state, horizon)
                values[v, k, s] = factors[2, v, s] * discounted
    return True


@numba.njit(
    F64(Stream, ROW, PURCHASE_STEP, ROW, F64, Stream, ROW, AMOUNT_STEP, ROW, TABLE, CELLS, *6 * (F64,)),
    cache=True,
    nogil=True,
)
def follow(
    stream: Any,
    state: Any,
    tick: Any,
    theta: Any,
    reach: Any,
    spend_stream: Any,
    spend_state: Any,
    next_amount: Any,
    spend_theta: Any,
    drawn: Any,
    known: Any,
    leaving: Any,
    coins: Any,
    horizon: Any,
    discount: Any,
    pace: Any,
    factor: Any,
) -> Any:
    """The discounted value of one of the futures of `draw_changed_by_clock`; below 0 if there was too little room.

    `known`, shape (2,), has the number of clocks (and coins), and of amounts, that are drawn so far. An urn of `coins`
    decides who leaves, each chance times `factor`; the clock has run `pace` times as fast.
    """
    count, discounted, left = 0, 0.0, 0.0
    while drawn[0, count] <= horizon * pace:
        if count > 0:
            left, leaving, coins = leaves_by_urn(drawn[1, count], leaving, coins, factor)
            if left > 0.0:
                break
        if count == known[1]:
            drawn[2, count] = next_amount(spend_stream, spend_theta, spend_state)
            known[1] += 1
        discounted += drawn[2, count] * math.exp(-discount * (drawn[0, count] / pace))
        count += 1
        if count == drawn.shape[1]:
            return -1.0
        if count == known[0]:
            drawn[0, count] = tick(stream, theta, state, reach)
            drawn[1, count] = state[COIN]
            known[0] += 1
    return discounted


@numba.njit(types.boolean(*FUTURES, U64, VECTOR, VECTOR, CUBE, TABLE, CUBE), cache=True, nogil=True)
def draw_changed_by_clock(
    streams: Any,
    states: Any,
    start: Any,
    tick: Any,
    start_spend: Any,
    next_amount: Any,
    theta: Any,
    cells: Any,
    spend_theta: Any,
    spend_cells: Any,
    history: Any,
    spend_history: Any,
    keys: Any,
    seed: Any,
    first_draw: Any,
    horizons: Any,
    discounts: Any,
    factors: Any,
    drawn: Any,
    values: Any,
) -> Any:
    """What `draw_changed_values` does, for kernels with a `tick`: what futures share is drawn once.

    `drawn`, shape (3, purchases), has room for it: clocks, coins and amounts of purchases.
    """
    theta, spend_theta, states = borrowed(theta), borrowed(spend_theta), borrowed(states)
    history, spend_history = borrowed(history), borrowed(spend_history)
    stream, spend_stream = streams[0], streams[1]
    state, spend_state = states[0], states[1]
    most, known = len(values), np.zeros(2, dtype=np.int64)
    for k in range(len(keys)):
        horizon, discount, past, baskets = horizons[k], discounts[k], history[k], spend_history[k]
        for s in range(theta.shape[1]):
            draw = first_draw + np.uint64(s)
            own, basket = theta[cells[k], s], spend_theta[spend_cells[k], s]
            open_stream(stream, seed, keys[k], draw, np.uint64(PURCHASES))
            start(stream, own, past, state)
            reach = horizon * factors[0, most, s]
            drawn[0, 0] = tick(stream, own, state, reach)
            if drawn[0, 0] == math.inf:
                for v in range(most):
                    values[v, k, s] = 0.0
                continue
            open_stream(spend_stream, seed, keys[k], draw, np.uint64(SPEND))
            spend_state[:] = state
            start_spend(spend_stream, basket, baskets, spend_state)
            known[0], known[1] = 1, 0
            leaving, coins = state[LEAVING], state[COINS]
            for v in range(most):
                value = follow(
                    stream, state, tick, own, reach, spend_stream, spend_state, next_amount, basket,
                    drawn, known, leaving, coins, horizon, discount, factors[0, v, s], factors[1, v, s],
                )  # fmt: skip
                if value < 0.0:
                    return False
                values[v, k, s] = factors[2, v, s] * value
    return True
