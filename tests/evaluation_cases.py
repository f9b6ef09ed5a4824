"""Forecasts and holdouts made of plain arrays, for the tests of baselines and evaluation."""

import numpy as np

from clvmodels.foundation.records import CustomerSummary, DrawBlock, Forecast, HoldoutSummary, Window

WINDOW = Window(calibration_end="2001-01-07", holdout_end="2001-03-04", unit="week")  # 8 weeks
HORIZON = 8.0


def ids(n):
    return np.array([f"c{i:05d}" for i in range(n)], dtype=object)


def customers(frequency, *, T=10.0, recency=5.0, spend=20.0, first=10.0, **columns):
    """A summary of customers alike but for what is given."""
    x = np.asarray(frequency, dtype=float)
    n = len(x)
    given = {
        "customer_id": ids(n),
        "frequency": x,
        "recency": np.where(x > 0, recency, 0.0),
        "T": np.broadcast_to(T, n).astype(float),
        "monetary_value": np.where(x > 0, spend, np.nan),
        "first_amount": np.broadcast_to(first, n).astype(float),
        "current_value": np.full(n, np.nan),
        "unit": "week",
        "currency": "USD",
    }
    return CustomerSummary(**{**given, **columns})


def holdout(purchases, amount=None, *, customer_id=None):
    y = np.asarray(purchases, dtype=float)
    amount = 10.0 * y if amount is None else np.asarray(amount, dtype=float)
    return HoldoutSummary(ids(len(y)) if customer_id is None else customer_id, y, amount, WINDOW, "USD")


def point(mean, quantity="spend", **fields):
    """A forecast without a distribution."""
    mean = np.asarray(mean, dtype=float)
    nothing = np.full(len(mean), np.nan)
    given = {
        "quantity": quantity,
        "method": "test",
        "customer_id": ids(len(mean)),
        "mean": mean,
        "sd": nothing,
        "q05": nothing,
        "q50": nothing,
        "q95": nothing,
        "totals": None,
        "horizon": HORIZON,
        "unit": "week",
        "currency": "USD",
    }
    return Forecast(**{**given, **fields})


def drawn(draws, quantity="purchases", *, block=1000, **fields):
    """A forecast with a distribution, from draws of shape (N, S), replayed some customers at a time."""
    draws = np.asarray(draws, dtype=float)
    n, S = draws.shape

    def replay(mode):
        assert mode == "customers"
        for start in range(0, n, block):
            rows = slice(start, min(start + block, n))
            yield DrawBlock(rows, slice(0, S), draws[rows])

    q05, q50, q95 = np.quantile(draws, [0.05, 0.5, 0.95], axis=1)
    return point(
        draws.mean(axis=1),
        quantity,
        **{"sd": draws.std(axis=1), "q05": q05, "q50": q50, "q95": q95, "replay": replay, **fields},
    )
