"""Floor 4: forecasts of each customer, in bounded memory."""

from clvmodels.forecast.average import average_forecasts
from clvmodels.forecast.clv import expected_clv, sample_clv
from clvmodels.forecast.future import Future, purchases_by_period, sample_future, sample_spend
from clvmodels.forecast.predict import predict
from clvmodels.forecast.prior_predictive import prior_predictive
from clvmodels.forecast.purchase_rate import with_purchase_rate
from clvmodels.forecast.simulate import simulate

__all__ = [
    "Future",
    "average_forecasts",
    "expected_clv",
    "predict",
    "prior_predictive",
    "purchases_by_period",
    "sample_clv",
    "sample_future",
    "sample_spend",
    "simulate",
    "with_purchase_rate",
]
