"""What is true of a data set at one origin that helps or hinders a way of ranking customers."""

import math

import numpy as np
from scipy import stats

from clvmodels.baselines.method import days_since, past_spend
from clvmodels.data import customer_summary, holdout_summary
from clvmodels.foundation.contest_results import Circumstance
from clvmodels.foundation.errors import DataError
from clvmodels.foundation.patterns import FloatArray
from clvmodels.foundation.records import CustomerSummary, HoldoutSummary, TransactionLog, Window
from clvmodels.foundation.units import days_per_unit

TENTH = 0.1


def circumstances(log: TransactionLog, window: Window, *, expected_purchases: float) -> list[Circumstance]:
    """Measures of the customers of a calibration and of what they did in its holdout.

    Parameters
    ----------
    log : purchase log
    window : calibration and holdout
    expected_purchases : of all customers in the holdout, by the model of the contest

    Returns
    -------
    list of Circumstance
        One of each key, in the order of its docstring. None has no meaning: a correlation of a constant, of fewer than
        two customers or of spend that is not known, a share of nothing.

    Raises
    ------
    DataError
        If the window does not fit the log or has no holdout, or the expected purchases are not a number above 0.
    """
    if not (math.isfinite(expected_purchases) and expected_purchases > 0):
        raise DataError(f"expected_purchases = {expected_purchases}: expected the forecast's total, a number above 0.")
    customers, holdout = customer_summary(log, window), holdout_summary(log, window)
    repeats = customers.frequency > 0
    measures = {
        "repeat_share": float(repeats.mean()),
        "old_share": float(_is_old(customers, log).mean()),
        "past_spend": _rank_correlation(_past_spend(customers), holdout.amount),
        "recency": _rank_correlation(-days_since(customers), holdout.amount),
        "rate_and_spend": _rank_correlation(customers.frequency[repeats], customers.monetary_value[repeats]),
        "pace": float(holdout.purchases.sum() / expected_purchases),
        "largest": _largest_share(holdout),
    }
    return [Circumstance(key, value if math.isfinite(value) else None) for key, value in measures.items()]


def _is_old(customers: CustomerSummary, log: TransactionLog) -> np.ndarray:
    """Customers whose first purchase is in the first tenth of the log's days, shape (N,)."""
    assert customers.calibration_end is not None  # of a log it is known
    age = np.round(customers.T * days_per_unit(customers.unit))
    days_before = (customers.calibration_end - log.first_date).days - age
    return np.asarray(days_before < TENTH * ((log.last_date - log.first_date).days + 1))


def _past_spend(customers: CustomerSummary) -> FloatArray:
    """Spend so far, shape (N,); NaN where the log has no amounts."""
    known = np.isfinite(customers.first_amount).any()
    return past_spend(customers) if known else np.full(len(customers), np.nan)


def _rank_correlation(a: FloatArray, b: FloatArray) -> float:
    """Spearman's, over those of whom both are known; NaN where it has no meaning."""
    known = np.isfinite(a) & np.isfinite(b)
    a, b = (np.round(values[known], 6) for values in (a, b))  # ties are ties whatever the last bit of a sum or mean
    if len(np.unique(a)) < 2 or len(np.unique(b)) < 2:
        return math.nan
    return float(stats.spearmanr(a, b).statistic)


def _largest_share(holdout: HoldoutSummary) -> float:
    total = float(holdout.amount.sum())
    return float(holdout.amount.max()) / total if total > 0 else math.nan
