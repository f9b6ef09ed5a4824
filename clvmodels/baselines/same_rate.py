"""Same rate as before: each customer goes on buying as so far, for the same amounts."""

from clvmodels.baselines.method import Baseline, has_money, mean_spend, own_rate, point_forecasts
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
        If spend is known of some customers only.
    """
    means = {"purchases": own_rate(customers) * horizon}
    if has_money(customers):
        means["spend"] = means["purchases"] * mean_spend(customers)
    return point_forecasts(means, "same_rate", customers=customers, horizon=horizon)


SAME_RATE = Baseline(
    name="same_rate",
    rule=forecasts,
    inputs=("frequency", "T", "monetary_value", "first_amount"),
    choices=0,
)
