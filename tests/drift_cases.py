"""Bases whose demand drifts, told purchase by purchase, for the tests and the study of drift."""

import numpy as np

import clvmodels as clv
from clvmodels.foundation.events import purchase_columns
from clvmodels.models import model_named

STORIES = {
    "bg_nbd": {"r": 0.243, "alpha": 4.414, "a": 0.793, "b": 2.426},
    "mbg_nbd": {"r": 0.525, "alpha": 6.183, "a": 0.891, "b": 1.614},
    "pareto_nbd": {"r": 0.553, "alpha": 10.578, "s": 0.606, "beta": 11.669},
}
PERIODS = 39  # weeks seen, and weeks ahead


def demand(rng, sd, *, periods=2 * PERIODS):
    """A random walk of log demand with steps of that standard deviation, by week; it begins at 0."""
    return np.cumsum(rng.normal(0.0, sd, periods)) if sd else np.zeros(periods)


def base(seed, *, level=None, size=3000, within=12, story="bg_nbd"):
    """Customers won in the first weeks, the history of their purchases, and their purchases by week ahead.

    Their clock runs at exp(level) times the usual pace in each week: all rates move alike. Purchases are counted by
    day, as in a log.
    """
    rng = np.random.default_rng(seed)
    level = np.zeros(2 * PERIODS) if level is None else level
    weeks = np.arange(len(level) + 1.0)
    clock = np.append(0.0, np.cumsum(np.exp(level)))
    start = rng.integers(0, 7 * within, size) / 7
    begun = np.interp(start, weeks, clock)
    buyer, ticks = model_named(story).simulate(rng, STORIES[story], clock[-1] - begun)
    day = np.ceil(np.interp(begun[buyer] + ticks, clock, weeks) * 7 - 1e-9)
    buyer, day = np.unique(np.column_stack([buyer, day]).astype(np.int64), axis=0).T
    seen = day <= 7 * PERIODS
    since = day / 7 - start[buyer]
    columns = purchase_columns(buyer[seen], since[seen], size)
    unknown = np.full(size, np.nan)
    customers = clv.CustomerSummary(
        customer_id=np.array([f"c{i:05d}" for i in range(size)], dtype=object),
        T=PERIODS - start,
        monetary_value=unknown,
        first_amount=unknown,
        current_value=unknown,
        unit="week",
        currency="USD",
        **columns,
    )
    weekly = np.bincount((day - 1) // 7, minlength=len(level)).astype(float)
    history = clv.PurchaseHistory(7 * np.arange(PERIODS - 1, -1, -1), weekly[:PERIODS], "week")
    return customers, history, weekly[PERIODS:]
