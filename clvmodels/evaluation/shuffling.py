"""Outcomes handed to other customers by chance: a contest on them is one that nobody may win."""

from dataclasses import replace

import numpy as np

from clvmodels.evaluation.contest import id_order
from clvmodels.foundation.records import HoldoutSummary
from clvmodels.foundation.whole import require_seed


def shuffled(holdout: HoldoutSummary, *, seed: int) -> HoldoutSummary:
    """The holdout with each customer's outcome, purchases and amount together, handed to another by chance.

    Customers stay where they are, and totals as they were. What a forecast says of a customer is then true of nobody
    in particular, so methods that rank differ by chance alone.

    Parameters
    ----------
    holdout : of N customers
    seed : of the permutation, 0 to 2^64 - 1; the order of customers does not matter

    Raises
    ------
    DataError
        If the seed cannot be.
    """
    by_id = id_order(holdout.customer_id)
    from_customer = np.empty_like(by_id)
    from_customer[by_id] = by_id[np.random.default_rng(require_seed(seed)).permutation(len(by_id))]
    return replace(holdout, purchases=holdout.purchases[from_customer], amount=holdout.amount[from_customer])
