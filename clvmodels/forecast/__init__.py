"""Floor 4: forecasts of each customer, in bounded memory."""

from clvmodels.forecast.clv import expected_clv, sample_clv
from clvmodels.forecast.future import Future, purchases_by_period, sample_future, sample_spend
from clvmodels.forecast.predict import predict
from clvmodels.forecast.simulate import simulate

__all__ = [
    "Future",
    "expected_clv",
    "predict",
    "purchases_by_period",
    "sample_clv",
    "sample_future",
    "sample_spend",
    "simulate",
]
