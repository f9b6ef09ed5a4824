"""Pareto/NBD on a calendar: a customer's next purchases, drawn exactly on the clocks of purchases and of drop-out.

Given that the customer is alive at T, rate and drop-out rate are independent, Gamma(r + x, alpha + A(T)) and
Gamma(s, beta + B(T)). So the readings of the two clocks at the next purchase and at the drop-out are Lomax (a
Pareto distribution from 0), and the calendar says when they are reached.

References
----------
.. [1] Bachmann, Meierer and Näf (2021), doi 10.1287/mksc.2020.1254. `clvmodels.models.pareto_nbd_dyncov` has the
   formulas, and `OnCalendar.expand` what stands in `theta`.
"""

import math
from typing import Any

import numba
from numba import types

from clvmodels.foundation.quadrature import gauss_legendre
from clvmodels.foundation.streams import uniform
from clvmodels.models.kernels.interface import NEXT_PURCHASE, ROW, START
from clvmodels.models.pareto_nbd_dyncov import FIRST_NODES, SPENT

AT, WEIGHTS = gauss_legendre(FIRST_NODES)
F64, I64 = types.float64, types.int64
PLACE = types.Tuple((I64, F64, F64))

X, T_X, AGE, BOUGHT, BUYING, PANEL, DROP_OUT = range(7)  # places in `state`
CHANGES = ()  # what a calendar does to a changed rate is not told


@numba.njit(PLACE(ROW, F64), cache=True)
def readings(theta: Any, time: Any) -> Any:
    """The panel of a time from today, and the readings of both clocks then."""
    size = (len(theta) - 4) // 3
    low, high = 0, size - 1  # edges[low] <= time < edges[high]
    while high - low > 1:
        middle = (low + high) // 2
        if theta[4 + middle] <= time:
            low = middle
        else:
            high = middle
    edge, buying, leaving = 4 + low, 4 + size + low, 4 + 2 * size + low
    share = (time - theta[edge]) / (theta[edge + 1] - theta[edge])
    return (
        low,
        theta[buying] + share * (theta[buying + 1] - theta[buying]),
        theta[leaving] + share * (theta[leaving + 1] - theta[leaving]),
    )


@numba.njit(types.boolean(ROW, F64, F64, F64, F64), cache=True)
def is_alive(theta: Any, u: Any, x: Any, t_x: Any, T: Any) -> Any:
    """Whether u < P(alive at T), with the chance to have left in silence summed over the panels since t_x.

    Most often the sum over some of the panels settles it.
    """
    size = (len(theta) - 4) // 3
    n, s, now = theta[0] + x, theta[2], t_x - T
    _, won_buying, won_leaving = readings(theta, -T)
    panel, buying, leaving = readings(theta, now)
    one, other = theta[1] + buying - won_buying, theta[3] + leaving - won_leaving
    stayed = math.exp(-n * math.log1p(-buying / one) - s * math.log1p(-leaving / other))
    silent, left = 1.0, 0.0  # silent and alive up to now; out in silence since the last purchase
    while now < 0.0:
        if u * (stayed + left) >= stayed:  # what is left can only grow
            return False
        if u * (left + silent) < stayed:  # and by no more than silent - stayed
            return True
        length, whole = theta[5 + panel] - now, theta[5 + panel] - theta[4 + panel]
        buying_pace = (theta[5 + size + panel] - theta[4 + size + panel]) / whole
        leaving_pace = (theta[5 + 2 * size + panel] - theta[4 + 2 * size + panel]) / whole
        one_time, other_time = one / buying_pace, other / leaving_pace
        m = min(one_time, other_time)
        reach = min(math.log1p(length / m), SPENT / (n * m / one_time + s * m / other_time))
        inside = 0.0
        for i in range(len(AT)):
            growth = math.exp(reach * AT[i])
            time = m * (growth - 1.0)
            chance = math.exp(-n * math.log1p(time / one_time) - s * math.log1p(time / other_time))
            inside += WEIGHTS[i] * chance * s * m * growth / (other_time + time)
        left += silent * reach * inside
        silent *= math.exp(-n * math.log1p(length / one_time) - s * math.log1p(length / other_time))
        one += length * buying_pace
        other += length * leaving_pace
        panel += 1
        now = theta[4 + panel]
    return u * (stayed + left) < stayed


@numba.njit(START, cache=True)
def start(_stream: Any, theta: Any, history: Any, state: Any) -> None:
    """Remember the history; whether the customer is alive is drawn when a purchase depends on it."""
    state[X], state[T_X], state[AGE] = history[0], history[1], history[2]
    state[BOUGHT], state[BUYING] = 0.0, 0.0
    state[PANEL] = readings(theta, 0.0)[0]


@numba.njit(NEXT_PURCHASE, cache=True)
def next_purchase(stream: Any, theta: Any, state: Any, horizon: Any) -> Any:
    """Time of the next purchase, counted from T; infinite if there is none up to the horizon."""
    size = (len(theta) - 4) // 3
    x, T, bought, buying = state[X], state[AGE], state[BOUGHT], state[BUYING]
    run = theta[1] - readings(theta, -T)[1] + buying  # alpha + A
    buying += run * math.expm1(-math.log(uniform(stream)) / (theta[0] + x + bought))
    panel = int(state[PANEL])
    while panel < size - 2 and theta[5 + size + panel] < buying:
        panel += 1
    begin, end = theta[4 + size + panel], theta[5 + size + panel]
    share = (buying - begin) / (end - begin)
    now = theta[4 + panel] + share * (theta[5 + panel] - theta[4 + panel])
    if now > horizon:
        return math.inf
    if bought == 0.0:
        if not is_alive(theta, uniform(stream), x, state[T_X], T):
            return math.inf
        scale = theta[3] - readings(theta, -T)[2]  # beta + B
        state[DROP_OUT] = scale * math.expm1(-math.log(uniform(stream)) / theta[2])
    begin, end = theta[4 + 2 * size + panel], theta[5 + 2 * size + panel]
    if begin + share * (end - begin) > state[DROP_OUT]:
        return math.inf
    state[BOUGHT], state[BUYING], state[PANEL] = bought + 1.0, buying, panel
    return now
