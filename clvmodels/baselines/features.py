"""What a regression reads of each customer: a summary's columns in forms that keep their meaning as time goes on."""

import numpy as np

from clvmodels.baselines.method import days_since, mean_spend
from clvmodels.foundation.patterns import FloatArray
from clvmodels.foundation.records import CustomerSummary
from clvmodels.foundation.units import days_per_unit

FEATURE_INPUTS = ("frequency", "recency", "T", "monetary_value", "first_amount")
LEAST_SHARE = 0.01


def features(customers: CustomerSummary, *, money: bool) -> FloatArray:
    """Columns for a regression by trees, shape (N, 4) or (N, 6).

    Frequency; age in days; repeat purchases a day; share of the age gone by since the last purchase; and, with money,
    mean spend a purchase and first amount. Ages of the training windows are below those to forecast; shares and rates
    are not.
    """
    age = customers.T * days_per_unit(customers.unit)
    columns = [customers.frequency, age, _rate(customers.frequency, age), _rate(days_since(customers), age)]
    if money:
        columns += [mean_spend(customers), customers.first_amount]
    return np.column_stack(columns)


def log_features(customers: CustomerSummary, *, typical_spend: float | None) -> FloatArray:
    """Columns for a regression that is linear in them, shape (N, 4) or (N, 6).

    Whether there was a repeat; log(1 + frequency); log(1 + age in days); log of the share of the age gone by since the
    last purchase, each a day longer; and, with a typical spend, logs of mean spend and of the first amount in units of
    it. Amounts below a hundredth of the typical spend, among them 0, count as so much.
    """
    x = customers.frequency
    age = customers.T * days_per_unit(customers.unit)
    columns = [np.where(x > 0, 1.0, 0.0), np.log1p(x), np.log1p(age), np.log1p(days_since(customers)) - np.log1p(age)]
    if typical_spend is not None:
        own = mean_spend(customers)
        first = np.where(np.isnan(customers.first_amount), own, customers.first_amount)
        columns += [np.log(np.maximum(amount / typical_spend, LEAST_SHARE)) for amount in (own, first)]
    return np.column_stack(columns)


def _rate(count: FloatArray, age: FloatArray) -> FloatArray:
    return np.divide(count, age, out=np.zeros_like(count), where=age > 0)
