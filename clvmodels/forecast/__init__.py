"""Floor 4: forecasts of each customer, in bounded memory."""

from clvmodels.forecast.acquisition import sample_new_customers
from clvmodels.forecast.average import average_forecasts, sample_average_spend
from clvmodels.forecast.by_period import expected_by_day
from clvmodels.forecast.cash_flows import CashFlows, cash_flows
from clvmodels.forecast.clv import expected_clv, expected_spends, sample_clv
from clvmodels.forecast.drift import Totals, sample_totals
from clvmodels.forecast.future import (
    Future,
    FutureByPeriod,
    purchases_by_period,
    sample_future,
    sample_future_by_period,
    sample_purchases_and_spend,
    sample_spend,
)
from clvmodels.forecast.leaving_reasons import leaving_reasons
from clvmodels.forecast.new_customer import NewCustomer, new_customer
from clvmodels.forecast.predict import predict
from clvmodels.forecast.prior_predictive import prior_predictive
from clvmodels.forecast.probabilities import PurchaseProbabilities, purchase_probabilities
from clvmodels.forecast.purchase_rate import with_purchase_rate
from clvmodels.forecast.retained import Retained, sample_retained
from clvmodels.forecast.retention_curve import RetentionCurve, retention_curve
from clvmodels.forecast.retention_value import (
    NewRetentionValue,
    RetentionValue,
    new_retention_value,
    retention_value,
)
from clvmodels.forecast.retention_what_if import RetentionWhatIf, retention_what_if
from clvmodels.forecast.revenue_retention import RevenueRetention, revenue_retention
from clvmodels.forecast.sampled_retention_value import sample_retention_value
from clvmodels.forecast.simulate import simulate
from clvmodels.forecast.simulated_log import simulate_log
from clvmodels.forecast.what_if import WhatIf, what_if
from clvmodels.forecast.write_forecasts import WrittenForecasts, write_forecasts

__all__ = [
    "CashFlows",
    "Future",
    "FutureByPeriod",
    "NewCustomer",
    "NewRetentionValue",
    "PurchaseProbabilities",
    "Retained",
    "RetentionCurve",
    "RetentionValue",
    "RetentionWhatIf",
    "RevenueRetention",
    "Totals",
    "WhatIf",
    "WrittenForecasts",
    "average_forecasts",
    "cash_flows",
    "expected_by_day",
    "expected_clv",
    "expected_spends",
    "leaving_reasons",
    "new_customer",
    "new_retention_value",
    "predict",
    "prior_predictive",
    "purchase_probabilities",
    "purchases_by_period",
    "retention_curve",
    "retention_value",
    "retention_what_if",
    "revenue_retention",
    "sample_average_spend",
    "sample_clv",
    "sample_future",
    "sample_future_by_period",
    "sample_new_customers",
    "sample_purchases_and_spend",
    "sample_retained",
    "sample_retention_value",
    "sample_spend",
    "sample_totals",
    "simulate",
    "simulate_log",
    "what_if",
    "with_purchase_rate",
    "write_forecasts",
]
