"""What stated actions bring: gains by customer and by class, and the best split of a budget.

An action costs a sum a customer and changes the customer's behaviour. Its gain is the difference of two futures of the
same customer at the same random numbers, less the cost.

The gain of a single customer, averaged over draws, is noisy: the best of many would be the luckiest ones. So a
customer's expected gain is the customer's expected value times the relative gain of customers alike, those of nearly
the same frequency and age: in these models the story from T on depends on little else. Customers are chosen by that,
and what the choice brings is worked out at fresh random numbers.
"""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from clvmodels.forecast.draws import BLOCK, over_blocks
from clvmodels.forecast.what_if import ChangedValues
from clvmodels.foundation.patterns import FloatArray, IntArray
from clvmodels.foundation.records import CustomerSummary

ALIKE = 250  # customers whose relative gain is taken together
MOST_FUTURES, LEAST_DRAWS = 4_000_000, 500  # customers x draws of a pass over all of them
MOST_DRAWN = 60_000_000  # customers x draws of changed futures: beyond it each customer is drawn in a part of the draws
CURVE_POINTS = 60
NOBODY = -1


@dataclass(frozen=True)
class Outcomes:
    """Futures under changes, added up; the first is the one without a change.

    Attributes
    ----------
    totals : ndarray, shape (V, G, S), value of each group of customers in each future, draw by draw; where customers
        are drawn in a part of the draws, that of those drawn times the group's customers for each of them
    gain : ndarray, shape (V - 1, N), of each customer, mean over draws, without cost
    p_loss : ndarray, shape (V - 1, N), share of draws in which the gain is below the cost
    """

    totals: FloatArray
    gain: FloatArray
    p_loss: FloatArray

    def net(self, change: int, group: int, cost: float) -> FloatArray:
        """Gain of a change in a group less what it costs in all, shape (S,)."""
        return np.asarray(self.totals[1 + change, group] - self.totals[0, group] - cost)


