"""Futures in which customers behave otherwise than they did: two factors that a kernel finds in its `state`.

From T on a customer's own rate of purchase is multiplied by the one, each chance to leave by the other. A loop writes
them before `start`; at 1 a future is bit for bit what it is without. A kernel's `CHANGES` names those that have a
meaning in its story.

A factor above 1 could carry a chance beyond 1. In continuous time a unit's chance then is 1, and the customer leaves
at once; where the chance itself is integrated out, the story says what happens.
"""

import math
from typing import Any

import numba
import numpy as np
from numba import types

from clvmodels.foundation.streams import Stream, log_gamma_aside
from clvmodels.models.kernels.interface import F64, ROW, STATE

RATE_FACTOR, DROPOUT_FACTOR = STATE - 2, STATE - 1  # places in `state`
LEAVING, COINS, COIN = STATE - 5, STATE - 4, STATE - 3  # places of a kernel with an urn, and of the number thrown
EVERY_CHANGE = ("rate", "dropout")


@numba.njit(ROW(), cache=True)
def new_state() -> Any:
    """The state of a customer who goes on as before."""
    state = np.zeros(STATE)
    state[RATE_FACTOR] = state[DROPOUT_FACTOR] = 1.0
    return state


@numba.njit(F64(F64, F64), cache=True)
def changed_hazard(hazard: Any, factor: Any) -> Any:
    """The hazard whose chance, 1 - exp(-hazard), is `factor` times as high; infinite where that is 1 or above."""
    if factor == 1.0:
        return hazard
    gone = factor * math.expm1(-hazard)
    return -math.log1p(gone) if gone > -1.0 else math.inf


@numba.njit(F64(F64, F64, F64), cache=True)
def changed_end(end: Any, mu: Any, factor: Any) -> Any:
    """When a customer leaves who would at `end` with hazard mu, each unit's chance to leave times `factor`.

    The same exponential number, so that the end moves one way with the factor.
    """
    if factor == 1.0 or end == math.inf:
        return end
    hazard = changed_hazard(mu, factor)
    return end * (mu / hazard) if hazard > 0.0 else math.inf


@numba.njit(F64(Stream, F64, F64, F64, F64), cache=True)
def changed_lomax_end(stream: Any, s: Any, scale: Any, end: Any, factor: Any) -> Any:
    """The same of a customer whose hazard is Gamma(s, scale): Gamma(s + 1, scale + end) given the end.

    It is drawn aside, so that the stream goes on as without.
    """
    if factor == 1.0 or end == math.inf:
        return end
    return changed_end(end, math.exp(log_gamma_aside(stream, s + 1.0)) / (scale + end), factor)


@numba.njit(types.UniTuple(F64, 3)(F64, F64, F64, F64), cache=True)
def leaves_by_urn(u: Any, leaving: Any, coins: Any, factor: Any) -> Any:
    """Whether one leaves after a purchase (1.0 or 0.0), and the urn after it: leaving coins, and coins.

    The customer's own chance p ~ Beta(leaving, coins - leaving) is integrated out: coins come up with the share of
    those that did (Pólya's urn). A coin that comes up counts with chance `factor`, so that p is multiplied by it.
    Above 1 further coins are thrown, one for each whole number and one with a chance of what is left: between 1 and 2
    one leaves with chance p (1 + (factor - 1) (1 - p)), which is factor p where p is small, and never above 1.

    One uniform number does for all of it, and the first coin is that of a customer who goes on as before.
    """
    first = True
    while True:
        bound, share = leaving / coins, min(factor, 1.0)
        if u * coins < leaving * share:
            return 1.0, leaving + 1.0, coins + 1.0
        if first and u * coins < leaving:  # it came up and does not count
            return 0.0, leaving + 1.0, coins + 1.0
        if not first and u >= share:  # not thrown
            return 0.0, leaving, coins
        coins += 1.0
        factor -= 1.0
        if factor <= 0.0:
            return 0.0, leaving, coins
        u = (u - bound) / (1.0 - bound)
        first = False
