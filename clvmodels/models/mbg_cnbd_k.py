"""MBG/CNBD-k: the BG/CNBD-k in which a customer may also drop out right after the first purchase.

The story. While alive, a customer passes stages at rate lambda ~ Gamma(r, alpha), and each k-th stage is a
purchase. After each purchase, the first one at time 0 too, the customer drops out with probability
p ~ Beta(a, b), independent of lambda. At k = 1 this is the MBG/NBD. k is the same whole number for all, and
chosen by the data. A customer who is alive at T has passed x + 1 chances to drop out: all is as in the
BG/CNBD-k with b + 1 in place of b.

References
----------
.. [1] Reutterer, Platzer and Schröder (2021), Leveraging purchase regularity for predicting customer behavior
   the easy way, International Journal of Research in Marketing 38(1), doi 10.1016/j.ijresmar.2020.09.002.
.. [2] Batislam, Denizel and Filiztekin (2007), doi 10.1016/j.ijresmar.2006.12.005.
"""

from typing import Any

import numpy as np

from clvmodels.foundation.model import Draws, Model
from clvmodels.foundation.ops import Ops
from clvmodels.foundation.patterns import FloatArray, IntArray, PurchasePatterns
from clvmodels.models import bg_cnbd_k, bg_nbd, mbg_nbd


def log_likelihood(parameters: Draws, patterns: PurchasePatterns, ops: Ops) -> Any:
    """Log likelihood of each pattern, eq. 7 of [1]_ with its constant, shape (..., K)."""
    return bg_cnbd_k.alive_or_left(parameters, patterns, ops, mbg_nbd.log_stayed, mbg_nbd.log_odds_of_leaving)


def simulate(rng: np.random.Generator, parameters: Draws, end: FloatArray) -> tuple[IntArray, FloatArray]:
    """Repeat purchases of customers seen from 0 to `end`, told as the story goes."""
    rate = rng.gamma(parameters["r"], 1 / parameters["alpha"], len(end))
    drop_out = rng.beta(parameters["a"], parameters["b"], len(end))
    stayed = np.flatnonzero(rng.random(len(end)) >= drop_out)
    stages = np.broadcast_to(parameters["k"], len(end))
    return bg_nbd.purchases_until_drop_out(rng, rate, drop_out, end, stayed, stages=stages)


FORMULAS = bg_cnbd_k.RegularTiming(mbg_nbd.log_odds_of_leaving, at_first=1)
MBG_CNBD_K = Model(
    name="mbg_cnbd_k",
    family="purchases",
    parameters=bg_cnbd_k.PARAMETERS,
    log_likelihood=log_likelihood,
    reads=("log_interval",),
    formulas=FORMULAS.formulas,
    simulate=simulate,
    kernel="mbg_cnbd_k",
    limits={
        "nbd": lambda nbd: {**nbd, "a": 1e-9, "b": 1.0, "k": 1},
        "mbg_nbd": lambda mbg_nbd: {**mbg_nbd, "k": 1},
    },
    reference="Reutterer, Platzer and Schröder (2021), doi 10.1016/j.ijresmar.2020.09.002",
)
