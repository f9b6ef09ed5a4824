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
from clvmodels.models.kernels.interface import NEXT_PURCHASE

start = bg_nbd.start
next_by = bg_nbd.next_by
CHANGES = bg_nbd.CHANGES


@numba.njit(NEXT_PURCHASE, cache=True)
def next_purchase(stream: Any, theta: Any, state: Any, horizon: Any) -> Any:
    """Time of the next purchase, counted from T; infinite if there is none up to the horizon."""
    return next_by(stream, theta[0], theta[1], theta[2], theta[3] + 1.0, 0.0, state, horizon)
