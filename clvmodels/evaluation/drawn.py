"""What the draws of a forecast say of each customer's outcome, from one pass over them."""

from dataclasses import dataclass, fields

import numpy as np

from clvmodels.evaluation.scores import HeldDraws, crps_of_draws, log_score_of_draws
from clvmodels.foundation.patterns import FloatArray, IntArray
from clvmodels.foundation.records import Forecast


@dataclass(frozen=True)
class DrawScores:
    """Draws of N customers held against their outcomes; every column is NaN where there are no draws.

    Attributes
    ----------
    crps : ndarray, shape (N,), in the outcome's unit
    log_score : ndarray, shape (N,), minus the log probability of the outcome; NaN for spend
    pit_low, pit_high : ndarray, shape (N,), between which the randomised PIT is uniform
    p_active : ndarray, shape (N,), probability of one purchase or more; NaN for spend
    """

    crps: FloatArray
    log_score: FloatArray
    pit_low: FloatArray
    pit_high: FloatArray
    p_active: FloatArray

    @classmethod
    def unknown(cls, n: int) -> "DrawScores":
        """Of n customers without draws."""
        return cls(*(np.full(n, np.nan) for _ in fields(cls)))

    @classmethod
    def joined(cls, blocks: "list[DrawScores]") -> "DrawScores":
        """Blocks of customers, one after the other."""
        return cls(*(np.concatenate([getattr(block, column.name) for block in blocks]) for column in fields(cls)))

    def at(self, rows: IntArray) -> "DrawScores":
        """The customers at some rows, in their order."""
        return DrawScores(*(getattr(self, column.name)[rows] for column in fields(self)))


def score_draws(quantity: str, ordered: FloatArray, outcome: FloatArray) -> DrawScores:
    """Scores of ordered draws, shape (N, S); spend has no probability of one amount, so no log score."""
    counted = quantity == "purchases"
    held = HeldDraws.of(ordered, outcome)
    unknown = np.full(len(outcome), np.nan)
    return DrawScores(
        crps_of_draws(held),
        log_score_of_draws(held, outcome) if counted else unknown,
        *pit_bounds(held),
        chance_of_any(held) if counted else unknown,
    )


def scores_by_customer(forecast: Forecast, outcome: FloatArray) -> DrawScores:
    """Scores of each customer's draws; unknown where the method has no draws."""
    if forecast.replay is None:
        return DrawScores.unknown(len(forecast))
    blocks = forecast.replay("customers")
    return DrawScores.joined(
        [score_draws(forecast.quantity, np.sort(block.values, axis=1), outcome[block.rows]) for block in blocks]
    )


def pit_bounds(held: HeldDraws) -> tuple[FloatArray, FloatArray]:
    """Ends of the step of each outcome among its draws, from 0 to 1; the randomised PIT is uniform between them.

    draws below / (S + 1), and (draws below + draws equal + 1) / (S + 1), with the outcome itself as one more draw.

    Returns
    -------
    (low, high) : ndarrays, shape (N,)
    """
    places = held.draws + 1
    return held.below / places, (held.below + held.equal + 1) / places


def chance_of_any(held: HeldDraws) -> FloatArray:
    """Probability of one purchase or more among S draws of counts, shape (N,): (draws above 0 + 1/2) / (S + 1).

    The chance that `log_score_of_draws` gives to all counts above 0: one draw more, half of it there, so that no
    customer is taken for gone with certainty because no draw happened to have a purchase.
    """
    return (held.positive + 0.5) / (held.draws + 1)
