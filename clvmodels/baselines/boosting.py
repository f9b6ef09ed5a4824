"""Gradient boosting on the summary: what customers did in the training windows, regressed on what was known of them."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from clvmodels.baselines.features import FEATURE_INPUTS, features
from clvmodels.baselines.method import (
    Baseline,
    Training,
    knows_spend,
    outcomes,
    point_forecasts,
    training_length,
)
from clvmodels.foundation.patterns import FloatArray
from clvmodels.foundation.records import CustomerSummary, Forecast

TREES = 100
LEAVES = 8
LEARNING_RATE = 0.05
SEED = 1  # of the sample that bins of features are cut by, drawn where there are more than 200,000 rows


def forecasts(customers: CustomerSummary, horizon: float, training: Training) -> dict[str, Forecast]:
    """Purchases by trees with a Poisson loss; spend in two parts, whether and how much; and who is active.

    Of spend the first part is the probability of any, the second the mean of those who spend, by trees with a gamma
    loss. Over a horizon other than the training windows' length, purchases and spend go on at the same rate, and the
    probability of no purchase is that of the window to the power horizon / length. Trees, leaves and learning rate are
    fixed beforehand, not chosen by a search.

    Returns
    -------
    dict with "purchases", "active", and "spend" (currency) where the training windows know it
    """
    money = knows_spend(customers, training)
    known = np.concatenate([features(summary, money=money) for summary, _ in training])
    asked = features(customers, money=money)
    times = horizon / training_length(training)
    bought = outcomes(training, "purchases")
    with _one_thread():
        means = {
            "purchases": times * _mean(known, bought, asked, loss="poisson"),
            "active": 1 - (1 - _probability(known, bought > 0, asked)) ** times,
        }
        if money:
            means["spend"] = times * _spend(known, outcomes(training, "spend"), asked)
    return point_forecasts(means, "boosting", customers=customers, horizon=horizon)


def _spend(known: FloatArray, spent: FloatArray, asked: FloatArray) -> FloatArray:
    some = spent > 0
    if not some.any():
        return np.zeros(len(asked))
    return _probability(known, some, asked) * _mean(known[some], spent[some], asked, loss="gamma")


def _mean(known: FloatArray, outcome: FloatArray, asked: FloatArray, *, loss: str) -> FloatArray:
    from sklearn.ensemble import HistGradientBoostingRegressor

    level = outcome.mean()
    if level == 0:
        return np.zeros(len(asked))
    # In units of its mean: scikit-learn stops to split by a sum of curvatures, which currency must not move.
    trees = _fitted(HistGradientBoostingRegressor(loss=loss, **_SMALL), known, outcome / level)
    return np.asarray(level * trees.predict(asked))


def _probability(known: FloatArray, happened: NDArray[np.bool_], asked: FloatArray) -> FloatArray:
    from sklearn.ensemble import HistGradientBoostingClassifier

    if happened.all() or not happened.any():
        return np.full(len(asked), float(happened[0]))
    return np.asarray(_fitted(HistGradientBoostingClassifier(**_SMALL), known, happened).predict_proba(asked)[:, 1])


_SMALL: dict[str, Any] = {
    "max_iter": TREES,
    "max_leaf_nodes": LEAVES,
    "learning_rate": LEARNING_RATE,
    "early_stopping": False,
    "random_state": SEED,
}


def _fitted(trees: Any, known: FloatArray, outcome: NDArray[Any]) -> Any:
    """Trees fitted to rows in an order of their own, so that the order of customers changes nothing."""
    order = np.lexsort([outcome, *known.T])
    return trees.fit(known[order], outcome[order])


def _one_thread() -> Any:
    """A block in which scikit-learn's trees grow in one thread.

    Trees as small as these are done before several threads have agreed to begin, and on a machine that is busy with
    something else they wait for each other for up to a hundred times as long.
    """
    import sklearn.ensemble  # noqa: F401 - its threads can be limited once they are loaded
    from threadpoolctl import threadpool_limits

    return threadpool_limits(limits=1, user_api="openmp")


BOOSTING = Baseline(
    name="boosting",
    rule=forecasts,
    inputs=FEATURE_INPUTS,
    choices=6,  # trees, leaves, learning rate, two losses, columns
    trained=True,
)
