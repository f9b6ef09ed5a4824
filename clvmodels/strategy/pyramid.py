"""The customer pyramid: four tiers by future value, as a probability of each tier for each customer."""

import itertools
from collections.abc import Mapping

import numpy as np
from numpy.typing import ArrayLike

from clvmodels.forecast.draws import by_draw, each_draw, over_customers
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
    for values in [np.ascontiguousarray(clv.mean)[None]] if clv.replay is None else by_draw(clv):
        n_draws += len(values)
        _count_among_best(values, places, reached)
    probabilities = np.diff(reached / n_draws, axis=0, prepend=0.0)
    by_tier = dict(zip(shares, np.maximum(probabilities, 0.0), strict=True))
    return labelled(by_tier, clv.customer_id, scheme="tier", undecided_below=undecided_below, loss=losses)


def _count_among_best(values: FloatArray, places: list[int], reached: FloatArray) -> None:
    """Add draws in which each customer is among so many of the best to `reached`, shape (K, N); values (D, N).

    Where a tie is shared, a part of a draw counts: the places left for those level with the border, by their number.
    """
    from clvmodels.forecast.draw_kernels import count_reached

    borders, level_share = (
        np.array(column) for column in zip(*each_draw(values, lambda draw: _borders(draw, places)), strict=True)
    )
    over_customers(
        reached.shape[1], lambda first, last: count_reached(values, borders, level_share, first, last, reached)
    )


def _borders(draw: FloatArray, places: list[int]) -> tuple[FloatArray, FloatArray]:
    """The least value among so many of the best, and the part of a draw that counts for a value level with it."""
    size = len(draw)
    ordered = np.partition(draw, [size - most for most in places if 0 < most < size])
    borders, shares = np.full(len(places), -np.inf), np.ones(len(places))
    for tier, most in enumerate(places):
        if most == 0:
            borders[tier] = np.inf
        elif most < size:
            border = borders[tier] = ordered[size - most]
            above, level = (draw > border).sum(), (draw == border).sum()
            shares[tier] = (most - above) / level
    return borders, shares


def _require_shares(shares: Mapping[str, float]) -> None:
    reach = list(shares.values())
    increase = all(0 < better < worse for better, worse in itertools.pairwise(reach))
    if not reach or not increase or reach[-1] != 1:
        stated = ", ".join(f"{tier} {share:g}" for tier, share in shares.items())
        raise DataError(
            f"shares of the pyramid are {stated}: expected the share of customers down to which each tier reaches, "
            "the best tier first, each above the one before, the last one 1."
        )
