"""Same rate as before: each customer goes on buying as so far, for the same amounts."""

import numpy as np

from clvmodels.baselines.method import Baseline, check_request, has_money, mean_spend, point_forecast
from clvmodels.foundation.records import CustomerSummary, Forecast


def forecasts(customers: CustomerSummary, horizon: float) -> dict[str, Forecast]:
    """Purchases = frequency / T x horizon; spend = purchases x mean spend a purchase so far.

    A customer who has just come (T = 0) or never came back is forecast 0. The first purchase counts
    in the mean spend where its amount is known.

    Returns
    -------
    dict with "purchases", and "spend" (currency) where the summary knows spend

    Raises
    ------
    DataError
        If the horizon is not above 0, rows are counted, or spend is known of some customers only.
    """
    check_request(customers, horizon)
    x, T = customers.frequency, customers.T
    purchases = np.divide(x, T, out=np.zeros_like(x), where=T > 0) * horizon
    means = {"purchases": purchases}
    if has_money(customers):
        means["spend"] = purchases * mean_spend(customers)
    return {
        name: point_forecast(name, "same_rate", customers=customers, horizon=horizon, mean=mean)
        for name, mean in means.items()
    }


SAME_RATE = Baseline(
    name="same_rate",
    forecasts=forecasts,
    inputs=("frequency", "T", "monetary_value", "first_amount"),
    choices=0,
)
