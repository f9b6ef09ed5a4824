"""MBG/NBD: a customer's next purchases, drawn exactly, with rate and drop-out chance integrated out.

A customer who is alive at T has passed x + 1 chances to drop out: all is as in the BG/NBD with b + 1 in
place of b, but that one without a repeat purchase may have left at time 0.

References
----------
.. [1] Batislam, Denizel and Filiztekin (2007), doi 10.1016/j.ijresmar.2006.12.005. `clvmodels.models.mbg_nbd`
   has the formulas.
"""

from typing import Any

import numba

from clvmodels.models.kernels import bg_nbd
from clvmodels.models.kernels.bg_nbd import time_of
from clvmodels.models.kernels.changes import RATE_FACTOR
from clvmodels.models.kernels.interface import NEXT_PURCHASE

start = bg_nbd.start
tick_by = bg_nbd.tick_by
CHANGES = bg_nbd.CHANGES


@numba.njit(NEXT_PURCHASE, cache=True)
def tick(stream: Any, theta: Any, state: Any, reach: Any) -> Any:
    """The clock at the next purchase of a customer who never leaves after T; infinite beyond `reach`."""
    return tick_by(stream, theta[0], theta[1], theta[2], theta[3] + 1.0, 0.0, state, reach)


@numba.njit(NEXT_PURCHASE, cache=True)
def next_purchase(stream: Any, theta: Any, state: Any, horizon: Any) -> Any:
    """Time of the next purchase, counted from T; infinite if there is none up to the horizon."""
    return time_of(tick(stream, theta, state, horizon * state[RATE_FACTOR]), state)
