"""A simulated shop, and training windows made of plain arrays, for the tests of baselines."""

from dataclasses import replace

import numpy as np
import pandas as pd

from clvmodels.foundation.records import HoldoutSummary, Window
from tests.evaluation_cases import customers, ids

FIRST_DAY = pd.Timestamp("2001-01-01")


def shop(*, days, n=300, seed=3):
    """Purchases of customers who come in the first third of some days, buy at rates of their own, and leave."""
    rng = np.random.default_rng(seed)
    rows = []
    for customer in range(n):
        day, rate, spend = rng.integers(days // 3), rng.gamma(0.8, 0.08), rng.lognormal(3, 0.6)
        leaves = day + rng.exponential(days)
        while day < min(leaves, days):
            rows.append((f"c{customer:04d}", int(day), round(spend * rng.lognormal(0, 0.4), 2)))
            day += 1 + rng.exponential(1 / rate)
    frame = pd.DataFrame(rows, columns=["customer_id", "day", "amount"])
    return frame.assign(date=FIRST_DAY + pd.to_timedelta(frame.day, unit="D")).drop(columns="day")


def histories(n, seed):
    """A summary of customers with whole weeks of history, so with ties, and the rates that they bought at."""
    rng = np.random.default_rng(seed)
    T, rate = rng.integers(20, 60, size=n) * 1.0, rng.gamma(0.6, 0.15, size=n)
    x = np.minimum(rng.poisson(rate * T), T)
    recency = np.where(x > 0, np.ceil(rng.beta(x + 0.5, 1.0) * T), 0.0)
    spend = rng.integers(5, 80, size=n) * 1.0
    return customers(x, T=T, recency=recency, spend=spend, first=rng.integers(5, 80, size=n) * 1.0), rate


def windows(seeds=(11, 12), *, n=300):
    """Training windows of 8 weeks: what each customer did next, at the rate of before."""
    return tuple(window(n, seed) for seed in seeds)


def window(n, seed):
    known, rate = histories(n, seed)
    rng = np.random.default_rng(seed + 1000)
    purchases = rng.poisson(rate * 8.0) * 1.0
    spend = np.nan_to_num(known.monetary_value, nan=20.0) * purchases * rng.lognormal(0, 0.2, size=n)
    return known, HoldoutSummary(ids(n), purchases, spend, ahead(), "USD")


def ahead(start="2000-11-12", end="2001-01-07"):
    return Window(calibration_end=start, holdout_end=end, unit="week")


def outcome(purchases, amount=None, *, window=None):
    """What happened in a training window of 8 weeks."""
    y = np.asarray(purchases, dtype=float)
    amount = 10.0 * y if amount is None else np.asarray(amount, dtype=float)
    return HoldoutSummary(ids(len(y)), y, amount, window or ahead(), "USD")


def in_money(pair, factor):
    """A training window with all amounts times a factor."""
    known, after = pair
    return dearer(known, factor), replace(after, amount=after.amount * factor)


def dearer(summary, factor):
    return replace(summary, monetary_value=summary.monetary_value * factor, first_amount=summary.first_amount * factor)


def shuffled(pair, seed):
    """A training window with its customers in another order."""
    known, after = pair
    order = np.random.default_rng(seed).permutation(len(known))
    moved = {name: getattr(after, name)[order] for name in ("customer_id", "purchases", "amount")}
    return known.take(order), replace(after, **moved)