def draws_of(customers: int, available: int) -> int:
    """How many draws are enough: all for few customers; of many the totals need fewer, 500 at the least."""
    return min(available, max(LEAST_DRAWS, MOST_FUTURES // max(customers, 1)))


def outcomes_of(
    values: ChangedValues, group: IntArray, *, groups: int, costs: Sequence[float], n_draws: int
) -> Outcomes:
    """Values of changed futures by customer and group, in one pass and bounded memory.

    Parameters
    ----------
    values : of the future without a change, and of each change
    group : ndarray, shape (N,), of each customer, 0 to groups - 1
    costs : a customer, of each change
    n_draws : the first so many draws are taken
    """
    place, cost = group[values.walkers.order], np.array(costs)[:, None, None]
    begin = np.linspace(0, n_draws, 1 + -(-len(group) * n_draws // MOST_DRAWN)).astype(np.int64)
    some = [slice(int(first), int(last)) for first, last in itertools.pairwise(begin)]

    def work(rows: IntArray) -> tuple[slice, FloatArray, IntArray, FloatArray, FloatArray]:
        at = some[rows[0] // BLOCK % len(some)]
        drawn, own = values.make(rows, at), place[rows]
        totals = np.stack([drawn[:, own == key].sum(axis=1) for key in range(groups)], axis=1)
        drawn[1:] -= drawn[0]
        counts = np.bincount(own, minlength=groups)
        return at, totals, counts, drawn[1:].mean(axis=2), (drawn[1:] < cost).mean(axis=2)

    totals, seen = np.zeros((1 + len(costs), groups, n_draws)), np.zeros((groups, n_draws))
    means, losses = [], []
    for at, of_block, counts, mean, loss in over_blocks(len(group), work, size=BLOCK):
        totals[:, :, at] += of_block
        seen[:, at] += counts[:, None]
        means.append(mean)
        losses.append(loss)
    back = values.walkers.row_of
    whole = _scaled(totals, seen, np.bincount(group, minlength=groups))
    return Outcomes(whole, np.concatenate(means, axis=1)[:, back], np.concatenate(losses, axis=1)[:, back])


def _scaled(totals: FloatArray, seen: FloatArray, customers: IntArray) -> FloatArray:
    """Totals of all customers of each group from those of the ones drawn; where a draw has none, as in the mean."""
    mean = totals.sum(axis=2) / np.maximum(seen.sum(axis=1), 1.0) * customers
    known = totals * (customers[:, None] / np.maximum(seen, 1.0))
    return np.where(seen > 0, known, mean[:, :, None])


def expected_gains(gain: FloatArray, value: FloatArray, customers: CustomerSummary) -> FloatArray:
    """Expected gains of customers: expected value times the relative gain of those alike, shape (V - 1, N).

    Parameters
    ----------
    gain : ndarray, shape (V - 1, N), means over draws
    value : ndarray, shape (N,), expected value without a change
    """
    order = np.lexsort((customers.T, customers.frequency))
    begin = np.arange(0, max(len(order) - ALIKE, 0) + 1, ALIKE)  # the last part is the larger one
    sums = np.add.reduceat(gain[:, order], begin, axis=1)
    worth = np.add.reduceat(value[order], begin)
    relative = np.divide(sums, worth, out=np.zeros_like(sums), where=worth > 0)
    part = np.empty(len(order), dtype=np.int64)
    part[order] = np.minimum(np.arange(len(order)) // ALIKE, len(begin) - 1)
    return np.asarray(relative[:, part] * value)


@dataclass(frozen=True)
class Split:
    """Who gets which action for a budget.

    Attributes
    ----------
    action : ndarray, shape (N,), the place of the action that each customer gets; -1 for none
    spent : sum of the costs
    curve : ndarray, shape (P, 2), sums spent and the expected net gain from them, up to where nothing more gains
    """

    action: IntArray
    spent: float
    curve: FloatArray


def best_split(gains: FloatArray, costs: Sequence[float], allowed: NDArray[np.bool_], *, budget: float) -> Split:
    """The best use of a budget, one action a customer at the most: the multiple-choice knapsack, greedily.

    For each customer the actions on the upper hull of (cost, gain) from (0, 0) on are steps: from none to the one that
    gains most for each unit of cost, from there to a dearer one that gains more for each further unit, and so on. Steps
    that gain more than they cost are taken in order of gain for each unit of cost, until the next one exceeds the
    budget. No other split of what is spent gains more.

    Parameters
    ----------
    gains : ndarray, shape (A, N), expected, without cost
    costs : above 0, a customer, of each action
    allowed : ndarray, shape (A, N), which customers may get which action
    """
    who, to, cost, gain = _steps(gains, np.array(costs, dtype=np.float64), allowed)
    order = np.lexsort((cost, -gain / cost))  # a customer's steps keep their order: each gains less a unit than before
    who, to, cost, gain = who[order], to[order], cost[order], gain[order]
    spent = np.cumsum(cost)
    taken = int(np.searchsorted(spent, budget * (1 + 1e-12), side="right"))
    action = np.full(gains.shape[1], NOBODY)
    action[who[:taken]] = to[:taken]  # of several steps of a customer the last holds
    path = np.column_stack([np.append(0.0, spent), np.append(0.0, np.cumsum(gain - cost))])
    at = np.unique(np.append(np.linspace(0, len(path) - 1, CURVE_POINTS).round().astype(int), taken))
    return Split(action, float(path[taken, 0]), path[at])


def _steps(
    gains: FloatArray, costs: FloatArray, allowed: NDArray[np.bool_]
) -> tuple[IntArray, IntArray, FloatArray, FloatArray]:
    """Steps of all customers along their hulls: who, to which action, at what further cost, for what further gain."""
    everyone = np.arange(gains.shape[1])
    spent, won = np.zeros(len(everyone)), np.zeros(len(everyone))
    steps: list[tuple[IntArray, IntArray, FloatArray, FloatArray]] = []
    while len(everyone):
        further = costs[:, None] - spent[everyone]
        more = gains[:, everyone] - won[everyone]
        slope = np.divide(more, further, out=np.zeros_like(more), where=allowed[:, everyone] & (further > 0))
        best = slope.argmax(axis=0)
        gaining = slope[best, np.arange(len(everyone))] > 1.0
        who, to = everyone[gaining], best[gaining]
        steps.append((who, to, costs[to] - spent[who], gains[to, who] - won[who]))
        spent[who], won[who], everyone = costs[to], gains[to, who], who
    return tuple(np.concatenate(column) for column in zip(*steps, strict=True))  # type: ignore[return-value]


def best_actions(gains: FloatArray, costs: Sequence[float], allowed: NDArray[np.bool_]) -> IntArray:
    """The action with the highest expected net gain for each customer, shape (N,); -1 where none gains."""
    net = np.where(allowed, gains - np.array(costs)[:, None], -np.inf)
    best = net.argmax(axis=0)
    return np.where(net[best, np.arange(net.shape[1])] > 0, best, NOBODY)
