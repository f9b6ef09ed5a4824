"""The customer pyramid: four tiers by future value, as a probability of each tier for each customer."""

import itertools
from collections.abc import Iterator, Mapping

import numpy as np
from numpy.typing import ArrayLike

from clvmodels.foundation.errors import DataError
from clvmodels.foundation.patterns import FloatArray
from clvmodels.foundation.records import Forecast
from clvmodels.strategy.classes import CustomerClasses, labelled, require_losses, steps_apart

# Share of customers down to which each tier reaches, best customers first (Curry and Curry 2000).
TIERS = {"platinum": 0.01, "gold": 0.05, "iron": 0.20, "lead": 1.0}


def pyramid(
    clv: Forecast,
    *,
    shares: Mapping[str, float] = TIERS,
    undecided_below: float = 0.6,
    loss: ArrayLike | None = None,
) -> CustomerClasses:
    """P(tier) of each customer, a label, and its doubt: by default the best 1 %, 4 %, 15 % and the rest.

    In each draw customers are ranked by value; the best floor(share x N) are in a tier or a better one. So tiers have
    the stated sizes in every draw, and in expectation. Customers of one value who stand at the border of two tiers
    have equal parts in the places left: most draws of most customers are 0, and no id is worth more than another.

    Parameters
    ----------
    clv : predictive future value; without draws its mean, which is certain
    shares : tier to the share of customers down to which it reaches, the best tier first, the last one 1
    undecided_below : a label with a lower probability is marked undecided
    loss : shape (K, K), the loss of the label in the column when the truth is the row; by default the number of tiers
        between them. Tiers have an order: to treat a platinum customer as lead is three times as wrong as to treat
        one as gold. The label is then the median tier: at least half of the draws are in it or above, and half
        in it or below

    Raises
    ------
    DataError
        If the shares do not increase to 1, or the losses cannot be used.

    References
    ----------
    Zeithaml, Rust and Lemon (2001), doi 10.2307/41166104, name the tiers; Curry and Curry (2000), The
    Customer Marketing Method, give the shares.
    """
    _require_shares(shares)
    losses = require_losses(loss, tuple(shares), steps_apart(len(shares)))
    places = [int(share * len(clv) + 1e-9) for share in shares.values()]  # 0.15 x 20 is 3
    reached = np.zeros((len(places), len(clv)))
    n_draws = 0
    for values in _blocks(clv):
        n_draws += values.shape[1]
        reached += _draws_among_best(values, places)
    probabilities = np.diff(reached / n_draws, axis=0, prepend=0.0)
    by_tier = dict(zip(shares, np.maximum(probabilities, 0.0), strict=True))
    return labelled(by_tier, clv.customer_id, scheme="tier", undecided_below=undecided_below, loss=losses)


def _blocks(clv: Forecast) -> Iterator[FloatArray]:
    """Some draws of all customers at a time, shape (N, D)."""
    if clv.replay is None:
        yield clv.mean[:, None]
    else:
        yield from (block.values for block in clv.replay("draws"))


def _draws_among_best(values: FloatArray, places: list[int]) -> FloatArray:
    """Draws in which each customer is among so many of the best, shape (K, N); a part of one where a tie is shared."""
    n_customers, n_draws = values.shape
    reached = np.full((len(places), n_customers), float(n_draws))
    at = [n_customers - most for most in places if 0 < most < n_customers]
    by_draw = np.array(values.T, order="C")  # a copy, since it is put in order in place
    by_draw.partition(at, axis=1)
    for tier, most in enumerate(places):
        if most == 0:
            reached[tier] = 0
        elif most < n_customers:
            reached[tier] = _draws_at_border(values, by_draw[:, n_customers - most], most)
    return reached


def _draws_at_border(values: FloatArray, border: FloatArray, most: int) -> FloatArray:
    """Draws in which each customer reaches the border, shape (N,), those level with it by the places left for them."""
    reach = values >= border
    reached = reach.sum(axis=1).astype(np.float64)
    crowded = np.flatnonzero(reach.sum(axis=0) > most)
    if len(crowded):
        level = values[:, crowded] == border[crowded]
        left = most - (reach[:, crowded] & ~level).sum(axis=0)
        reached -= level @ (1 - left / level.sum(axis=0))
    return reached


def _require_shares(shares: Mapping[str, float]) -> None:
    reach = list(shares.values())
    increase = all(0 < better < worse for better, worse in itertools.pairwise(reach))
    if not reach or not increase or reach[-1] != 1:
        stated = ", ".join(f"{tier} {share:g}" for tier, share in shares.items())
        raise DataError(
            f"shares of the pyramid are {stated}: expected the share of customers down to which each tier reaches, "
            "the best tier first, each above the one before, the last one 1."
        )
