"""Forecasts from stated draws, for tests of what follows from them."""

import numpy as np
import xarray as xr

from clvmodels.foundation.records import DrawBlock, Forecast


def drawn(values, *, step=3, ids=None, quantity="clv"):
    """A forecast whose replay hands out these draws, shape (N, S), some at a time."""
    n, s = values.shape

    def replay(order):
        assert order == "draws"
        for first in range(0, s, step):
            draws = slice(first, min(first + step, s))
            yield DrawBlock(slice(0, n), draws, values[:, draws].copy())

    nothing = np.full(n, np.nan)
    return Forecast(
        quantity=quantity, method="test", mean=values.mean(axis=1), sd=nothing, q05=nothing, q50=nothing, q95=nothing,
        customer_id=np.array([f"c{i}" for i in range(n)] if ids is None else ids, dtype=object),
        totals=xr.DataArray(values.sum(axis=0)[None], dims=("chain", "draw")), horizon=52.0, unit="week",
        currency="USD", replay=replay,
    )  # fmt: skip
