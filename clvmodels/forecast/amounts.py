"""Predictive spend: the value of each customer's next purchase, drawn from a spend model."""

import numpy as np

from clvmodels.forecast import checks
from clvmodels.forecast.draws import DrawTable, forecasts_of
from clvmodels.forecast.future import Walkers, theta_of
from clvmodels.foundation.errors import DataError
from clvmodels.foundation.patterns import FloatArray, IntArray
from clvmodels.foundation.records import CustomerSummary, Forecast
from clvmodels.inference.result import Fit
from clvmodels.models.kernels import kernel_of


def sample_amounts(
    spend: Fit, customers: CustomerSummary, *, horizon: checks.Horizon | None, seed: int, draws: int | None = None
) -> Forecast:
    """Predictive value of each customer's next purchase, in currency, whenever it comes.

    The amounts are those of the first purchase in `sample_future` with the same spend fit, seed and draws.

    Raises
    ------
    DataError
        If a horizon is given, or rows stand for several customers.
    """
    if horizon is not None:
        raise DataError("spend is of the next purchase, whenever it comes: leave out horizon, or use sample_spend.")
    checks.require_single_customers(customers)
    (parameters,), chains = checks.joint_draws((spend,), customers, draws, outcomes=True)
    walkers = Walkers.of(customers, spend.model)
    from clvmodels.forecast.kernels import draw_amounts, memory

    kernel = kernel_of(spend.model)

    def make(rows: IntArray, at: slice) -> FloatArray:
        amounts = np.empty((len(rows), at.stop - at.start))
        draw_amounts(
            *memory(), kernel.start, kernel.next_amount, *theta_of(parameters, walkers, rows, at),
            walkers.history[rows], walkers.keys[rows], np.uint64(seed), np.uint64(at.start), amounts,
        )  # fmt: skip
        return amounts[None]

    table = DrawTable(make, walkers.row_of, np.ones(len(customers)), chains)
    method = checks.method_name(spend)
    return forecasts_of(table, customers, quantities=("spend",), method=method, horizon=np.nan)[0]
