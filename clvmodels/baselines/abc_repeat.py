"""ABC by repeat spend: customers in order of what they spent after their first purchase."""

from clvmodels.baselines.method import Baseline, check_has_money, point_forecasts, repeat_spend
from clvmodels.foundation.records import CustomerSummary, Forecast


def forecasts(customers: CustomerSummary, horizon: float) -> dict[str, Forecast]:
    """Ranking by past spend without the first purchase: all who never came back tie at 0.

    Returns
    -------
    dict with "score" : repeat spend, in currency, read as a rank

    Raises
    ------
    DataError
        If spend is not known.
    """
    check_has_money(customers)
    return point_forecasts({"score": repeat_spend(customers)}, "abc_repeat", customers=customers, horizon=horizon)


ABC_REPEAT = Baseline(
    name="abc_repeat",
    rule=forecasts,
    inputs=("frequency", "monetary_value"),
    choices=2,  # the two cuts
)
